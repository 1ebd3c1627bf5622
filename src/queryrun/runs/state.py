"""The states of a run and the only transitions between them. Pure: no clock, no store.

accepted     --claim-->    in_progress
accepted     --cancel-->   canceled        nothing had started
in_progress  --complete--> complete        the file is already durable
in_progress  --fail-->     failed          not retryable, or no attempts left
in_progress  --requeue-->  accepted        engine failure, or the node shuts down
in_progress  --cancel-->   canceling       the engine may still work
canceling    --freed-->    canceled        the engine has confirmed the stop
"""

from __future__ import annotations

from enum import StrEnum

from queryrun.errors import LostRace


class RunState(StrEnum):
    """The state of a run. The values are the contract's words, plus our internal `canceling`."""

    ACCEPTED = "accepted"
    """Durable and waiting for a slot."""
    IN_PROGRESS = "in_progress"
    """An attempt holds it, under a lease."""
    CANCELING = "canceling"
    """A cancel was accepted; the engine has not confirmed the stop. Clients read `in_progress`."""
    COMPLETE = "complete"
    """The result file is durable."""
    FAILED = "failed"
    """It is not retried; `failure` has the reason."""
    CANCELED = "canceled"
    """Stopped and confirmed: nothing of it runs anywhere."""

    @property
    def is_terminal(self) -> bool:
        """True when no event leads out of this state."""
        return self in TERMINAL

    @property
    def public(self) -> RunState:
        """The state as clients read it: the contract's enum has no `canceling`."""
        return RunState.IN_PROGRESS if self is RunState.CANCELING else self


class RunEvent(StrEnum):
    """What can happen to a run."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    REQUEUE = "requeue"
    CANCEL = "cancel"
    FREED = "freed"


TRANSITIONS: dict[tuple[RunState, RunEvent], RunState] = {
    (RunState.ACCEPTED, RunEvent.CLAIM): RunState.IN_PROGRESS,
    (RunState.ACCEPTED, RunEvent.CANCEL): RunState.CANCELED,
    (RunState.IN_PROGRESS, RunEvent.COMPLETE): RunState.COMPLETE,
    (RunState.IN_PROGRESS, RunEvent.FAIL): RunState.FAILED,
    (RunState.IN_PROGRESS, RunEvent.REQUEUE): RunState.ACCEPTED,
    (RunState.IN_PROGRESS, RunEvent.CANCEL): RunState.CANCELING,
    (RunState.CANCELING, RunEvent.FREED): RunState.CANCELED,
}

TERMINAL: frozenset[RunState] = frozenset(RunState) - {state for state, _ in TRANSITIONS}
"""Derived: the states that no event leads out of."""

HELD: frozenset[RunState] = frozenset({RunState.IN_PROGRESS, RunState.CANCELING})
"""The states in which an attempt may have work on an engine, and occupies a slot."""


def advance(state: RunState, event: RunEvent) -> RunState:
    """The state after `event`, or `LostRace` when the event does not apply in `state`.

    Only this function decides a transition; the stores call it and then write with a
    compare-and-set on the state it started from.
    """
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise LostRace(f"{event} does not apply to a run that is {state}")
    return after


def sources_of(event: RunEvent) -> frozenset[RunState]:
    """The states that `event` applies to; what a conditional write compares with."""
    return frozenset(state for state, candidate in TRANSITIONS if candidate is event)

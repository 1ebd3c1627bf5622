"""The table of transitions: what it allows, and that it allows nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from queryrun.errors import LostRace
from queryrun.runs.state import HELD, TERMINAL, TRANSITIONS, RunEvent, RunState, advance, sources_of

ALL = list(product(RunState, RunEvent))
REFUSED = [pair for pair in ALL if pair not in TRANSITIONS]


def test_there_are_six_states_and_seven_transitions() -> None:
    """One more needs a decision record."""
    assert len(RunState) == 6
    assert len(TRANSITIONS) == 7


@pytest.mark.parametrize(("state", "event"), REFUSED)
def test_every_transition_that_the_table_does_not_name_is_refused(
    state: RunState, event: RunEvent
) -> None:
    with pytest.raises(LostRace):
        advance(state, event)


@pytest.mark.parametrize(("pair", "after"), TRANSITIONS.items())
def test_every_transition_follows_the_table(
    pair: tuple[RunState, RunEvent], after: RunState
) -> None:
    assert advance(*pair) is after


def test_terminal_states_have_no_transition() -> None:
    assert {RunState.COMPLETE, RunState.FAILED, RunState.CANCELED} == TERMINAL


def test_only_freed_leads_from_a_state_with_engine_work_to_canceled() -> None:
    """The core of the cancel guarantee."""
    ways = {
        (state, event)
        for (state, event), after in TRANSITIONS.items()
        if after is RunState.CANCELED and state in HELD
    }
    assert ways == {(RunState.CANCELING, RunEvent.FREED)}


def test_only_freed_leads_out_of_canceling() -> None:
    """A run with an accepted cancel cannot complete, fail or be requeued."""
    ways = {event for state, event in TRANSITIONS if state is RunState.CANCELING}
    assert ways == {RunEvent.FREED}


def test_clients_read_canceling_as_in_progress_and_the_other_states_unchanged() -> None:
    assert RunState.CANCELING.public is RunState.IN_PROGRESS
    assert all(s.public is s for s in RunState if s is not RunState.CANCELING)


def test_a_cancel_applies_to_waiting_and_running_runs_only() -> None:
    assert sources_of(RunEvent.CANCEL) == {RunState.ACCEPTED, RunState.IN_PROGRESS}

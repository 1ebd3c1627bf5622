"""Attempts that the node could not run for want of something: they wait, and cost the run nothing.

A shortage is not the statement's: the disk is full, no process can be started, a directory was
removed, the store does not respond. The run is queued again without losing a retry, and readers of
the run see why it waits.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from queryrun.causes import Cause
from queryrun.errors import Failure, FailureCode
from queryrun.runs.health import NodeHealth, Problem

MAX_KEPT = 10_000
"""Reasons that are kept. Older ones are forgotten: their runs then just wait for a `retry`."""

_OF_STORAGE = {FailureCode.STORAGE_FULL, FailureCode.STORAGE_FAILED}
_STORAGE_PARTS = ("results", "spill")
LITTLE_BYTES = 1024 * 1024
"""Whoever has written no more than this has not filled a disk."""
UNSEEN_FAULTS = 3
"""Attempts of a run that a fault of storage may end for nothing although no probe has seen it, or a
worker that did not hear from its node. More of them on one run are charged: perhaps it is what the
run reads, writes or computes, and would not end."""


class WaitReasons:
    """Why runs that this node queued again wait. In memory: a hint for readers, not a state."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[str, str] = OrderedDict()

    def note(self, run_id: str, reason: str) -> None:
        """The run waits for this."""
        self._reasons[run_id] = reason
        self._reasons.move_to_end(run_id)
        if len(self._reasons) > MAX_KEPT:
            self._reasons.popitem(last=False)

    def clear(self, run_id: str) -> None:
        """The run has started again."""
        self._reasons.pop(run_id, None)

    def of(self, run_id: str) -> str | None:
        """Why the run waits, as far as this node knows."""
        return self._reasons.get(run_id)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What a failed attempt tells of the node it ran on."""

    number: int
    """Which attempt of its run it was, from 1."""
    began_s: float
    """When it began, on the monotonic clock."""
    written_bytes: float
    is_embedded: bool
    lost_directory: bool
    missed_lease: bool = False
    lacked: str | None = None
    """What the node was short of, as an error of its own has said."""

    def may_have_caused(self, problem: Problem) -> bool:
        """Whether its own files can have filled the disk."""
        is_full = problem.cause in {Cause.DISK_FULL, Cause.QUOTA, Cause.FILE_TOO_LARGE}
        return is_full and self.written_bytes > LITTLE_BYTES

    def is_early_for(self, failure: Failure) -> bool:
        """Whether a fault of storage that no probe has seen costs the run nothing yet."""
        is_own = failure.code is FailureCode.STORAGE_FULL and self.written_bytes > LITTLE_BYTES
        return self.number <= UNSEEN_FAULTS and not is_own


async def shortage_behind(
    failure: Failure, health: NodeHealth, attempt: FailedAttempt
) -> str | None:
    """Why the node could not run the statement; None when the failure is the statement's own.

    A full disk is the node's shortage only when it is still full without the attempt's own files;
    of an attempt that wrote nearly nothing also when it has been full meanwhile. A fault between
    two probes is nobody's either, for the first attempts of a run. An embedded engine has nothing
    of its own that could be away, so what it lacks is the node's.
    """
    if attempt.lost_directory:
        return "spill: a directory of the statement was removed while it ran"
    if attempt.missed_lease and attempt.number <= UNSEEN_FAULTS:
        return "node: too busy, or it stood still: a worker did not hear from it for a whole lease"
    if failure.code in _OF_STORAGE:
        for part in filter(health.knows, _STORAGE_PARTS):
            if (reason := await health.check(part)) is not None:
                return f"{part}: {reason}"
            passed = health.passed_problem(part, attempt.began_s)
            if passed is not None:
                is_own = attempt.may_have_caused(passed)
                return None if is_own else f"{part}: {passed.reason}"
        if attempt.lacked is None and attempt.is_early_for(failure):
            return f"storage: {failure.message}"
    if attempt.lacked is not None:
        return attempt.lacked
    if failure.code is FailureCode.ENGINE_UNAVAILABLE and attempt.is_embedded:
        return f"workers: {failure.message}"
    return None

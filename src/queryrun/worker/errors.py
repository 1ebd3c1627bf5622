"""Errors of workers as their node sees them. Not the failures of runs."""

from __future__ import annotations

import signal

from queryrun.causes import Cause
from queryrun.errors import QueryrunError

EXIT_NOT_SET_UP = 1
"""The exit code of a child process whose set-up failed, also in the fork server's own part."""


class WorkerDied(QueryrunError):
    """The worker exited or was killed before it had sent an outcome.

    `exit_code` is negative for a signal (-9: SIGKILL, as the kernel's memory killer sends),
    0 or positive for an exit, None when it is unknown (the fork server died too).
    The process is already reaped, its spill directory removed.
    """

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(f"the worker process ended (exit code {exit_code})")
        self.exit_code = exit_code

    @property
    def at_lease_end(self) -> bool:
        """Whether the timer of its lease ended it (`worker/control.py`): it had not heard in time
        that its node still holds the attempt."""
        return self.exit_code == -signal.SIGALRM


class NotSetUp(QueryrunError):
    """The worker exited before it could take a statement: no statement is to blame."""

    def __init__(self) -> None:
        super().__init__("a worker process could not be set up")


class NoDirectory(QueryrunError):
    """A directory of a worker could not be made: `part` of the node has no room for it, and `cause`
    says why, as far as it is known."""

    def __init__(self, part: str, cause: Cause | None) -> None:
        super().__init__("the directories of a worker could not be made")
        self.part = part
        self.cause = cause


class PoolClosed(QueryrunError):
    """The pool has been closed and gives out no workers."""

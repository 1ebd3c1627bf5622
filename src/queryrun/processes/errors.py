"""Errors of child processes as their node sees them. Not the failures of runs."""

from __future__ import annotations

from queryrun.causes import Cause
from queryrun.errors import QueryrunError


class NotReaped(QueryrunError):
    """A process did not exit within the limit although it was sent SIGKILL. It may still work.

    Its slot must stay occupied; stopping it again is allowed.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} does not end although it was killed")
        self.pid = pid


class ForkServerLost(QueryrunError):
    """The fork server exited, or refused, before a new process existed; `cause` where known."""

    def __init__(self, reason: str, cause: Cause | None = None) -> None:
        super().__init__(reason)
        self.cause = cause

"""What can go wrong with a child process as its node sees it. Not what goes wrong with a run."""

from __future__ import annotations

from queryrun.errors import QueryrunError


class NotReaped(QueryrunError):
    """A process did not end within the bound although it was sent SIGKILL. It may still work.

    A slot that is held for it must stay held; stopping it again is allowed.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} does not end although it was killed")
        self.pid = pid


class ForkServerLost(QueryrunError):
    """The fork server exited, or refused, before a new process existed."""

"""What a run's handle shows, the same for both clients: the run as it was last seen."""

from __future__ import annotations

from queryrun_client.core import result_of
from queryrun_client.model import FileInfo, RunError, RunInfo, State


class RunView:
    """Reads of the last known state; none of these asks the server."""

    info: RunInfo

    @property
    def id(self) -> str:
        """The run's id."""
        return self.info.id

    @property
    def state(self) -> State:
        """How it stood when last seen."""
        return self.info.state

    @property
    def error(self) -> RunError | None:
        """Why it failed."""
        return self.info.error

    @property
    def file(self) -> FileInfo | None:
        """Its file, once complete."""
        return self.info.file

    @property
    def number_of_rows(self) -> int | None:
        """Rows of its file."""
        return self.info.number_of_rows

    @property
    def ended(self) -> bool:
        """Whether it had ended when last seen."""
        return self.info.state.is_terminal

    def check(self) -> None:
        """Raise `RunFailed`, `RunCanceled` or `StillRunning` unless it is complete."""
        result_of(self.info)

    def __repr__(self) -> str:
        return f"<run {self.info.id} {self.info.state}>"

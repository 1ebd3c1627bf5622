"""The properties of a run that both clients share: the run as last read."""

from __future__ import annotations

from queryrun_client.core import result_of
from queryrun_client.errors import RunFailed
from queryrun_client.marked import marked_line
from queryrun_client.markup import marked_html, properties_html
from queryrun_client.model import FileInfo, RunError, RunInfo, State


class RunView:
    """The run as last read; no property sends a request."""

    info: RunInfo

    @property
    def id(self) -> str:
        """The run's id."""
        return self.info.id

    @property
    def state(self) -> State:
        """Its state when last read."""
        return self.info.state

    @property
    def error(self) -> RunError | None:
        """Why it failed, or None."""
        return self.info.error

    @property
    def file(self) -> FileInfo | None:
        """Its file, once it is complete."""
        return self.info.file

    @property
    def number_of_rows(self) -> int | None:
        """Rows of its file; while it runs, rows so far if the server reports them."""
        return self.info.number_of_rows

    @property
    def is_finished(self) -> bool:
        """Whether it had finished when last read: complete, failed or canceled."""
        return self.info.state.is_terminal

    def check(self) -> None:
        """Raise `RunFailed`, `RunCanceled` or `StillRunning` unless it is complete."""
        result_of(self.info)

    def _repr_html_(self) -> str:
        """For notebooks: the run as last read; no request is sent."""
        info, error = self.info, self.info.error
        pairs = [
            ("state", str(info.state)),
            ("source", info.source or ""),
            ("rows", "" if info.number_of_rows is None else f"{info.number_of_rows:,}"),
            ("ms", "" if info.processing_ms is None else f"{info.processing_ms:,}"),
            ("statement", info.sql),
            ("error", "" if error is None else str(RunFailed(info))),
        ]
        html = properties_html(f"run {info.id}", [one for one in pairs if one[1]])
        marked = error and marked_line(info.sql, error.line, error.column)
        return html + (marked_html(*marked) if marked else "")

    def __repr__(self) -> str:
        return f"<run {self.info.id} {self.info.state}>"

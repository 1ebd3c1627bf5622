"""In a notebook a run shows its progress below the cell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from queryrun_client.markup import bar_html
from queryrun_client.model import RunInfo
from queryrun_client.progress import KnownPercent, progress_text


def is_active() -> bool:
    """Whether this code runs in a cell: in a kernel of Jupyter, not in IPython's terminal."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Progress:
    """What a cell shows while a run is not finished."""

    def __init__(self) -> None:
        self.info: RunInfo | None = None
        self.percent: float | None = None
        self._known = KnownPercent()

    def update(self, info: RunInfo) -> None:
        """Show the run as it was read."""
        self.info, self.percent = info, self._known.of(info)

    def _repr_html_(self) -> str:
        if self.info is None:
            return ""
        percent = 100.0 if self.info.state.is_terminal else self.percent
        return bar_html(repr(self), percent)

    def __repr__(self) -> str:
        return "" if self.info is None else progress_text(self.info, self.percent)


def cell_progress() -> Callable[[RunInfo], None]:
    """A watcher that shows the run below the current cell and updates it in place."""
    progress = Progress()
    display: Any = sys.modules["IPython.display"]
    handles: list[Any] = []

    def watch(info: RunInfo) -> None:
        progress.update(info)
        if handles:
            handles[0].update(progress)
        else:
            handles.append(display.display(progress, display_id=True))

    return watch

"""In a notebook a run shows its progress below the cell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from queryrun_client.markup import bar_html
from queryrun_client.model import RunInfo


def is_active() -> bool:
    """Whether this code runs in a cell: in a kernel of Jupyter, not in IPython's terminal."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Progress:
    """What a cell shows while a run is not finished."""

    def __init__(self) -> None:
        self.info: RunInfo | None = None

    def _repr_html_(self) -> str:
        if self.info is None:
            return ""
        percent = 100.0 if self.info.state.is_terminal else self.info.percent
        return bar_html(repr(self), percent)

    def __repr__(self) -> str:
        return "" if self.info is None else progress_text(self.info)


def progress_text(info: RunInfo) -> str:
    """State, percent and rows; `progress unknown` where the server cannot tell."""
    parts = [str(info.state)]
    if not info.state.is_terminal:
        parts.append("progress unknown" if info.percent is None else f"{info.percent:.0f} %")
    if info.number_of_rows is not None:
        parts.append(f"{info.number_of_rows:,} {'row' if info.number_of_rows == 1 else 'rows'}")
    return ", ".join(parts)


def cell_progress() -> Callable[[RunInfo], None]:
    """A watcher that shows the run below the current cell and updates it in place."""
    shown = Progress()
    display: Any = sys.modules["IPython.display"]
    handles: list[Any] = []

    def watch(info: RunInfo) -> None:
        shown.info = info
        if handles:
            handles[0].update(shown)
        else:
            handles.append(display.display(shown, display_id=True))

    return watch

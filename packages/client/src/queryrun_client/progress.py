"""What is known of a run's progress.

Engines report a percentage that may stand for long at the same number: while a result is sorted or
written nobody counts. One that stands is no longer shown as progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from queryrun_client.model import RunInfo

STANDING_S = 5.0
"""Seconds after which a percentage that has not changed is not known any more."""


class KnownPercent:
    """The percentage of a run over time, as far as it is known."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._percent: float | None = None
        self._since_s = now_s()

    def of(self, info: RunInfo) -> float | None:
        """How far the run is. None: the server cannot tell, or its number does not move."""
        if info.percent != self._percent:
            self._percent, self._since_s = info.percent, self._now_s()
        is_standing = self._now_s() - self._since_s >= STANDING_S
        return None if is_standing and not info.state.is_terminal else self._percent


def progress_text(info: RunInfo, percent: float | None) -> str:
    """State, percent and rows; `progress unknown` rather than a guess."""
    parts = [state_text(info)]
    if not info.state.is_terminal and info.queue_position is None:
        parts.append("progress unknown" if percent is None else f"{percent:.0f} %")
    if info.number_of_rows is not None:
        parts.append(counted(info.number_of_rows))
    return ", ".join(parts)


def state_text(info: RunInfo) -> str:
    """The state, and where a waiting run stands in the queue."""
    if info.queue_position is not None:
        return f"{info.state} (number {info.queue_position + 1} in the queue)"
    return str(info.state)


def counted(rows: int) -> str:
    """A number of rows in words."""
    return f"{rows:,} {'row' if rows == 1 else 'rows'}"

"""Rows of limits, the same in both databases."""

from __future__ import annotations

from collections.abc import Iterable

from queryrun.db.rows import Row
from queryrun.runs.limits import LIMITS, Level, LimitValue


def limits_of_rows(rows: Iterable[Row]) -> list[LimitValue]:
    """Those whose names are known: an older node may meet newer ones."""
    return [
        LimitValue(Level(level), subject, name, int(value))
        for level, subject, name, value in rows
        if name in LIMITS
    ]

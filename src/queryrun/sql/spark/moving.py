"""Times and intervals: what the clock says earlier or later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queryrun.sql.compile import types as t
from queryrun.sql.compile.interval_texts import WHOLE_DAYS
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import clocks, fine, intervals

if TYPE_CHECKING:
    from queryrun.sql.compile.statement import StatementCompiler


def shift_clock(c: StatementCompiler, op: str, left: Typed, right: Typed, at: int) -> Typed:
    """A time and an interval, which wraps around midnight; or two times."""
    names = {"time", t.TIMETZ}
    if op == "-" and left.type.name in names and right.type.name in names:
        if left.type.name != right.type.name:
            zone = left.type.zone or right.type.zone
            left, right = (c.cast_to(v, t.time_tz(12, zone)) for v in (left, right))
        return intervals.of_amount(fine.millis_between(left, right), t.DAYS)
    if op == "+" and left.type == t.DAYS:
        left, right = right, left
    if op not in {"+", "-"} or left.type.name not in names or right.type != t.DAYS:
        c.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)
    precision = left.type.params[0]
    if right.constant != WHOLE_DAYS:
        precision = max(precision, 3)
    millis = f"({intervals.amount(right)} % 86400000L * 1000000000L)"
    moved = clocks.moved(left, f"{'-' if op == '-' else ''}{millis}")
    return Typed(moved, replace(left.type, params=(precision,)))

"""Time zones that a call names."""

from __future__ import annotations

from typing import NamedTuple

from queryrun.sql.compile import interval_texts, moments
from queryrun.sql.compile import types as t
from queryrun.sql.compile.statement import StatementCompiler
from queryrun.sql.compile.typed import Typed
from queryrun.sql.trino.records import ast

_MAX_MINUTES = 14 * 60
NO_ZONE, NO_ZONE_KEY = "'{}' is not a valid time zone", "Time zone not supported: {}"
"""What is said of a zone that there is not."""


class Named(NamedTuple):
    """The zone that a call names, an offset as `+05:30`; or why there is no such zone, on which the
    call fails."""

    zone: str
    problem: str = ""


def zone_at(minutes: int) -> Named:
    """The zone that is so far from UTC."""
    if abs(minutes) > _MAX_MINUTES:
        return Named("", f"Invalid offset minutes {minutes}")
    return Named(moments.offset_name(minutes) if minutes else "UTC")


def zone_argument(
    c: StatementCompiler, node: ast.Call, value: Typed, wrong: str = NO_ZONE
) -> Named:
    """The zone that a call's argument names. `wrong`: what is said of a text that is no zone, which
    Trino's functions say differently."""
    if value.type == t.DAYS:
        return _zone_of_interval(c, node)
    written = c.constant_text(node, value, "a time zone")
    if not moments.zone_exists(written):
        return Named("", wrong.format(written))
    return Named(moments.zone_name(written))


def _zone_of_interval(c: StatementCompiler, node: ast.Call) -> Named:
    """The offset of `AT TIME ZONE INTERVAL '10' HOUR`, written out."""
    written = node.args[-1]
    negative = isinstance(written, ast.Unary) and written.op == "-"
    if isinstance(written, ast.Unary):
        written = written.operand
    minutes = None
    if isinstance(written, ast.IntervalLiteral):
        minutes = interval_texts.literal_minutes(written)
    if minutes is None:
        c.refuse(f"{node.name}: an interval that is no literal of hours and minutes", node.at)
    return zone_at(-minutes if negative else minutes)

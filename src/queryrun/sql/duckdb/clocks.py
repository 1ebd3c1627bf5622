"""Trino's TIME in DuckDB's SQL: up to microseconds, without a zone."""

from __future__ import annotations

import re

from queryrun.sql.compile import types as t
from queryrun.sql.compile.moments import PATTERN
from queryrun.sql.compile.typed import Typed

_WHOLE = re.compile(PATTERN)
_DAY = "DATE '1970-01-01'"


def literal(written: str) -> Typed | None:
    """`TIME '10:11:12.345'`; None where it is none that we have."""
    precision = len(written.partition(".")[2])
    if not _WHOLE.fullmatch(written) or precision > 6:
        return None
    parts = [int(part) for part in written.partition(".")[0].split(":")]
    hour, minute, second = [*parts, 0][:3]
    fraction = f".{written.partition('.')[2]}" if precision else ""
    return Typed(f"TIME '{hour:02}:{minute:02}:{second:02}{fraction}'", t.time(precision), written)


def micros(sql: str) -> str:
    """Microseconds since midnight."""
    return f"epoch_us({_DAY} + {sql})"


def of_micros(sql: str) -> str:
    """A time so many microseconds after some midnight, before or after it."""
    return f"CAST(make_timestamp({sql}) AS TIME)"


def rounded(sql: str, precision: int) -> str:
    """Rounded half up to so many digits of a second; 24:00 is 00:00."""
    unit = 10 ** (6 - precision)
    return of_micros(f"(({micros(sql)} + {unit // 2}) // {unit} * {unit})") if unit > 1 else sql


def printed(value: Typed) -> str:
    """As Trino prints it."""
    digits = value.type.params[0]
    text = f"strftime({_DAY} + {value.sql}, '%H:%M:%S.%f')"
    return f"left({text}, {8 if digits == 0 else 9 + digits})"

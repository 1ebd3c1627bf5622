"""What DuckDB has no type for: moments finer than a microsecond, and times with a zone.

A timestamp finer than a microsecond is carried as a HUGEINT of picoseconds since 1970-01-01 (of UTC
where it has a zone), such a time as a BIGINT of picoseconds since midnight. A time with a zone is a
BIGINT of picoseconds since midnight in UTC, and its offset is part of what is known of its type. So
order, equality and hashing are the engine's own. A column of a result has them as text.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from queryrun.sql.compile import types as t
from queryrun.sql.compile.moments import _DIGITS, DAY, offset_minutes, offset_name
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import clocks
from queryrun.sql.duckdb.values import picos

_MICRO = 10**6
"""Picoseconds."""
_FAR = 10**26
"""Added before a division, so that it rounds down: beyond all moments, and a multiple of units."""


def micros_literal(micros: int) -> str:
    """A timestamp so many microseconds after 1970-01-01, as one would write it where that goes."""
    try:
        moment = datetime(1970, 1, 1) + timedelta(microseconds=micros)
    except OverflowError:
        return f"make_timestamp({micros})"
    return f"TIMESTAMP '{moment.isoformat(' ')}'"


# --- views of a value -------------------------------------------------------------------------


def coarse(value: Typed) -> Typed:
    """The value without what is finer than a microsecond, in DuckDB's own type."""
    kind = value.type
    if kind.name == t.TIMETZ:
        return Typed(clocks.of_micros(f"({local_picos(value)} // {_MICRO})"), t.time(6))
    if not t.is_fine(kind):
        return value
    if kind.name == "time":
        return Typed(clocks.of_micros(f"({value.sql} // {_MICRO})"), t.time(6))
    function = "make_timestamp" if kind.name == "timestamp" else "make_timestamptz"
    sql = f"{function}(CAST({_floored(value.sql, _MICRO)} AS BIGINT))"
    return Typed(sql, replace(kind, params=(6,)))


def below(value: Typed) -> str:
    """The picoseconds that `coarse` leaves out."""
    if value.type.name == t.TIMETZ:
        return f"({local_picos(value)} % {_MICRO})"
    if not t.is_fine(value.type):
        return "0"
    return f"CAST(({value.sql} + {_FAR}) % {_MICRO} AS BIGINT)"


def refined(whole: Typed, rest: str, kind: Type) -> Typed:
    """What `coarse` and `below` were taken from, after the first has been changed."""
    return Typed(f"({picos(whole)} + {rest})" if t.is_fine(kind) else whole.sql, kind)


def _floored(sql: str, unit: int) -> str:
    return f"(({sql} + {_FAR}) // {unit} - {_FAR // unit})"


def rounded(value: Typed, precision: int) -> Typed:
    """A fine value rounded half up to so many digits of a second, in the type that they need."""
    kind = replace(value.type, params=(precision,))
    unit = 10 ** (_DIGITS - precision)
    if kind.name in {"time", t.TIMETZ}:
        total = f"(({value.sql} + {unit // 2}) // {unit} * {unit} % {DAY})"
        is_micros = precision <= 6 and kind.name == "time"
        return Typed(clocks.of_micros(f"({total} // {_MICRO})") if is_micros else total, kind)
    total = f"{_floored(f'({value.sql} + {unit // 2})', unit)} * {unit}"
    if precision > 6:
        return Typed(f"({total})", kind)
    function = "make_timestamp" if kind.name == "timestamp" else "make_timestamptz"
    return Typed(f"{function}(CAST({total} // {_MICRO} AS BIGINT))", kind)


# --- times with a zone ------------------------------------------------------------------------


def local_picos(value: Typed) -> str:
    """What the clock of its own zone says, in picoseconds since midnight."""
    shift = offset_minutes(value.type.zone) * 60 * 10**_DIGITS
    return f"(({value.sql} + {DAY + shift}) % {DAY})" if shift else value.sql


def zoned(clock: Typed, zone: str) -> Typed:
    """A time of a zone's clock with that zone; a named zone counts as it is now."""
    minutes = offset_minutes(zone)
    precision = clock.type.params[0]
    shift = DAY - minutes * 60 * 10**_DIGITS
    sql = f"(({picos(clock)} + {shift}) % {DAY})" if minutes else picos(clock)
    return Typed(sql, t.time_tz(precision, offset_name(minutes)))


def unzoned(value: Typed) -> Typed:
    """The clock's reading, without the zone."""
    precision = value.type.params[0]
    if precision > 6:
        return Typed(local_picos(value), t.time(precision))
    return Typed(coarse(value).sql, t.time(precision))


# --- text -------------------------------------------------------------------------------------


def clock_text(value: Typed) -> str:
    """A time, with or without a zone, as Trino prints it."""
    digits = value.type.params[0]
    if value.type.name == "time" and digits <= 6:
        return clocks.printed(value)
    whole = clocks.printed(coarse(value))
    text = f"left({whole} || lpad(CAST({below(value)} AS VARCHAR), 6, '0'), {9 + digits})"
    text = text if digits else f"left({whole}, 8)"
    return f"({text} || '{value.type.zone}')" if value.type.name == t.TIMETZ else text

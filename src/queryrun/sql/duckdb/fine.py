"""What DuckDB has no type for: moments finer than a microsecond, and times with a zone.

A timestamp finer than a microsecond is carried as a HUGEINT of picoseconds since 1970-01-01 (of UTC
where it has a zone), such a time as a BIGINT of picoseconds since midnight. A time with a zone is a
BIGINT of picoseconds since midnight in UTC, and its offset is part of what is known of its type. So
order, equality and hashing are the engine's own. A column of a result has them as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed, UnsupportedCastError, picos
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import clocks

_MICRO = 10**6
"""Picoseconds."""
_DIGITS: Final = 12
DAY = 86_400 * 10**12
"""Picoseconds."""
_FAR = 10**26
"""Added before a division, so that it rounds down: beyond all moments, and a multiple of units."""
_MOMENT = re.compile(
    r"(?P<year>[+-]?\d{4,6})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?: (?P<hour>\d{1,2}):(?P<minute>\d{1,2})"
    r"(?::(?P<second>\d{1,2})(?:\.(?P<digits>\d{1,12}))?)?)?"
)
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Written:
    """A moment as written: picoseconds since 1970-01-01 00:00, and how many digits it has."""

    picos: int
    precision: int


def read_moment(written: str) -> Written | None:
    """`2020-05-01 12:34:56.123456789`; None for what is none."""
    match = _MOMENT.fullmatch(written)
    if match is None:
        return None
    year, month, day = (int(match[part]) for part in ("year", "month", "day"))
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _LENGTHS[month - 1] + (is_leap and month == 2):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    digits = match["digits"] or ""
    seconds = _days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    fraction = int(digits.ljust(_DIGITS, "0"))
    return Written(seconds * 10**_DIGITS + fraction, len(digits))


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the calendar without an end (Hinnant's `days_from_civil`)."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def clock_picos(written: str) -> int | None:
    """Picoseconds since midnight of `10:11:12.123456789`; None for what is none."""
    if not re.fullmatch(clocks.PATTERN, written):
        return None
    whole, _, digits = written.partition(".")
    hour, minute, second = (int(part) for part in [*whole.split(":"), "0"][:3])
    seconds = hour * 3600 + minute * 60 + second
    return seconds * 10**_DIGITS + int(digits.ljust(_DIGITS, "0"))


def offset_minutes(zone: str) -> int:
    """The minutes of `+08:35`, or of a named zone now."""
    if zone == t.VARIES:
        raise UnsupportedCastError("A time zone that differs from value to value")
    if zone[:1] in {"+", "-"}:
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        return -minutes if zone[0] == "-" else minutes
    shift = datetime.now(UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return int(shift.total_seconds()) // 60 if shift else 0


def offset_name(minutes: int) -> str:
    """`+08:35`."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


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


def zone_literal(written: str) -> Typed | None:
    """`12:34:56.789+08:35`; None for what is none."""
    match = re.fullmatch(r"(?P<clock>[0-9:.]+) ?(?P<sign>[+-])(?P<h>\d{1,2}):(?P<m>\d\d)", written)
    total = clock_picos(match["clock"]) if match else None
    if match is None or total is None or int(match["m"]) > 59:
        return None
    if int(match["h"]) * 60 + int(match["m"]) > 14 * 60:
        return None
    zone = f"{match['sign']}{int(match['h']):02}:{match['m']}"
    precision = len(match["clock"].partition(".")[2])
    utc = (total - offset_minutes(zone) * 60 * 10**_DIGITS) % DAY
    return Typed(f"CAST({utc} AS BIGINT)", t.time_tz(precision, zone), written)


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

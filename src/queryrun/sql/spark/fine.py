"""What Spark has no type for: moments finer than a microsecond, and times with a zone.

A timestamp finer than a microsecond is carried as a DECIMAL(27,0) of picoseconds since 1970-01-01
(of UTC where it has a zone). A time with a zone is a BIGINT of picoseconds since midnight in UTC,
and its offset is part of what is known of its type. So order, equality and hashing are Spark's own.
A column of a result has them as text.
"""

from __future__ import annotations

from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.moments import DAY, offset_minutes, offset_name
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark.types import FINE

_MICRO = 10**6
"""Picoseconds."""
_MINUTE = 60 * 10**12
"""Picoseconds."""
DIGITS = 12


def literal(picos: int) -> str:
    """So many picoseconds."""
    return f"CAST({picos}BD AS {FINE})"


def picos(value: Typed) -> str:
    """Picoseconds since 1970 or since midnight, of a moment or time however fine."""
    if t.is_fine(value.type) or value.type.name in {"time", t.TIMETZ}:
        return value.sql
    micros = f"unix_micros(CAST({value.sql} AS TIMESTAMP))"
    return f"CAST(CAST({micros} AS {FINE}) * {_MICRO}BD AS {FINE})"


def coarse(value: Typed) -> Typed:
    """The moment without what is finer than a microsecond, in Spark's own type."""
    if not t.is_fine(value.type) or value.type.name == "time":
        return value
    kind = replace(value.type, params=(6,))
    return _of_micros(f"CAST(floor({value.sql} / {_MICRO}BD) AS BIGINT)", kind)


def _of_micros(sql: str, kind: Type) -> Typed:
    found = f"timestamp_micros({sql})"
    return Typed(found if kind.name == t.TSTZ else f"CAST({found} AS TIMESTAMP_NTZ)", kind)


def below(value: Typed) -> str:
    """The picoseconds that `coarse` leaves out."""
    if not t.is_fine(value.type):
        return "0BD"
    return f"pmod({value.sql}, {_MICRO}BD)"


def refined(whole: Typed, rest: str, kind: Type) -> Typed:
    """What `coarse` and `below` were taken from, after the first has been changed."""
    if not t.is_fine(kind):
        return Typed(whole.sql, kind)
    return Typed(f"CAST({picos(whole)} + {rest} AS {FINE})", kind)


def to_precision(value: Typed, precision: int) -> Typed:
    """A timestamp with other digits, rounded half up; name and zone stay."""
    kind = replace(value.type, params=(precision,))
    if precision >= value.type.params[0]:
        return Typed(picos(value) if t.is_fine(kind) else value.sql, kind)
    if not t.is_fine(value.type):
        is_moment = kind.name == t.TSTZ
        return Typed(rounded(value.sql, precision, is_moment=is_moment), kind)
    unit = 10 ** (DIGITS - precision)
    count = f"floor(({value.sql} + {unit // 2}BD) / {unit}BD)"
    if precision > 6:
        return Typed(f"CAST({count} * {unit}BD AS {FINE})", kind)
    return _of_micros(f"(CAST({count} AS BIGINT) * {unit // _MICRO}L)", kind)


def rounded(sql: str, precision: int, *, is_moment: bool = False) -> str:
    """A timestamp rounded half up to so many digits of a second."""
    if precision >= 6:
        return sql
    half, unit = 5 * 10 ** (5 - precision), 10 ** (6 - precision)
    micros = f"unix_micros(CAST({sql} AS TIMESTAMP))"
    later = f"({micros} + {half})"
    found = f"timestamp_micros({later} - pmod({later}, {unit}))"
    return found if is_moment else f"CAST({found} AS TIMESTAMP_NTZ)"


def shifted(moment: Typed, op: str, millis: str) -> Typed:
    """Earlier or later by so many milliseconds."""
    shift = f"CAST({millis} AS {FINE}) * 1000000000BD"
    return Typed(f"CAST({moment.sql} {op} {shift} AS {FINE})", moment.type)


def millis_between(left: Typed, right: Typed) -> str:
    """From the second to the first, rounded half up."""
    between = f"{picos(left)} - {picos(right)}"
    return f"CAST(floor(({between} + 500000000BD) / 1000000000BD) AS BIGINT)"


# --- times with a zone ------------------------------------------------------------------------


def local_picos(value: Typed) -> str:
    """What the clock of its own zone says, in picoseconds since midnight."""
    shift = offset_minutes(value.type.zone) * _MINUTE
    return f"(({value.sql} + {DAY + shift}L) % {DAY}L)" if shift else value.sql


def zoned(clock: Typed, zone: str) -> Typed:
    """A time of a zone's clock with that zone; a named zone counts as it is now."""
    minutes = offset_minutes(zone)
    shift = DAY - minutes * _MINUTE
    sql = f"(({clock.sql} + {shift}L) % {DAY}L)" if minutes else clock.sql
    return Typed(sql, t.time_tz(clock.type.params[0], offset_name(minutes)))


def unzoned(value: Typed) -> Typed:
    """The clock's reading, without the zone."""
    if value.type.name == "time":
        return value
    return Typed(local_picos(value), t.time(value.type.params[0]))

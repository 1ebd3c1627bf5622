"""Dates, timestamps and their zones in Spark's SQL.

Trino's `timestamp` is Spark's TIMESTAMP_NTZ, `timestamp with time zone` is TIMESTAMP, a moment.
The session's zone is always UTC there (`session.SETTINGS`), so that the two become each other
unchanged; what zone a value is read in is said by name, in the statement.
"""

from __future__ import annotations

import re

from queryrun.sql.spark.types import text
from queryrun.sql.trino import types as t
from queryrun.sql.trino.cast_checks import PATTERNS
from queryrun.sql.trino.casts_time import ZONED
from queryrun.sql.trino.typed import Typed, UnsupportedCastError

UTC = "UTC"


def wall_clock(value: Typed, session_zone: str) -> str:
    """What a calendar and a clock say at that moment, in the value's own zone."""
    if value.type.name != t.TSTZ:
        return value.sql
    zone = value.type.zone or session_zone
    if zone == t.VARIES:
        raise UnsupportedCastError("A time zone that differs from value to value")
    read = f"CAST({value.sql} AS TIMESTAMP_NTZ)"
    return read if zone == UTC else f"convert_timezone('UTC', {text(zone)}, {read})"


def moment_at(sql: str, zone: str) -> str:
    """The moment at which clocks in the zone say this (a TIMESTAMP_NTZ)."""
    if zone == t.VARIES:
        raise UnsupportedCastError("A time zone that differs from value to value")
    utc = sql if zone == UTC else f"convert_timezone({text(zone)}, 'UTC', {sql})"
    return f"CAST({utc} AS TIMESTAMP)"


def as_timestamp(sql: str) -> str:
    """A date at midnight."""
    return f"CAST({sql} AS TIMESTAMP_NTZ)"


def zoned_literal(written: str, session_zone: str) -> Typed | None:
    """A moment with its zone (`2020-01-01 10:00 UTC`), or in the session's; None: it is none."""
    match = ZONED.match(written.strip())
    if match and re.fullmatch(PATTERNS["timestamp"], match["moment"].strip()):
        moment, zone = match["moment"].strip(), match["zone"]
    elif re.fullmatch(PATTERNS["timestamp"], written.strip()):
        moment, zone = written.strip(), ""
    else:
        return None
    precision = len(moment.partition(".")[2])
    if re.match(r"[+-]?\d{5}", moment):
        raise UnsupportedCastError("A year of more than four digits")
    if precision > 6:
        raise UnsupportedCastError("A timestamp that is finer than a microsecond")
    zone = zone_name(zone)
    local = f"CAST({text(moment)} AS TIMESTAMP_NTZ)"
    kind = t.timestamp_tz(precision, zone)
    return Typed(moment_at(local, zone or session_zone), kind, moment)


def zone_name(written: str) -> str:
    """A zone's name; an offset as `+05:30`."""
    if written[:1] not in {"+", "-"}:
        return written
    hours, _, minutes = written[1:].partition(":")
    return f"{written[0]}{int(hours):02}:{minutes or '00'}"


def rounded(sql: str, precision: int, *, is_moment: bool = False) -> str:
    """A timestamp rounded half up to so many digits of a second."""
    if precision >= 6:
        return sql
    half, unit = 5 * 10 ** (5 - precision), 10 ** (6 - precision)
    micros = f"unix_micros(CAST({sql} AS TIMESTAMP))"
    later = f"({micros} + {half})"
    found = f"timestamp_micros({later} - pmod({later}, {unit}))"
    return found if is_moment else f"CAST({found} AS TIMESTAMP_NTZ)"


def printed(sql: str, precision: int) -> str:
    """A timestamp (no moment) as Trino prints it."""
    fraction = "." + "S" * precision if precision else ""
    return f"date_format({sql}, 'yyyy-MM-dd HH:mm:ss{fraction}')"

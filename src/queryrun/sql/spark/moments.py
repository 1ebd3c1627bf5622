"""Dates, timestamps and their zones in Spark's SQL.

Trino's `timestamp` is Spark's TIMESTAMP_NTZ, `timestamp with time zone` is TIMESTAMP, a moment.
The session's zone is always UTC there (`session.SETTINGS`), so that the two become each other
unchanged; what zone a value is read in is said by name, in the statement.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from queryrun.sql.compile import types as t
from queryrun.sql.compile.moments import Written, read_zoned
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.spark import fine
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.types import text

UTC = "UTC"


def wall_clock(value: Typed, session_zone: str) -> str:
    """What a calendar and a clock say at that moment, in the value's own zone."""
    value = fine.coarse(value)
    if value.type.name != t.TSTZ:
        return value.sql
    zone = value.type.zone or session_zone
    if zone == t.VARIES:
        raise UnsupportedCastError("A time zone that differs from value to value")
    read = f"CAST({value.sql} AS TIMESTAMP_NTZ)"
    return read if zone == UTC else f"convert_timezone('UTC', {text(zone)}, {read})"


def local(value: Typed, session_zone: str) -> Typed:
    """The same with all of its digits, as a timestamp without a zone."""
    if value.type.name != t.TSTZ:
        return value
    kind = t.timestamp(value.type.params[0])
    whole = Typed(wall_clock(value, session_zone), t.timestamp(min(6, kind.params[0])))
    return fine.refined(whole, fine.below(value), kind)


def in_zone(moment: Typed, zone: str, session_zone: str) -> Typed:
    """A wall clock's reading as the moment that it is in that zone, with all of its digits."""
    kind = t.timestamp_tz(moment.type.params[0], zone)
    whole = Typed(moment_at(fine.coarse(moment).sql, zone or session_zone), t.timestamp_tz(6, zone))
    return fine.refined(whole, fine.below(moment), kind)


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
    read = read_zoned(written)
    if read is None:
        return None
    moment = in_zone(written_out(read.moment, read.text), read.zone, session_zone)
    return Typed(moment.sql, moment.type, written)


def written_out(found: Written, formatted: str = "") -> Typed:
    """A moment that is written out, as a timestamp without a zone; `formatted` as it was."""
    kind = t.timestamp(found.precision)
    if t.is_fine(kind):
        return Typed(fine.literal(found.picos), kind)
    micros = found.picos // 10**6
    try:
        moment = datetime(1970, 1, 1) + timedelta(microseconds=micros)
    except OverflowError:  # a year of other than four digits
        if not -(2**63) <= micros < 2**63:
            raise UnsupportedCastError("A year so far away") from None
        return Typed(f"CAST(timestamp_micros({micros}L) AS TIMESTAMP_NTZ)", kind)
    return Typed(f"CAST({text(formatted or moment.isoformat(' '))} AS TIMESTAMP_NTZ)", kind)


def printed(local: Typed, separator: str = " ") -> str:
    """A timestamp (no moment) as Trino prints it."""
    precision = local.type.params[0]
    fraction = "." + "S" * min(precision, 6) if precision else ""
    between = separator if separator == " " else f"\\'{separator}\\'"

    def whole(sql: str) -> str:
        return f"date_format({sql}, 'yyyy-MM-dd{between}HH:mm:ss{fraction}')"

    def finer(u: str) -> str:
        value = Typed(u, local.type)
        rest = f"lpad(CAST({fine.below(value)} AS STRING), 6, '0')"
        return f"concat({whole(fine.coarse(value).sql)}, substring({rest}, 1, {precision - 6}))"

    return bound(local.sql, finer, "u4") if precision > 6 else whole(local.sql)

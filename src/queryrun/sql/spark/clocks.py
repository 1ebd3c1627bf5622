"""Trino's TIME in Spark's SQL: microseconds since midnight, as a number, until it is a result."""

from __future__ import annotations

import re

from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.types import text
from queryrun.sql.trino import types as t
from queryrun.sql.trino.cast_checks import CastSite
from queryrun.sql.trino.clocks import PATTERN, UNITS
from queryrun.sql.trino.typed import Typed, UnsupportedCastError

DAY = 86_400_000_000
_MAX_DIGITS = 6
_WHOLE = rf"^(?:{PATTERN})\z"


def literal(written: str) -> Typed | None:
    """`TIME '10:11:12.345'`; None where it is none at all."""
    if not re.fullmatch(PATTERN, written):
        return None
    clock, _, digits = written.partition(".")
    hour, minute, second = [*map(int, clock.split(":")), 0][:3]
    micros = ((hour * 60 + minute) * 60 + second) * 10**6 + int(digits[:6].ljust(6, "0") or 0)
    return Typed(f"{micros}L", t.time(len(digits)), written)


def rounded(sql: str, precision: int) -> str:
    """Rounded half up to so many digits of a second; 24:00 is 00:00."""
    unit = 10 ** (_MAX_DIGITS - precision)
    return f"(({sql} + {unit // 2}) div {unit}L * {unit}L % {DAY}L)" if unit > 1 else sql


def of_timestamp(local: str, precision: int) -> str:
    """What the clock says there."""
    return rounded(f"pmod(unix_micros(CAST({local} AS TIMESTAMP)), {DAY}L)", precision)


def printed(value: Typed) -> str:
    """As Trino prints it."""
    digits = value.type.params[0]
    form = "HH:mm:ss" + ("." + "S" * digits if digits else "")
    return f"date_format(timestamp_micros({value.sql}), '{form}')"


def result(value: Typed) -> str:
    """As a column of a result."""
    return f"CAST({printed(value)} AS TIME({value.type.params[0]}))"


def moved(value: Typed, micros: str) -> str:
    """Later or earlier by so many microseconds, around midnight."""
    return f"pmod({value.sql} + {micros}, {DAY}L)"


def cut(value: Typed, unit: str) -> str:
    """To whole units."""
    size = UNITS[unit]
    return f"({value.sql} div {size}L * {size}L)"


def field(value: Typed, name: str) -> str:
    """The hour, minute, second or millisecond."""
    base = {"hour": 24, "minute": 60, "second": 60, "millisecond": 1000}[name]
    return f"({value.sql} div {UNITS[name]}L % {base})"


def to_time(value: Typed, target: t.Type, site: CastSite, local: str) -> Typed:
    """A cast to TIME. `local`: what calendar and clock say, of a timestamp."""
    precision = target.params[0]
    if value.type.name == "time":
        return Typed(rounded(value.sql, precision), target)
    if value.type.name in {"timestamp", t.TSTZ}:
        return Typed(of_timestamp(local, precision), target)
    if value.type.name != "varchar":
        raise UnsupportedCastError(f"A cast from {value.type} to {target}")
    return Typed(bound(value.sql, lambda x: _read(x, target, site), "x"), target)


def _read(x: str, target: t.Type, site: CastSite) -> str:
    moment = f"CAST(concat('1970-01-01 ', {x}) AS TIMESTAMP)"
    found = rounded(f"unix_micros({moment})", target.params[0])
    fits = f"{x} RLIKE {text(_WHOLE)}"
    fine = f"{x} RLIKE '[.][0-9]{{7}}'"
    beyond = "raise_error('A time with so many digits is not supported')"
    wrong = f"raise_error(concat('Value cannot be cast to time: ', {x}))"
    other = "" if site.is_safe else f" WHEN {x} IS NOT NULL THEN {wrong}"
    return f"(CASE WHEN {fits} AND {fine} THEN {beyond} WHEN {fits} THEN {found}{other} END)"

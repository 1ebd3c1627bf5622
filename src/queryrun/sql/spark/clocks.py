"""Trino's TIME in Spark's SQL: picoseconds since midnight, as a number, until it is a result.

With a zone they are those of UTC (`fine.py`).
"""

from __future__ import annotations

from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.moments import DAY, PATTERN, clock_picos, zone_literal
from queryrun.sql.compile.moments import UNITS as _MICROS
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.spark import fine
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.types import text

__all__ = ["DAY", "UNITS"]

UNITS = {name: micros * 10**6 for name, micros in _MICROS.items()}
"""Picoseconds."""
RESULT_DIGITS = 6
"""As many has Spark's TIME; a finer one is a text in a result."""
_WHOLE = rf"^(?:{PATTERN})\z"
_ZONED = r"[+-][0-9]{1,2}:[0-9]{2}\z"


def literal(written: str) -> Typed | None:
    """`TIME '10:11:12.345'`, with a zone or without; None where it is none at all."""
    total = clock_picos(written)
    if total is not None:
        return Typed(f"{total}L", t.time(len(written.partition(".")[2])), written)
    return zone_literal(written)


def to_precision(value: Typed, precision: int) -> Typed:
    """Rounded half up to so many digits of a second; 24:00 is 00:00."""
    kind = replace(value.type, params=(precision,))
    unit = 10 ** (fine.DIGITS - precision)
    if precision >= value.type.params[0]:
        return Typed(value.sql, kind)
    return Typed(f"(({value.sql} + {unit // 2}L) div {unit}L * {unit}L % {DAY}L)", kind)


def of_timestamp(local: Typed) -> Typed:
    """What the clock says there, of a timestamp without a zone."""
    whole = fine.coarse(local)
    micros = f"pmod(unix_micros(CAST({whole.sql} AS TIMESTAMP)), 86400000000L)"
    sql = f"({micros} * 1000000L)"
    if t.is_fine(local.type):
        sql = f"({sql} + CAST({fine.below(local)} AS BIGINT))"
    return Typed(sql, t.time(local.type.params[0]))


def printed(value: Typed) -> str:
    """As Trino prints it, with or without a zone."""
    digits = value.type.params[0]
    form = "HH:mm:ss" + ("." + "S" * min(digits, 6) if digits else "")

    def clock(u: str) -> str:
        return f"date_format(timestamp_micros({u} div 1000000L), '{form}')"

    def finer(u: str) -> str:
        rest = f"substring(lpad(CAST({u} % 1000000L AS STRING), 6, '0'), 1, {digits - 6})"
        return f"concat({clock(u)}, {rest})"

    picos = fine.unzoned(value).sql
    sql = bound(picos, finer, "u3") if digits > 6 else clock(picos)
    return f"concat({sql}, {text(value.type.zone)})" if value.type.name == t.TIMETZ else sql


def result(value: Typed) -> Typed:
    """As a column of a result."""
    if value.type.name == t.TIMETZ or value.type.params[0] > RESULT_DIGITS:
        return Typed(printed(value), t.VARCHAR)
    return Typed(f"CAST({printed(value)} AS TIME({value.type.params[0]}))", value.type)


def moved(value: Typed, picos: str) -> str:
    """Later or earlier by so many picoseconds, less than a day, around midnight."""
    return f"pmod({value.sql} + {picos}, {DAY}L)"


def cut(value: Typed, unit: str) -> Typed:
    """To whole units, of the clock of its own zone."""
    size = UNITS[unit]
    sql = f"({fine.unzoned(value).sql} div {size}L * {size}L)"
    if value.type.name == "time":
        return Typed(sql, value.type)
    return Typed(fine.zoned(Typed(sql, t.time(fine.DIGITS)), value.type.zone).sql, value.type)


def field(value: Typed, name: str) -> str:
    """The hour, minute, second or millisecond."""
    base = {"hour": 24, "minute": 60, "second": 60, "millisecond": 1000}[name]
    return f"({fine.unzoned(value).sql} div {UNITS[name]}L % {base})"


def to_time(value: Typed, target: t.Type, site: CastSite, local: Typed) -> Typed:
    """A cast to TIME, with a zone or without. `local`: what calendar and clock say."""
    clock = _clock(value, target, site, local)
    if target.name == "time":
        return to_precision(fine.unzoned(clock), target.params[0])
    if clock.type.name == "time":
        zone = value.type.zone if value.type.name == t.TSTZ else ""
        clock = fine.zoned(clock, zone or site.zone)
    return to_precision(clock, target.params[0])


def _clock(value: Typed, target: t.Type, site: CastSite, local: Typed) -> Typed:
    """The clock of a value, with the digits that it has."""
    if value.type.name in {"time", t.TIMETZ}:
        return value
    if value.type.name in {"timestamp", t.TSTZ}:
        return of_timestamp(local)
    if value.type.name != "varchar":
        raise UnsupportedCastError(f"A cast from {value.type} to {target}", is_mismatch=True)
    found = literal(value.constant.strip()) if isinstance(value.constant, str) else None
    if found is not None and target.name in {t.TIMETZ, found.type.name}:
        return found
    if target.name == t.TIMETZ:
        raise UnsupportedCastError(f"A cast from varchar to {target} (of anything but a literal)")
    return Typed(bound(value.sql, lambda x: _read(x, target, site), "x"), t.time(fine.DIGITS))


def _read(x: str, target: t.Type, site: CastSite) -> str:
    """All of its digits: what Spark reads, and what is below."""
    coarse = f"regexp_replace({x}, '([.][0-9]{{6}})[0-9]+$', '$1')"
    moment = f"CAST(concat('1970-01-01 ', {coarse}) AS TIMESTAMP)"
    digits = f"regexp_extract({x}, '[.][0-9]{{6}}([0-9]{{1,6}})$', 1)"
    found = f"(unix_micros({moment}) * 1000000L + CAST(rpad({digits}, 6, '0') AS BIGINT))"
    fits = f"{x} RLIKE {text(_WHOLE)}"
    zoned = f"{x} RLIKE {text(_ZONED)}"
    refused = f"raise_error({text(f'A cast of a time with a zone to {target} is not supported')})"
    wrong = f"raise_error(concat('Value cannot be cast to time: ', {x}))"
    other = "" if site.is_safe else f" WHEN {x} IS NOT NULL THEN {wrong}"
    return f"(CASE WHEN {fits} THEN {found} WHEN {zoned} THEN {refused}{other} END)"

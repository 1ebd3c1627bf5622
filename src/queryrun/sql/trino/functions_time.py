"""Functions of dates and times, by Trino's names."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re

from queryrun.sql.trino import ast, clocks, formats, intervals
from queryrun.sql.trino import types as t
from queryrun.sql.trino.casts import local, rounded
from queryrun.sql.trino.compile_calls import CallCompiler, special
from queryrun.sql.trino.typed import Typed, cast, text

_FIELDS = {
    "year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day",
    "week_of_year": "week", "day_of_month": "day", "day_of_week": "isodow", "dow": "isodow",
    "day_of_year": "dayofyear", "doy": "dayofyear", "year_of_week": "isoyear", "yow": "isoyear",
    "hour": "hour", "minute": "minute", "second": "second", "millisecond": "millisecond",
}  # fmt: skip
_OF_THE_CLOCK = {"hour", "minute", "second", "millisecond"}
_STEPS = {
    "millisecond": "to_milliseconds({})", "second": "to_seconds({})", "minute": "to_minutes({})",
    "hour": "to_hours({})", "day": "to_days({})", "week": "to_days(7 * {})",
    "month": "to_months({})", "quarter": "to_months(3 * {})", "year": "to_years({})",
}  # fmt: skip
_LETTERS = re.compile(r"%-?.")
_BY_THE_CLOCK = {"millisecond", "second", "minute", "hour"}


def _moment(c: CallCompiler, node: ast.Call, value: Typed) -> Typed:
    if not t.is_moment(value.type):
        c.wrong_arguments(node, [value])
    return value


def _reading(value: Typed) -> str:
    """What calendar and clock say: of the value's own zone, where it has one."""
    return local(value) if value.type.name == t.TSTZ else value.sql


def _in_millis(value: Typed) -> str:
    """What is printed: to the nearest millisecond."""
    reading = _reading(value)
    is_finer = value.type != t.DATE and value.type.params[0] > _MILLISECONDS
    return rounded(reading, _MILLISECONDS) if is_finer else reading


def _unit(c: CallCompiler, node: ast.Call, value: Typed, moment: Typed) -> str:
    unit = c.constant_text(node, value, "a unit").lower()
    if unit not in _STEPS:
        c.invalid(f"'{unit}' is not a valid unit", node.at)
    if moment.type == t.DATE and unit in _BY_THE_CLOCK:
        c.invalid(f"'{unit}' is not a valid DATE field", node.at)
    return unit


def _time_unit(c: CallCompiler, node: ast.Call, value: Typed) -> str:
    unit = c.constant_text(node, value, "a unit").lower()
    if unit not in clocks.UNITS:
        c.invalid(f"'{unit}' is not a valid TIME field", node.at)
    return unit


def _time_plus(
    c: CallCompiler, node: ast.Call, written: Typed, count: Typed, value: Typed
) -> Typed:
    """Around midnight, and cut to the digits that the value has."""
    size = clocks.UNITS[_time_unit(c, node, written)]
    number = f"CAST({c.as_type(node, count, t.BIGINT).sql} AS HUGEINT)"
    digit = 10 ** (6 - value.type.params[0])
    day = 86_400_000_000
    moved = f"({clocks.micros(value.sql)} + {number} % {day} * {size} % {day} + {day}) % {day}"
    sql = clocks.of_micros(f"CAST(({moved} + {digit // 2}) // {digit} * {digit} AS BIGINT)")
    return Typed(sql, value.type)


_MILLISECONDS = 3
"""Digits of a second."""


@special("current_timestamp", "now", "localtimestamp", "localtime")
def _now(c: CallCompiler, node: ast.Call) -> Typed:
    """With so many digits of a second; three unless told."""
    args = c.args(node, 0, 0 if node.name == "now" else 1) if node.args else []
    digits = args[0].constant if args else 3
    if not isinstance(digits, int) or digits > 6:
        c.refuse(f"{node.name} with such a precision", node.at)
    unit = 10 ** (6 - digits)
    moment = "now()" if unit == 1 else f"make_timestamptz(epoch_us(now()) // {unit} * {unit})"
    if node.name in {"current_timestamp", "now"}:
        return Typed(moment, t.timestamp_tz(digits))
    local_kind = "TIME" if node.name == "localtime" else "TIMESTAMP"
    kind = t.time(digits) if node.name == "localtime" else t.timestamp(digits)
    return Typed(f"CAST(CAST({moment} AS TIMESTAMP) AS {local_kind})", kind)


@special(*_FIELDS)
def _field(c: CallCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    is_of_months = value.type == t.MONTHS and node.name in {"year", "month"}
    if (value.type == t.DAYS and node.name in intervals.FIELDS) or is_of_months:
        return c.once(value, lambda one: Typed(intervals.field(one, node.name), t.BIGINT))
    if value.type.name == "time" and node.name in _OF_THE_CLOCK:
        sql = f"{_FIELDS[node.name]}({value.sql})"
        return Typed(f"({sql} % 1000)" if node.name == "millisecond" else sql, t.BIGINT)
    value = _moment(c, node, value)
    if value.type == t.DATE and node.name in _OF_THE_CLOCK:
        value = cast(value, t.timestamp(0))
    sql = f"{_FIELDS[node.name]}({_reading(value)})"
    return Typed(f"({sql} % 1000)" if node.name == "millisecond" else sql, t.BIGINT)


@special("date_trunc")
def _date_trunc(c: CallCompiler, node: ast.Call) -> Typed:
    written, value = c.args(node, 2)
    if value.type.name == "time":
        size = clocks.UNITS[_time_unit(c, node, written)]
        sql = clocks.of_micros(f"({clocks.micros(value.sql)} // {size} * {size})")
        return Typed(sql, value.type)
    _moment(c, node, value)
    unit = _unit(c, node, written, value)
    if value.type == t.DATE:
        return Typed(f"CAST(date_trunc('{unit}', {value.sql}) AS DATE)", t.DATE)
    if value.type.name == t.TSTZ and value.type.zone:
        zone = value.type.zone
        if zone.startswith(("+", "-")):
            c.refuse("date_trunc in a zone without a name", node.at)
        return Typed(f"timezone({text(zone)}, date_trunc('{unit}', {local(value)}))", value.type)
    return Typed(f"date_trunc('{unit}', {value.sql})", value.type)


@special("date_add")
def _date_add(c: CallCompiler, node: ast.Call) -> Typed:
    written, count, value = c.args(node, 3)
    if value.type.name == "time":
        return _time_plus(c, node, written, count, value)
    _moment(c, node, value)
    unit = _unit(c, node, written, value)
    if unit.startswith("milli") and value.type.params and value.type.params[0] < _MILLISECONDS:
        c.refuse("date_add of milliseconds to a timestamp of fewer digits", node.at)
    number = c.as_type(node, count, t.BIGINT).sql
    if unit not in _BY_THE_CLOCK:
        number = f"CAST({number} AS INTEGER)"
    if value.type.name == t.TSTZ and unit in _BY_THE_CLOCK:
        return Typed(f"({value.sql} + {_STEPS[unit].format(number)})", value.type)
    return c.moved(value, f"+ {_STEPS[unit].format(number)}")


@special("date_diff")
def _date_diff(c: CallCompiler, node: ast.Call) -> Typed:
    """Whole units between two moments; DuckDB's own date_diff counts borders instead."""
    written, first, last = c.args(node, 3)
    if first.type.name == last.type.name == "time":
        size = clocks.UNITS[_time_unit(c, node, written)]
        between = f"({clocks.micros(last.sql)} - {clocks.micros(first.sql)})"
        return Typed(f"({between} // {size})", t.BIGINT)
    kind = t.common_moment(_moment(c, node, first).type, _moment(c, node, last).type)
    unit = _unit(c, node, written, Typed("", kind))
    if kind.name == t.TSTZ and unit not in _BY_THE_CLOCK:
        a, b = _reading(cast(first, kind)), _reading(cast(last, kind))
    else:
        a, b = cast(first, kind).sql, cast(last, kind).sql
    return Typed(f"date_sub('{unit}', {a}, {b})", t.BIGINT)


@special("date_format")
def _date_format(c: CallCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    value = _moment(c, node, value)
    written = formats.mysql_format(c.constant_text(node, pattern, "a pattern"))
    return Typed(f"strftime({_in_millis(value)}, {text(written)})", t.VARCHAR)


@special("date_parse")
def _date_parse(c: CallCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    written = formats.mysql_format(c.constant_text(node, pattern, "a pattern"))
    given = c.as_type(node, value, t.VARCHAR).sql
    if "%y" in written:
        c.refuse("%y in date_parse", node.at)
    if "%I" in written and "%p" not in written:
        c.refuse("%h in date_parse without %p", node.at)
    if not {"%Y", "%G"} & set(_LETTERS.findall(written)):  # DuckDB would begin with 1900
        given, written = f"('1970 ' || {given})", f"%Y {written}"
    if "%f" in written:  # nine digits may be there, three count
        given = rf"regexp_replace({given}, '\.(\d{{6}})\d{{1,3}}', '.\1')"
        parsed = f"strptime({given}, {text(written)})"
        return Typed(f"date_trunc('millisecond', {parsed})", t.timestamp(3))
    return Typed(f"strptime({given}, {text(written)})", t.timestamp(3))


@special("format_datetime")
def _format_datetime(c: CallCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    if _moment(c, node, value).type == t.DATE:
        value = cast(value, t.timestamp(3))
    written = formats.joda_format(c.constant_text(node, pattern, "a pattern"))
    return Typed(f"strftime({_in_millis(value)}, {text(written)})", t.VARCHAR)


@special("parse_datetime")
def _parse_datetime(c: CallCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    written = formats.joda_format(c.constant_text(node, pattern, "a pattern"))
    parsed = f"strptime({c.as_type(node, value, t.VARCHAR).sql}, {text(written)})"
    return Typed(f"timezone({text(c.zone)}, {parsed})", t.timestamp_tz(3))


@special("from_unixtime")
def _from_unixtime(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    seconds = c.as_type(node, args[0], t.DOUBLE).sql
    zone = _zone(c, node, args[1]) if len(args) == 2 else ""
    sql = f"make_timestamptz(CAST(floor({seconds} * 1000 + 0.5) AS BIGINT) * 1000)"
    return Typed(sql, t.timestamp_tz(3, zone))


def _zone(c: CallCompiler, node: ast.Call, value: Typed) -> str:
    zone = c.constant_text(node, value, "a time zone")
    if zone[:1] in {"+", "-"}:
        hours, _, minutes = zone[1:].partition(":")
        return f"{zone[0]}{int(hours):02}:{minutes or '00'}"
    return zone


@special("at_timezone")
def _at_timezone(c: CallCompiler, node: ast.Call) -> Typed:
    value, zone = c.args(node, 2)
    if value.type.name == "time":
        c.refuse("Type time with time zone", node.at)
    if value.type.name == "timestamp":
        value = cast(value, t.timestamp_tz(value.type.params[0]))
    if value.type.name != t.TSTZ:
        c.wrong_arguments(node, [value, zone])
    name = _zone(c, node, zone)
    # converting makes DuckDB look the zone up, and fail for one that does not exist
    sql = (
        value.sql
        if name[:1] in {"+", "-"}
        else f"timezone({text(name)}, timezone({text(name)}, {value.sql}))"
    )
    return Typed(
        sql if name not in {c.zone, "UTC"} else value.sql,
        t.timestamp_tz(value.type.params[0], name),
    )


@special("with_timezone")
def _with_timezone(c: CallCompiler, node: ast.Call) -> Typed:
    value, zone = c.args(node, 2)
    if value.type.name not in {"timestamp", "date"}:
        c.wrong_arguments(node, [value, zone])
    value = cast(value, t.timestamp(3)) if value.type == t.DATE else value
    name = _zone(c, node, zone)
    if name[:1] in {"+", "-"}:
        c.refuse("with_timezone with a zone without a name", node.at)
    return Typed(f"timezone({text(name)}, {value.sql})", t.timestamp_tz(value.type.params[0], name))


@special("current_timezone")
def _current_timezone(c: CallCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(text(c.zone), t.VARCHAR)


@special("to_iso8601")
def _to_iso8601(c: CallCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type == t.DATE:
        return c.plain(node, [value])
    if value.type.name == "timestamp" and value.type.params[0] in {3, 6}:
        formatted = f"strftime({value.sql}, '%Y-%m-%dT%H:%M:%S.%f')"
        return Typed(f"left({formatted}, {20 + value.type.params[0]})", t.VARCHAR)
    c.refuse(f"to_iso8601 of {value.type}", node.at)

"""Functions of dates and times, by Trino's names."""

from __future__ import annotations

import re
from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.iso_moments import read_iso, read_iso_date_time
from queryrun.sql.compile.moments import Written, offset_minutes, offset_name, wrong_unit
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.zones import Named, zone_argument
from queryrun.sql.spark import casts, clocks, fine, formats, intervals, moments
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.types import FINE, text
from queryrun.sql.trino.records import ast

_FIELDS = {
    "year": "year({})", "quarter": "quarter({})", "month": "month({})", "week": "weekofyear({})",
    "day": "day({})", "week_of_year": "weekofyear({})", "day_of_month": "day({})",
    "day_of_week": "(weekday({}) + 1)", "dow": "(weekday({}) + 1)",
    "day_of_year": "dayofyear({})", "doy": "dayofyear({})",
    "year_of_week": "extract(YEAROFWEEK FROM {})", "yow": "extract(YEAROFWEEK FROM {})",
    "hour": "hour({})", "minute": "minute({})", "second": "second({})",
    "millisecond": "(extract(SECOND FROM {}) * 1000 % 1000)",
}  # fmt: skip
_CLOCKS = frozenset(["time", t.TIMETZ])
_OF_THE_CLOCK = {"hour", "minute", "second", "millisecond"}
_MICROS = {"millisecond": 1_000, "second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6}
_MILLISECONDS = 3
"""Digits of a second."""
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def _moment(c: SparkCompiler, node: ast.Call, value: Typed) -> Typed:
    if not t.is_moment(value.type):
        c.wrong_arguments(node, [value])
    return value


def _reading(c: SparkCompiler, value: Typed) -> str:
    """What calendar and clock say: of the value's own zone, where it has one."""
    return moments.wall_clock(value, c.zone)


def _unit(c: SparkCompiler, node: ast.Call, value: Typed) -> str:
    return c.constant_text(node, value, "a unit").lower()


@special(*_FIELDS)
def _field(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type in {t.DAYS, t.MONTHS} and (found := intervals.field(value, node.name)):
        return Typed(found, t.BIGINT)
    if value.type.name in _CLOCKS and node.name in _OF_THE_CLOCK:
        return Typed(f"CAST({clocks.field(value, node.name)} AS BIGINT)", t.BIGINT)
    value = _moment(c, node, value)
    if value.type == t.DATE and node.name in _OF_THE_CLOCK:
        value = c.cast_to(value, t.timestamp(0))
    return Typed(f"CAST({_FIELDS[node.name].format(_reading(c, value))} AS BIGINT)", t.BIGINT)


@special("date_trunc")
def _date_trunc(c: SparkCompiler, node: ast.Call) -> Typed:
    written, value = c.args(node, 2)
    unit = _unit(c, node, written)
    if value.type.name not in _CLOCKS:
        _moment(c, node, value)
    if wrong := wrong_unit(unit, value.type):
        return c.fails(wrong, value.type, [value])
    if value.type.name in _CLOCKS:
        return clocks.cut(value, unit)
    if value.type == t.DATE:
        sql = value.sql if unit == "day" else f"trunc({value.sql}, '{unit}')"
        return Typed(sql, t.DATE)
    cut = f"CAST(date_trunc('{unit}', {_reading(c, value)}) AS TIMESTAMP_NTZ)"
    whole = Typed(cut, t.timestamp(6))
    if value.type.name == t.TSTZ:
        if value.type.zone.startswith(("+", "-")):
            c.refuse("date_trunc in a zone without a name", node.at)
        whole = moments.in_zone(whole, value.type.zone, c.zone)
    return fine.refined(whole, "0BD", value.type)


@special("date_add")
def _date_add(c: SparkCompiler, node: ast.Call) -> Typed:
    written, count, value = c.args(node, 3)
    unit = _unit(c, node, written)
    if value.type.name not in _CLOCKS:
        _moment(c, node, value)
    number = c.as_type(node, count, t.BIGINT).sql
    if wrong := wrong_unit(unit, value.type):
        return c.fails(wrong, value.type, [count, value])
    if value.type.name in _CLOCKS:
        size = clocks.UNITS[unit]
        by = f"{number} % {clocks.DAY // size}L * {size}L"
        moved = Typed(clocks.moved(value, by), replace(value.type, params=(fine.DIGITS,)))
        return clocks.to_precision(moved, value.type.params[0])
    if value.type == t.DATE:
        days = f"date_add({value.sql}, CAST({number} * {_DAYS.get(unit)} AS INT))"
        months = f"add_months({value.sql}, CAST({number} * {_MONTHS.get(unit)} AS INT))"
        return Typed(days if unit in _DAYS else months, t.DATE)
    if unit in _MICROS:
        whole = fine.coarse(value)
        micros = f"(unix_micros(CAST({whole.sql} AS TIMESTAMP)) + {number} * {_MICROS[unit]}L)"
        found = f"timestamp_micros({micros})"
        if value.type.name != t.TSTZ:
            found = f"CAST({found} AS TIMESTAMP_NTZ)"
        moved = fine.refined(Typed(found, whole.type), fine.below(value), value.type)
        if unit == "millisecond" and value.type.params[0] < _MILLISECONDS:
            exact = Typed(moved.sql, replace(value.type, params=(_MILLISECONDS,)))
            return fine.to_precision(exact, value.type.params[0])
        return moved
    if unit in _DAYS:
        return c.moved(value, f"+ make_dt_interval(CAST({number} * {_DAYS[unit]} AS INT))")
    return c.moved(value, f"+ make_ym_interval(0, CAST({number} * {_MONTHS[unit]} AS INT))")


@special("date_diff")
def _date_diff(c: SparkCompiler, node: ast.Call) -> Typed:
    """Whole units between two moments."""
    written, first, last = c.args(node, 3)
    unit = _unit(c, node, written)
    if first.type.name in _CLOCKS and last.type.name in _CLOCKS:
        if wrong := wrong_unit(unit, first.type):
            return c.fails(wrong, t.BIGINT, [first, last])
        size = clocks.UNITS[unit]
        if first.type.name != last.type.name:
            zone = first.type.zone or last.type.zone
            first, last = (c.cast_to(one, t.time_tz(fine.DIGITS, zone)) for one in (first, last))
        return Typed(f"(({last.sql} - {first.sql}) div {size}L)", t.BIGINT)
    kind = t.common_moment(_moment(c, node, first).type, _moment(c, node, last).type)
    if first.type == last.type == t.DATE:
        kind = t.DATE
    if wrong := wrong_unit(unit, kind):
        return c.fails(wrong, t.BIGINT, [first, last])
    if kind == t.DATE:
        kind = t.timestamp(0)
    a, b = fine.coarse(c.cast_to(first, kind)), fine.coarse(c.cast_to(last, kind))
    kind = a.type
    if kind.params[0] > _MILLISECONDS:  # Trino counts in whole milliseconds
        a, b = (
            Typed(f"CAST(date_trunc('MILLISECOND', {v.sql}) AS {c.type_name(kind)})", kind)
            for v in (a, b)
        )
    if unit in _MICROS:
        ends = [f"unix_micros(CAST({value.sql} AS TIMESTAMP))" for value in (a, b)]
        return Typed(f"(({ends[1]} - {ends[0]}) div {_MICROS[unit]}L)", t.BIGINT)
    x, y = _reading(c, a), _reading(c, b)
    if unit in _DAYS:
        sql = f"CAST(timestampdiff(DAY, {x}, {y}) AS BIGINT)"
        return Typed(sql if unit == "day" else f"({sql} div 7)", t.BIGINT)
    months = _whole_months(x, y)
    sql = months if unit == "month" else f"({months} div {_MONTHS[unit]})"
    return Typed(sql, t.BIGINT)


def _whole_months(a: str, b: str) -> str:
    """The most months that can be added to the earlier without passing the later."""
    count = f"((year({b}) - year({a})) * 12 + month({b}) - month({a}))"
    sql = (
        f"CASE WHEN {a} <= {b} AND {a} + make_ym_interval(0, {count}) > {b} THEN {count} - 1 "
        f"WHEN {a} > {b} AND {b} + make_ym_interval(0, -{count}) > {a} THEN {count} + 1 "
        f"ELSE {count} END"
    )
    return f"CAST({sql} AS BIGINT)"


@special("date_format")
def _date_format(c: SparkCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    value = _moment(c, node, value)
    written = formats.mysql_format(c.constant_text(node, pattern, "a pattern"))
    reading = _reading(c, value)
    if value.type != t.DATE and value.type.params[0] > 3 and "S" in written:
        reading = f"date_trunc('MILLISECOND', {reading})"  # Trino prints no more
    return Typed(f"date_format({reading}, {text(written)})", t.VARCHAR)


@special("format_datetime")
def _format_datetime(c: SparkCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    value = _moment(c, node, value)
    if value.type.name == t.TSTZ and value.type.params[0] > _MILLISECONDS:  # as Trino rounds it
        value = fine.to_precision(value, _MILLISECONDS)
    parts = formats.apart_from_zones(c.constant_text(node, pattern, "a pattern"))
    if parts == [""]:
        c.invalid("Invalid pattern specification", node.at)
    if len(parts) > 1 and value.type.name != t.TSTZ:
        c.invalid(
            "format_datetime for TIMESTAMP type, cannot use 'Z' nor 'z' in format, as this type "
            "does not contain TZ information",
            node.at,
        )
    found = [
        _zone_part(c, value, part)
        if part.startswith("Z")
        else f"date_format({_reading(c, value)}, {text(formats.joda_format(part))})"
        for part in parts
        if part
    ]
    return Typed(found[0] if len(found) == 1 else f"concat({', '.join(found)})", t.VARCHAR)


def _zone_part(c: SparkCompiler, value: Typed, letters: str) -> str:
    """`Z` is +0100, `ZZ` is +01:00, `ZZZ` the zone's name."""
    if len(letters) > 2:
        return text(value.type.zone or c.zone)
    readings = (_reading(c, value), fine.coarse(value).sql)
    ends = [f"unix_micros(CAST({one} AS TIMESTAMP))" for one in readings]
    between = ":" if len(letters) == 2 else ""

    def written(m: str) -> str:
        clock = f"lpad(abs({m}) div 60, 2, '0'), '{between}', lpad(abs({m}) % 60, 2, '0')"
        return f"concat(if({m} < 0, '-', '+'), {clock})"

    return bound(f"(({ends[0]} - {ends[1]}) div 60000000L)", written, "m")


def _parsed(c: SparkCompiler, node: ast.Call, value: Typed, pattern: str) -> str:
    subject = c.as_type(node, value, t.VARCHAR).sql
    if c.in_try:
        c.excused += 1
        parsed = f"try_to_timestamp({subject}, {text(formats.lenient(pattern))})"
    else:
        parsed = f"to_timestamp({subject}, {text(formats.lenient(pattern))})"
    return f"CAST({parsed} AS TIMESTAMP_NTZ)"


@special("date_parse")
def _date_parse(c: SparkCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    written = formats.mysql_format(c.constant_text(node, pattern, "a pattern"))
    return Typed(_parsed(c, node, value, written), t.timestamp(3))


@special("parse_datetime")
def _parse_datetime(c: SparkCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    written = formats.joda_format(c.constant_text(node, pattern, "a pattern"))
    sql = moments.moment_at(_parsed(c, node, value, written), c.zone)
    return Typed(sql, t.timestamp_tz(3))


@special("from_unixtime")
def _from_unixtime(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    seconds = c.as_type(node, args[0], t.DOUBLE).sql
    named = zone_argument(c, node, args[1]) if len(args) == 2 else Named("")
    if named.problem:
        return c.fails(named.problem, t.timestamp_tz(3), args)
    sql = f"timestamp_millis(CAST(floor({seconds} * 1000 + 0.5D) AS BIGINT))"
    return Typed(sql, t.timestamp_tz(3, named.zone))


@special("to_unixtime")
def _to_unixtime(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if t.is_moment(value.type) and t.is_fine(value.type):
        return Typed(f"(CAST({value.sql} AS DOUBLE) / 1e12D)", t.DOUBLE)
    return c.plain(node, [value])


@special("from_unixtime_nanos")
def _from_unixtime_nanos(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if not t.is_integer(value.type) and value.type.name != "decimal":
        c.wrong_arguments(node, [value])
    sql = f"CAST(round({value.sql}, 0) AS {FINE}) * 1000BD"
    return Typed(f"CAST({sql} AS {FINE})", t.timestamp_tz(9))


@special("from_iso8601_date")
def _from_iso8601_date(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    subject = c.as_type(node, value, t.VARCHAR)
    if not isinstance(subject.constant, str):
        failing = c.failing("from_iso8601_date reads YYYY-MM-DD alone")
        pattern = text("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
        test = f"{subject.sql} IS NULL OR {subject.sql} RLIKE {pattern}"
        sql = f"(CASE WHEN {test} THEN CAST({subject.sql} AS DATE) ELSE {failing} END)"
        return Typed(sql, t.DATE)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", subject.constant):
        c.refuse("from_iso8601_date of anything but YYYY-MM-DD", node.at)
    return Typed(f"CAST({subject.sql} AS DATE)", t.DATE)


_ISO_DIGITS = {"from_iso8601_timestamp": 3, "from_iso8601_timestamp_nanos": 9}


@special(*_ISO_DIGITS)
def _from_iso8601_timestamp(c: SparkCompiler, node: ast.Call) -> Typed:
    """Each value keeps the offset that it is written with, so it has to be read here."""
    written = c.constant_text(node, c.args(node, 1)[0], "a moment")
    found = read_iso_date_time(written) if node.name.endswith("nanos") else read_iso(written)
    digits = _ISO_DIGITS[node.name]
    if found is None:
        return c.fails(f'Invalid format: "{written}"', t.timestamp_tz(digits), [])
    nanos = found.nanos if digits > 6 else found.nanos // 10**6 * 10**6
    local = moments.written_out(Written(nanos * 1000, digits))
    return moments.in_zone(local, found.zone, c.zone)


@special("date")
def _date(c: SparkCompiler, node: ast.Call) -> Typed:
    """Of a text it is the cast, which reads no time."""
    (value,) = c.args(node, 1)
    if value.type.name in {"varchar", "char"}:
        return c.expr(ast.Cast(node.args[0], ast.TypeName("date", [], [], node.at), False, node.at))
    if value.type == t.UNKNOWN:
        return Typed("CAST(NULL AS DATE)", t.DATE)
    return Typed(f"CAST({_reading(c, _moment(c, node, value))} AS DATE)", t.DATE)


@special("last_day_of_month")
def _last_day(c: SparkCompiler, node: ast.Call) -> Typed:
    value = _moment(c, node, c.args(node, 1)[0])
    return Typed(f"last_day({_reading(c, value)})", t.DATE)


def _checked_zone(c: SparkCompiler, zone: str, sql: str) -> str:
    """Converting makes Spark look the zone up, and fail for one that does not exist."""
    if zone in {c.zone, "UTC"} or zone[:1] in {"+", "-"}:
        return sql
    there = f"convert_timezone('UTC', {text(zone)}, CAST({sql} AS TIMESTAMP_NTZ))"
    return f"(CASE WHEN {there} IS NOT NULL THEN {sql} END)"


@special("at_timezone")
def _at_timezone(c: SparkCompiler, node: ast.Call) -> Typed:
    value, zone = c.args(node, 2)
    if value.type.name == "timestamp":
        value = c.cast_to(value, t.timestamp_tz(value.type.params[0]))
    if value.type.name == "time":
        value = fine.zoned(value, c.zone)
    if value.type.name not in {t.TSTZ, t.TIMETZ}:
        c.wrong_arguments(node, [value, zone])
    name, problem = zone_argument(c, node, zone)
    if problem:
        return c.fails(problem, value.type, [value])
    if value.type.name == t.TIMETZ:
        shift = offset_name(offset_minutes(name))
        return Typed(value.sql, t.time_tz(value.type.params[0], shift))
    sql = value.sql if t.is_fine(value.type) else _checked_zone(c, name, value.sql)
    return Typed(sql, t.timestamp_tz(value.type.params[0], name))


@special("with_timezone")
def _with_timezone(c: SparkCompiler, node: ast.Call) -> Typed:
    value, zone = c.args(node, 2)
    if value.type.name not in {"timestamp", "date"}:
        c.wrong_arguments(node, [value, zone])
    value = c.cast_to(value, t.timestamp(3)) if value.type == t.DATE else value
    name, problem = zone_argument(c, node, zone)
    if problem:
        return c.fails(problem, t.timestamp_tz(value.type.params[0]), [value])
    if name[:1] in {"+", "-"}:
        c.refuse("with_timezone with a zone without a name", node.at)
    return moments.in_zone(value, name, c.zone)


@special("timezone")
def _timezone(c: SparkCompiler, node: ast.Call) -> Typed:
    """The zone that a value has, which is known before it is."""
    (value,) = c.args(node, 1)
    if value.type.name not in {t.TSTZ, t.TIMETZ}:
        c.wrong_arguments(node, [value])
    if value.type.zone == t.VARIES:
        c.refuse("timezone of values of several time zones", node.at)
    zone = text(value.type.zone or c.zone)
    return Typed(f"(CASE WHEN {value.sql} IS NOT NULL THEN {zone} END)", t.VARCHAR)


@special("timezone_hour", "timezone_minute")
def _offset(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    by = "div 60" if node.name == "timezone_hour" else "% 60"
    if value.type.name == t.TIMETZ:
        known = offset_minutes(value.type.zone)
        sql = f"CASE WHEN {value.sql} IS NOT NULL THEN CAST({known} {by} AS BIGINT) END"
        return Typed(f"({sql})", t.BIGINT)
    if value.type.name != t.TSTZ:
        c.wrong_arguments(node, [value])
    value = fine.coarse(value)
    local = f"CAST({_reading(c, value)} AS TIMESTAMP)"
    minutes = f"((unix_micros({local}) - unix_micros({value.sql})) div 60000000L)"
    return Typed(f"CAST(({minutes} {by}) AS BIGINT)", t.BIGINT)


@special("current_timezone")
def _current_timezone(c: SparkCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(text(c.zone), t.VARCHAR)


def _now(c: SparkCompiler) -> str:
    return moments.wall_clock(Typed("current_timestamp()", t.timestamp_tz(6)), c.zone)


@special("current_date")
def _current_date(c: SparkCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(f"CAST({_now(c)} AS DATE)", t.DATE)


@special("current_timestamp", "now", "localtimestamp", "localtime", "current_time")
def _current(c: SparkCompiler, node: ast.Call) -> Typed:
    """With so many digits of a second; three unless told."""
    args = c.args(node, 0, 0 if node.name == "now" else 1) if node.args else []
    digits = args[0].constant if args else 3
    if not isinstance(digits, int) or not 0 <= digits <= fine.DIGITS:
        c.refuse(f"{node.name} with such a precision", node.at)
    unit = 10 ** (6 - min(digits, 6))
    micros = f"unix_micros(current_timestamp()) div {unit}L * {unit}L"
    now = Typed(f"timestamp_micros({micros})", t.timestamp_tz(min(digits, 6)))
    kinds = {
        "localtime": t.time(digits),
        "localtimestamp": t.timestamp(digits),
        "current_time": t.time_tz(digits, ""),
    }
    kind = kinds.get(node.name, t.timestamp_tz(digits))
    return casts.explicit(now, kind, None, CastSite(zone=c.zone))


@special("to_iso8601")
def _to_iso8601(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type == t.DATE:
        return c.plain(node, [value])
    if value.type.name == t.TIMETZ:
        zone = "Z" if value.type.zone == "+00:00" else value.type.zone
        return Typed(f"concat({clocks.printed(fine.unzoned(value))}, {text(zone)})", t.VARCHAR)
    if value.type.name == "time":
        return Typed(clocks.printed(value), t.VARCHAR)
    if value.type.name not in {"timestamp", t.TSTZ}:
        c.wrong_arguments(node, [value])
    printed = moments.printed(moments.local(value, c.zone), "T")
    if value.type.name == t.TSTZ:
        printed = f"concat({printed}, {offset(c, value)})"
    return Typed(printed, t.VARCHAR)


def offset(c: SparkCompiler, value: Typed, *, with_seconds: bool = False) -> str:
    """`Z`, or how far the zone of a moment is from UTC then, which once was not whole minutes."""
    zone = value.type.zone or c.zone
    if zone in {"UTC", "+00:00"}:
        return "'Z'"
    if zone[:1] in {"+", "-"}:
        return text(zone)
    whole = fine.coarse(value)
    local = f"unix_micros(CAST({_reading(c, whole)} AS TIMESTAMP))"
    seconds = f"({local} - unix_micros({whole.sql})) div 1000000L"

    def formatted(u: str) -> str:
        hours, minutes, rest = (
            f"lpad(CAST(abs({u}) {by} AS STRING), 2, '0')"
            for by in ("div 3600", "div 60 % 60", "% 60")
        )
        clock = f"if({u} < 0, '-', '+'), {hours}, ':', {minutes}"
        if with_seconds:
            clock += f", if({u} % 60 = 0, '', concat(':', {rest}))"
        return f"if({u} = 0, 'Z', concat({clock}))"

    return bound(seconds, formatted, "u5")

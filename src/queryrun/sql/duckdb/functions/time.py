"""Functions of dates and times, by Trino's names."""

from __future__ import annotations

import re
from dataclasses import replace

from queryrun.sql.compile import moments
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.zones import NO_ZONE_KEY, Named, zone_argument, zone_at
from queryrun.sql.duckdb import casts, casts_time, clocks, fine, formats, intervals
from queryrun.sql.duckdb.casts_time import local
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import cast, exact, picos
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text

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


def _moment(c: DuckDBCompiler, node: ast.Call, value: Typed) -> Typed:
    if not t.is_moment(value.type):
        c.wrong_arguments(node, [value])
    return value


def _reading(value: Typed) -> str:
    """What calendar and clock say: of the value's own zone, where it has one."""
    whole = fine.coarse(value)
    return local(whole) if value.type.name == t.TSTZ else whole.sql


def _millis(value: Typed) -> Typed:
    """What formats print: a moment rounded to milliseconds."""
    if not value.type.params or value.type.params[0] <= _MILLISECONDS:
        return value
    return casts_time.to_precision(value, t.timestamp(_MILLISECONDS))


def _unit(c: DuckDBCompiler, node: ast.Call, value: Typed) -> str:
    return c.constant_text(node, value, "a unit").lower()


def _time_plus(c: DuckDBCompiler, node: ast.Call, unit: str, count: Typed, value: Typed) -> Typed:
    """Around midnight, and cut to the digits that the value has."""
    size = moments.UNITS[unit]
    if value.type.name == t.TIMETZ or t.is_fine(value.type):
        return _fine_time_plus(c, node, size, count, value)
    number = f"CAST({c.as_type(node, count, t.BIGINT).sql} AS HUGEINT)"
    digit = 10 ** (6 - value.type.params[0])
    day = 86_400_000_000
    moved = f"({clocks.micros(value.sql)} + {number} % {day} * {size} % {day} + {day}) % {day}"
    sql = clocks.of_micros(f"CAST(({moved} + {digit // 2}) // {digit} * {digit} AS BIGINT)")
    return Typed(sql, value.type)


def _fine_time_plus(
    c: DuckDBCompiler, node: ast.Call, size: int, count: Typed, value: Typed
) -> Typed:
    number = f"CAST({c.as_type(node, count, t.BIGINT).sql} AS HUGEINT)"
    moved = (
        f"({value.sql} + {number} % {moments.DAY} * {size * 10**6} % {moments.DAY} + {moments.DAY})"
    )
    whole = Typed(f"CAST({moved} % {moments.DAY} AS BIGINT)", value.type)
    return fine.rounded(whole, value.type.params[0])


_CLOCKS = frozenset(["time", t.TIMETZ])
_MILLISECONDS = 3
"""Digits of a second."""


@special("current_timestamp", "now", "localtimestamp", "localtime", "current_time")
def _now(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """With so many digits of a second; three unless told."""
    args = c.args(node, 0, 0 if node.name == "now" else 1) if node.args else []
    digits = args[0].constant if args else 3
    if not isinstance(digits, int) or digits > moments.MAX_DIGITS:
        c.refuse(f"{node.name} with such a precision", node.at)
    unit = 10 ** (6 - min(digits, 6))
    moment = "now()" if unit == 1 else f"make_timestamptz(epoch_us(now()) // {unit} * {unit})"
    now = Typed(moment, t.timestamp_tz(min(digits, 6)))
    if node.name in {"localtimestamp", "localtime"}:
        now = casts.explicit(now, t.timestamp(min(digits, 6)), None, CastSite(zone=c.zone))
    kinds = {
        "localtime": t.time(digits),
        "localtimestamp": t.timestamp(digits),
        "current_time": t.time_tz(digits, ""),
    }
    kind = kinds.get(node.name, t.timestamp_tz(digits))
    return casts.explicit(now, kind, None, CastSite(zone=c.zone))


@special(*_FIELDS)
def _field(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    is_of_months = value.type == t.MONTHS and node.name in {"year", "month"}
    if (value.type == t.DAYS and node.name in intervals.FIELDS) or is_of_months:
        found = c.once(value, lambda one: Typed(intervals.field(one, node.name), t.BIGINT))
        return Typed(f"CAST({found.sql} AS BIGINT)", t.BIGINT)  # of NULL DuckDB makes a double
    if value.type.name in _CLOCKS and node.name in _OF_THE_CLOCK:
        sql = f"{_FIELDS[node.name]}({fine.coarse(value).sql})"
        return Typed(f"({sql} % 1000)" if node.name == "millisecond" else sql, t.BIGINT)
    value = _moment(c, node, value)
    if value.type == t.DATE and node.name in _OF_THE_CLOCK:
        value = cast(value, t.timestamp(0))
    sql = f"{_FIELDS[node.name]}({_reading(value)})"
    return Typed(f"({sql} % 1000)" if node.name == "millisecond" else sql, t.BIGINT)


@special("date_trunc")
def _date_trunc(c: DuckDBCompiler, node: ast.Call) -> Typed:
    written, value = c.args(node, 2)
    unit = _unit(c, node, written)
    if value.type.name not in _CLOCKS:
        _moment(c, node, value)
    if wrong := moments.wrong_unit(unit, value.type):
        return c.fails(wrong, value.type, [value])
    if value.type.name in _CLOCKS:
        return _clock_trunc(value, moments.UNITS[unit])
    if value.type == t.DATE:
        return Typed(f"CAST(date_trunc('{unit}', {value.sql}) AS DATE)", t.DATE)
    kind, whole = value.type, fine.coarse(value)
    if kind.name == t.TSTZ and unit in _BY_THE_CLOCK:  # an hour that comes twice stays the one
        reading = local(whole)
        since = f"({reading} - date_trunc('{unit}', {reading}))"
        start = Typed(f"({whole.sql} - {since})", whole.type)
    elif kind.name == t.TSTZ and kind.zone:
        local_start = Typed(f"date_trunc('{unit}', {local(whole)})", t.timestamp(6))
        start = casts_time.in_zone(local_start, kind.zone, c.zone)
    else:
        start = Typed(f"date_trunc('{unit}', {whole.sql})", whole.type)
    return fine.refined(start, "0", kind)


def _clock_trunc(value: Typed, size: int) -> Typed:
    """`size`: of the unit, in microseconds."""
    kind = value.type
    if kind.name == "time" and not t.is_fine(kind):
        return Typed(clocks.of_micros(f"({clocks.micros(value.sql)} // {size} * {size})"), kind)
    clock = fine.local_picos(value) if kind.name == t.TIMETZ else value.sql
    cut = Typed(f"({clock} // {size * 10**6} * {size * 10**6})", t.time(12))
    if kind.name == "time":
        return Typed(cut.sql, kind)
    return Typed(fine.zoned(cut, kind.zone).sql, kind)


@special("date_add")
def _date_add(c: DuckDBCompiler, node: ast.Call) -> Typed:
    written, count, value = c.args(node, 3)
    unit = _unit(c, node, written)
    if value.type.name not in _CLOCKS:
        _moment(c, node, value)
    number = c.as_type(node, count, t.BIGINT).sql
    if wrong := moments.wrong_unit(unit, value.type):
        return c.fails(wrong, value.type, [count, value])
    if value.type.name in _CLOCKS:
        return _time_plus(c, node, unit, count, value)
    if unit not in _BY_THE_CLOCK:
        number = f"CAST({number} AS INTEGER)"
    step = _STEPS[unit].format(number)
    if value.type.name == t.TSTZ and unit in _BY_THE_CLOCK:
        whole = fine.coarse(value)
        moved = Typed(f"({whole.sql} + {step})", whole.type)
        moved = fine.refined(moved, fine.below(value), value.type)
    else:
        moved = c.moved(value, f"+ {step}")
    if unit.startswith("milli") and value.type.params and value.type.params[0] < _MILLISECONDS:
        exact = replace(value.type, params=(_MILLISECONDS,))
        return casts_time.to_precision(Typed(moved.sql, exact), value.type)
    return moved


@special("date_diff")
def _date_diff(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Whole units between two moments; DuckDB's own date_diff counts borders instead."""
    written, first, last = c.args(node, 3)
    unit = _unit(c, node, written)
    if first.type.name in _CLOCKS and last.type.name in _CLOCKS:
        if wrong := moments.wrong_unit(unit, first.type):
            return c.fails(wrong, t.BIGINT, [first, last])
        size = moments.UNITS[unit]
        kind = t.common(first.type, last.type)
        if kind is not None and (kind.name == t.TIMETZ or t.is_fine(kind)):
            between = f"({picos(c.cast_to(last, kind))} - {picos(c.cast_to(first, kind))})"
            return Typed(f"CAST({between} // {size * 10**6} AS BIGINT)", t.BIGINT)
        between = f"({clocks.micros(last.sql)} - {clocks.micros(first.sql)})"
        return Typed(f"({between} // {size})", t.BIGINT)
    kind = t.common_moment(_moment(c, node, first).type, _moment(c, node, last).type)
    if wrong := moments.wrong_unit(unit, kind):
        return c.fails(wrong, t.BIGINT, [first, last])
    if kind.name == t.TSTZ and unit not in _BY_THE_CLOCK:
        begin = cast(first, kind)  # both are read in the zone of the first, as in Trino
        a, b = (_reading(Typed(v.sql, begin.type)) for v in (begin, cast(last, kind)))
    else:
        a, b = fine.coarse(cast(first, kind)).sql, fine.coarse(cast(last, kind)).sql
    if kind.params and kind.params[0] > _MILLISECONDS:  # Trino counts in whole milliseconds
        a, b = f"date_trunc('millisecond', {a})", f"date_trunc('millisecond', {b})"
    return Typed(f"date_sub('{unit}', {a}, {b})", t.BIGINT)


@special("date", "last_day_of_month")
def _day(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if node.name == "date" and value.type.name == "varchar":  # of a text it is the cast
        return c.expr(ast.Cast(node.args[0], ast.TypeName("date", [], [], node.at), False, node.at))
    if value.type.name != t.TSTZ:
        return c.plain(node, [value])
    day = f"CAST({_reading(value)} AS DATE)"
    return Typed(f"last_day({day})" if node.name == "last_day_of_month" else day, t.DATE)


_NO_LETTERS = "Both printing and parsing not supported"
"""What Trino says of a pattern that is empty."""


@special("date_format")
def _date_format(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    value = _millis(_moment(c, node, value))
    written = formats.mysql_format(c.constant_text(node, pattern, "a pattern"))
    if not written:
        return c.fails(_NO_LETTERS, t.VARCHAR, [value])
    return Typed(f"strftime({_reading(value)}, {text(written)})", t.VARCHAR)


@special("date_parse")
def _date_parse(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    pattern_text = c.constant_text(node, pattern, "a pattern")
    written = formats.mysql_format(pattern_text)
    if not written:
        return c.fails(_NO_LETTERS, t.timestamp(3), [c.as_type(node, value, t.VARCHAR)])
    given = c.as_type(node, value, t.VARCHAR).sql
    if "%I" in written and "%p" not in written:
        c.refuse("%h in date_parse without %p", node.at)
    given = _of_format(c, given, formats.mysql_shape(pattern_text))
    if not {"%Y", "%G", "%y"} & set(_LETTERS.findall(written)):  # DuckDB would begin with 1900
        given, written = f"('1970 ' || {given})", f"%Y {written}"
    if "%f" in written:  # nine digits may be there, three count
        given = rf"regexp_replace({given}, '\.(\d{{6}})\d{{1,3}}', '.\1')"
        parsed = f"strptime({given}, {text(written)})"
        parsed = _with_pivot(c, parsed) if "%y" in written else parsed
        return Typed(f"date_trunc('millisecond', {parsed})", t.timestamp(3))
    parsed = f"strptime({given}, {text(written)})"
    if "%y" in written:
        parsed = _with_pivot(c, parsed)
    return Typed(parsed, t.timestamp(3))


def _of_format(c: DuckDBCompiler, given: str, shape: str) -> str:
    """The text, if it has this shape: DuckDB reads past spaces, and a year of one digit."""
    wrong = c.failing("Invalid format")
    fits = f"regexp_full_match({given}, {text(shape)})"
    return f"(CASE WHEN {fits} THEN {given} WHEN {given} IS NOT NULL THEN {wrong} END)"


def _with_pivot(c: DuckDBCompiler, parsed: str) -> str:
    """Two digits are 1970 to 2069 for Trino, 1969 to 2068 for DuckDB."""
    moment = c.fresh("once_")
    later = f"CASE WHEN year({moment}) = 1969 THEN {moment} + INTERVAL 100 YEARS ELSE {moment} END"
    return c.bound(moment, parsed, later)


_NO_PATTERN = "Invalid pattern specification: Pattern is null or empty"
_NO_ZONE_TO_PRINT = (
    "format_datetime for TIMESTAMP type, cannot use 'Z' nor 'z' in format, as this type does not "
    "contain TZ information"
)


@special("format_datetime")
def _format_datetime(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    if _moment(c, node, value).type == t.DATE:
        value = cast(value, t.timestamp(3))
    value = _millis(value)
    parts = formats.joda_parts(c.constant_text(node, pattern, "a pattern"))
    if not parts:
        return c.fails(_NO_PATTERN, t.VARCHAR, [value])
    if value.type.name != t.TSTZ and any(part.letters[:1] in {"Z", "z"} for part in parts):
        return c.fails(_NO_ZONE_TO_PRINT, t.VARCHAR, [value])
    found = [
        _apart(c, node, value, part.letters)
        if part.letters
        else f"strftime({_reading(value)}, {text(part.strftime)})"
        for part in parts
    ]
    return Typed(f"({' || '.join(found)})", t.VARCHAR)


_NUMBERS = {
    "C": "year({v}) // 100", "K": "hour({v}) % 12", "k": "(hour({v}) + 23) % 24 + 1",
    "e": "isodow({v})", "y": "year({v})", "Y": "year({v})", "x": "isoyear({v})", "w": "week({v})",
}  # fmt: skip
"""What Joda prints of a moment `v` as a number, by its letter; years are of our era."""


def _apart(c: DuckDBCompiler, node: ast.Call, value: Typed, letters: str) -> str:
    """What `strftime` has no letter for."""
    letter, size, reading = letters[0], len(letters), _reading(value)
    if letter == "Z":
        return _zone_part(c, value, letters)
    if letter == "z":
        c.refuse(f"{letters} in a date pattern", node.at)
    if letter == "G":
        return f"CASE WHEN year({reading}) > 0 THEN 'AD' ELSE 'BC' END"
    if letter == "S":  # digits of the second, of which there are three
        return f"rpad(left(strftime({reading}, '%g'), {size}), {size}, '0')"
    number = _NUMBERS[letter].format(v=reading)
    if letter in "yYx" and size == 2:
        number = f"{number} % 100"
    return f"printf('%0{size}d', CAST({number} AS BIGINT))"


def _zone_part(c: DuckDBCompiler, value: Typed, letters: str) -> str:
    """`Z` is +0100, `ZZ` is +01:00, `ZZZ` the zone's name."""
    if len(letters) > 2:
        return text(value.type.zone or c.zone)
    offset = f"replace({_offset(c, value)}, 'Z', '+00:00')"
    return f"replace({offset}, ':', '')" if len(letters) == 1 else offset


@special("parse_datetime")
def _parse_datetime(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, pattern = c.args(node, 2)
    written = formats.joda_format(c.constant_text(node, pattern, "a pattern"))
    parsed = f"strptime({c.as_type(node, value, t.VARCHAR).sql}, {text(written)})"
    return Typed(casts_time.in_named_zone(parsed, c.zone), t.timestamp_tz(3))


@special("from_unixtime_nanos")
def _from_unixtime_nanos(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name == "decimal" and value.type.params[1]:
        value = casts.explicit(value, t.decimal(38, 0), None, CastSite())
    elif not t.is_integer(value.type) and value.type.name != "decimal":
        c.wrong_arguments(node, [value])
    nanos = f"CAST({exact(value)} AS HUGEINT)"
    sql = f"({nanos} * 1000)"
    if value.type.name == "decimal":  # what is less but no moment fails as one, outside of TRY
        fails = c.failing("long overflow")
        sql = f"(CASE WHEN abs({nanos}) >= {2**63 * 10**6} THEN {fails} ELSE {nanos} * 1000 END)"
    return Typed(sql, t.timestamp_tz(9))


@special("to_unixtime")
def _to_unixtime(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if t.is_moment(value.type) and t.is_fine(value.type):
        return Typed(f"(CAST({value.sql} AS DOUBLE) / 1e12)", t.DOUBLE)
    return c.plain(node, [value])


@special("from_unixtime")
def _from_unixtime(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 3)
    seconds = c.as_type(node, args[0], t.DOUBLE).sql
    named = Named("")
    if len(args) == 2:
        named = zone_argument(c, node, args[1], NO_ZONE_KEY)
        if named.problem and c.in_try:  # Trino's TRY does not catch it
            c.refuse("TRY around from_unixtime with a zone that there is not", node.at)
    elif len(args) == 3:
        named = _zone_of_offset(c, node, *args[1:])
    if named.problem:
        return c.fails(named.problem, t.timestamp_tz(3), args)
    overflow = c.failing("Millis overflow")
    millis = f"CAST(floor({seconds} * 1000 + 0.5) AS BIGINT)"
    sql = (
        f"(CASE WHEN isnan({seconds}) THEN make_timestamptz(0) "
        f"WHEN abs({seconds}) > 9e12 THEN {overflow} ELSE make_timestamptz({millis} * 1000) END)"
    )
    return Typed(sql, t.timestamp_tz(3, named.zone))


def _zone_of_offset(c: DuckDBCompiler, node: ast.Call, hours: Typed, minutes: Typed) -> Named:
    """The zone that is so far from UTC."""
    if not isinstance(hours.constant, int) or not isinstance(minutes.constant, int):
        c.refuse(f"{node.name}: an offset that is no literal", node.at)
    return zone_at(hours.constant * 60 + minutes.constant)


@special("at_timezone")
def _at_timezone(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, zone = c.args(node, 2)
    if value.type.name == "timestamp":
        value = cast(value, t.timestamp_tz(value.type.params[0]))
    if value.type.name == "time":
        value = fine.zoned(value, c.zone)
    if value.type.name not in {t.TSTZ, t.TIMETZ}:
        c.wrong_arguments(node, [value, zone])
    named = zone_argument(c, node, zone)
    if named.problem:
        return c.fails(named.problem, value.type, [value])
    if value.type.name == t.TIMETZ:
        return _clock_at(value, named.zone)
    return Typed(value.sql, t.timestamp_tz(value.type.params[0], named.zone))


def _clock_at(value: Typed, zone: str) -> Typed:
    """A time in another zone; a named one counts as it is now."""
    shift = moments.offset_name(moments.offset_minutes(zone))
    return Typed(value.sql, t.time_tz(value.type.params[0], shift))


@special("with_timezone")
def _with_timezone(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, zone = c.args(node, 2)
    if value.type.name not in {"timestamp", "date"}:
        c.wrong_arguments(node, [value, zone])
    value = cast(value, t.timestamp(3)) if value.type == t.DATE else value
    named = zone_argument(c, node, zone)
    if named.problem:
        return c.fails(named.problem, t.timestamp_tz(value.type.params[0]), [value])
    return casts_time.in_zone(value, named.zone, c.zone)


@special("timezone")
def _timezone(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """The zone that a value has, which is known before it is."""
    (value,) = c.args(node, 1)
    if value.type.name not in {t.TSTZ, t.TIMETZ}:
        c.wrong_arguments(node, [value])
    if value.type.zone == t.VARIES:
        c.refuse("timezone of values of several time zones", node.at)
    zone = text(value.type.zone or c.zone)
    return Typed(f"(CASE WHEN {value.sql} IS NOT NULL THEN {zone} END)", t.VARCHAR)


@special("current_timezone")
def _current_timezone(c: DuckDBCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(text(c.zone), t.VARCHAR)


@special("to_iso8601")
def _to_iso8601(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type == t.DATE:
        return c.plain(node, [value])
    if value.type.name == t.TIMETZ:
        zone = "Z" if value.type.zone == "+00:00" else value.type.zone
        clock = fine.clock_text(fine.unzoned(value))
        return Typed(f"({clock} || {text(zone)})", t.VARCHAR)
    if value.type.name == "time":
        return Typed(fine.clock_text(value), t.VARCHAR)
    if value.type.name not in {"timestamp", t.TSTZ}:
        c.wrong_arguments(node, [value])
    local_value = casts_time.wall_clock(value) if value.type.name == t.TSTZ else value
    printed = f"replace({casts_time.printed_moment(local_value, c.zone)}, ' ', 'T')"
    if value.type.name == t.TSTZ:
        printed = f"{printed} || {_offset(c, value)}"
    return Typed(f"({printed})", t.VARCHAR)


def _offset(c: DuckDBCompiler, value: Typed) -> str:
    """`Z`, or how far the zone of a moment is from UTC then."""
    zone = value.type.zone or c.zone
    if zone in {"UTC", "+00:00"}:
        return "'Z'"
    if zone[:1] in {"+", "-"}:
        return text(zone)
    whole = fine.coarse(value)
    minutes = f"((epoch_us({local(whole)}) - epoch_us({whole.sql})) // 60000000)"
    clock = f"strftime(TIMESTAMP '1970-01-01' + to_minutes(abs({minutes})), '%H:%M')"
    sign = f"CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END"
    return f"CASE WHEN {minutes} = 0 THEN 'Z' ELSE {sign} || {clock} END"

"""CAST and TRY_CAST: what each pair of Trino types needs in Spark's SQL (in ANSI mode)."""

from __future__ import annotations

import re

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import PATTERNS, CastSite
from queryrun.sql.compile.moments import read_moment
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.spark import addresses, clocks, fine, intervals, json_casts, moments
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.types import FINE, missing_type, quoted, spark_name, text

_CLOCKS = frozenset(["time", t.TIMETZ])
_MICROS = 6
"""Digits of a second that Spark's timestamps have."""
_JAVA = {name: rf"^(?:{pattern})\z" for name, pattern in PATTERNS.items()}


def implicit(value: Typed, target: Type, zone: str) -> Typed:
    """The value in another type that Trino brings it to without being told."""
    given = value.type
    if t.bare(given) == t.bare(target):
        return value
    if given.name == "unknown":
        return Typed(f"CAST(NULL AS {spark_name(target)})", target)
    if given.name in _CLOCKS and target.name in _CLOCKS:
        if given.name == "time" and target.name == t.TIMETZ:
            value = fine.zoned(value, zone)
        elif given.name != target.name:
            raise UnsupportedCastError(f"Bringing {given} to {target}")
        return Typed(value.sql, target, value.constant)  # picoseconds throughout
    if t.is_moment(given):
        return _moment(value, target, zone)
    if "char" in {given.name, target.name}:
        return _between_chars(value, target)
    if _changes_moments(given, target):
        raise UnsupportedCastError(f"Bringing {given} to {target}")
    return Typed(f"CAST({value.sql} AS {spark_name(target)})", target, value.constant)


def _moment(value: Typed, target: Type, zone: str) -> Typed:
    """A date or timestamp as one with more digits, or with a zone."""
    found = value
    if value.type == t.DATE:
        found = Typed(moments.as_timestamp(value.sql), t.timestamp(0))
    if t.is_fine(found.type) and not t.is_fine(target):
        raise UnsupportedCastError(f"Bringing {value.type} to {target}")
    if target.name == t.TSTZ and found.type.name != t.TSTZ:
        found = moments.in_zone(found, target.zone, zone)
    sql = fine.picos(found) if t.is_fine(target) else found.sql
    return Typed(sql, target, value.constant)


def without_spaces(sql: str) -> str:
    """A char is carried without the spaces at its end."""
    return f"trim(TRAILING ' ' FROM {sql})"


def _between_chars(value: Typed, target: Type) -> Typed:
    """A char becomes a varchar with all of its spaces."""
    if target.name == "char":
        if value.type.name not in {"char", "varchar"}:
            raise UnsupportedCastError(f"Bringing {value.type} to {target}")
        sql = value.sql if value.type.name == "char" else without_spaces(value.sql)
        return Typed(sql, target)
    return Typed(f"rpad({value.sql}, {value.type.params[0]}, ' ')", t.VARCHAR, value.constant)


def _to_char(value: Typed, target: Type) -> Typed:
    """Cut to its length."""
    if value.type.name not in {"char", "varchar"}:
        message = f"A cast from {value.type} to {target}"
        raise UnsupportedCastError(message, is_mismatch=True)
    return Typed(without_spaces(f"substring({value.sql}, 1, {target.params[0]})"), target)


def _from_char(value: Typed, target: Type, site: CastSite) -> Typed:
    padded = _between_chars(value, t.VARCHAR)
    return padded if target == t.VARCHAR else _from_varchar(padded, target, site)


def _changes_moments(given: Type, target: Type) -> bool:
    """Whether something nested in there would have to get a zone, or to be carried otherwise."""
    if given.name == "unknown":
        return False
    if {t.TSTZ, t.TIMETZ} & {given.name, target.name} and given.name != target.name:
        return True
    if t.is_moment(given) and t.is_fine(given) != t.is_fine(target):
        return True
    return any(_changes_moments(a, b) for a, b in zip(given.parts, target.parts, strict=False))


def explicit(value: Typed, target: Type, length: int | None, site: CastSite) -> Typed:
    """`CAST(value AS wanted)`. Raises `UnsupportedCastError` when the pair cannot be cast.

    `site.is_safe`: what cannot be cast becomes NULL.
    """
    found = _explicit(value, target, site)
    return found if length is None else _with_length(found, value.type, length, site)


def _with_length(found: Typed, given: Type, length: int, site: CastSite) -> Typed:
    """A text is cut; that of a number or a date which does not fit is an error, no part of it."""
    if given.name in {"varchar", "unknown", "boolean", "char"}:
        return Typed(f"substring({found.sql}, 1, {length})", t.VARCHAR)
    if not t.is_number(given) and given != t.DATE:
        raise UnsupportedCastError(f"A cast from {given} to a varchar with a length")

    def checked(x: str) -> str:
        message = f"concat('Value ', {x}, ' cannot be represented as varchar({length})')"
        beyond = "" if site.is_safe else f" WHEN {x} IS NOT NULL THEN raise_error({message})"
        return f"(CASE WHEN length({x}) <= {length} THEN {x}{beyond} END)"

    return Typed(bound(found.sql, checked, "x"), t.VARCHAR)


def _explicit(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if (missing := missing_type(target)) is not None:
        raise UnsupportedCastError(f"Type {missing}")
    if given.name == "unknown":
        return Typed(f"CAST(NULL AS {spark_name(target)})", target)
    if target.name in _CLOCKS:
        is_moment = given.name in {"timestamp", t.TSTZ}
        local = moments.local(value, site.zone) if is_moment else value
        return clocks.to_time(value, target, site, local)
    if target.name in {"timestamp", t.TSTZ} and given.name in {"timestamp", t.TSTZ}:
        return _between_moments(value, target, site)
    if t.bare(given) == t.bare(target):
        return value
    if target.name == "char":
        return _to_char(value, target)
    if target.name == "ipaddress":
        return addresses.cast(value, site)
    if t.is_number(given) and t.is_number(target):
        return _number_to_number(value, target, site)
    if given.name in {"array", "map", "row"}:
        return _nested(value, target, site)
    maker = _FROM.get(given.name)
    if maker is None:
        raise UnsupportedCastError(f"A cast from {given} to {target}")
    return maker(value, target, site)


def _plain(sql: str, target: Type, site: CastSite) -> Typed:
    word = "TRY_CAST" if site.is_safe else "CAST"
    return Typed(f"{word}({sql} AS {spark_name(target)})", target)


def _number_to_number(value: Typed, target: Type, site: CastSite) -> Typed:
    """Spark cuts fractions off where Trino rounds."""
    given = value.type
    if t.is_integer(target) and t.is_floating(given):
        return _plain(rounded_double(value.sql), target, site)
    if target.name == "decimal" and given == t.DOUBLE:
        return _double_to_decimal(value.sql, target, site)
    if target.name == "decimal" and given == t.REAL:
        return Typed(
            bound(value.sql, lambda x: _plain(_real_digits(x), target, site).sql, "x"), target
        )
    if t.is_integer(target) and given.name == "decimal" and given.params[1]:
        return _plain(f"round({value.sql}, 0)", target, site)
    return _plain(value.sql, target, site)


def rounded_double(sql: str) -> str:
    """To a whole number, half away from zero; from 2^52 on there are no others."""
    return bound(sql, _rounded, "x")


def _rounded(x: str) -> str:
    size = f"abs({x})"
    rounded = f"floor({size}) + CASE WHEN {size} - floor({size}) >= 0.5D THEN 1 ELSE 0 END"
    return f"(CASE WHEN {size} < 4503599627370496D THEN sign({x}) * ({rounded}) ELSE {x} END)"


def _double_to_decimal(sql: str, target: Type, site: CastSite) -> Typed:
    """Trino rounds the exact value of a double, Spark its shortest spelling (2.675 is less).

    The two differ for spellings that are halfway (`format_number` knows on which side the value
    is; what is exactly halfway it rounds to even, but such a value has few binary digits, and
    Spark's cast is right), and for digits beyond a double's precision, which are refused.
    """
    return Typed(bound(sql, lambda x: _exactly(x, target, site), "x"), target)


def _real_digits(x: str) -> str:
    """As few digits as tell a real from others: what a JVM prints depends on its version."""
    written = (
        f"transform(sequence(0, 8), n -> format_string('%.' || n || 'e', CAST({x} AS DOUBLE)))"
    )
    return f"filter({written}, one -> CAST(one AS FLOAT) = {x})[0]"


def _exactly(x: str, target: Type, site: CastSite) -> str:
    precision, scale = target.params
    found = plain = _plain(x, target, site).sql
    if scale:
        formatted = _plain(f"replace(format_number({x}, {scale}), ',', '')", target, site).sql
        digits = f"TRY_CAST({x} AS DECIMAL(38,{scale + 1})) * {2 * 10**scale}BD"
        is_binary = f"CAST({digits} AS DECIMAL(38,0)) % {5**scale}BD = 0"
        found = f"CASE WHEN {is_binary} THEN {plain} ELSE {formatted} END"
    few = f"abs({x}) * 1E{scale} < 1E15 OR ({x} = floor({x}) AND abs({x}) < 1E15)"
    failing = "raise_error('A cast of a double to so many digits is not supported')"
    beyond = "NULL" if site.is_safe else f"raise_error('Cannot cast value to {target}')"
    return (
        f"(CASE WHEN {x} IS NULL THEN NULL WHEN abs({x}) >= 1E{precision - scale} THEN {beyond} "
        f"WHEN {few} THEN {found} ELSE {failing} END)"
    )


def _from_number(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar":
        if t.is_floating(value.type):
            return Typed(bound(value.sql, _FLOATING_TEXT[value.type.name], "x"), target)
        return _plain(value.sql, target, site)
    if target.name == "boolean":
        return Typed(f"({value.sql} <> 0)", target)
    if target.name == "json" and not t.is_floating(value.type):
        return Typed(f"CAST({value.sql} AS STRING)", target)
    raise UnsupportedCastError(f"A cast from {value.type} to {target}")


def _double_text(x: str) -> str:
    """By java.text.DecimalFormat, as Trino has it, which has other words for what is no number."""
    form = f"format_number({x}, '0.0###################E0')"
    return (
        f"(CASE WHEN {x} = 0 THEN if(CAST({x} AS STRING) LIKE '-%', '-0E0', '0E0') "
        f"WHEN isnan({x}) OR abs({x}) = CAST('Infinity' AS DOUBLE) THEN CAST({x} AS STRING) "
        f"ELSE {form} END)"
    )


def _real_text(x: str) -> str:
    return _double_text(x).replace("0.0###################E0", "0.0#####E0")


_FLOATING_TEXT = {"double": _double_text, "real": _real_text}


def _from_time(value: Typed, target: Type, site: CastSite) -> Typed:
    """A time as a text, or as that time of today."""
    if target.name == "varchar":
        return Typed(clocks.printed(value), target)
    if target.name not in {"timestamp", t.TSTZ}:
        raise UnsupportedCastError(f"A cast from {value.type} to {target}", is_mismatch=True)
    zone, precision = value.type.zone, target.params[0]
    clock = clocks.to_precision(fine.unzoned(value), min(precision, value.type.params[0]))
    today = Typed("current_timestamp()", t.timestamp_tz(6))
    midnight = f"CAST(CAST({moments.wall_clock(today, site.zone)} AS DATE) AS TIMESTAMP)"
    micros = f"unix_micros({midnight}) + {clock.sql} div 1000000L"
    sql = f"CAST(timestamp_micros({micros}) AS TIMESTAMP_NTZ)"
    digits = clock.type.params[0]
    moment = Typed(sql, t.timestamp(min(6, digits)))
    if digits > fine.DIGITS // 2:
        rest = f"CAST({clock.sql} % 1000000L AS {FINE})"
        moment = fine.refined(moment, rest, t.timestamp(digits))
    if target.name == t.TSTZ:
        moment = moments.in_zone(moment, zone, site.zone)
    return fine.to_precision(moment, precision)


def _from_interval(value: Typed, target: Type, site: CastSite) -> Typed:  # noqa: ARG001 - as others
    if target.name != "varchar":
        raise UnsupportedCastError(f"A cast from {value.type} to {target}")
    return Typed(intervals.printed(value), target)


def _from_boolean(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name in {"varchar", "json"} or t.is_number(target):
        return _plain(value.sql, target, site)
    raise UnsupportedCastError(f"A cast from boolean to {target}")


def _from_varchar(value: Typed, target: Type, site: CastSite) -> Typed:
    if t.is_integer(target):
        return _checked(value, target, "integer", site)
    if target.name == "decimal":
        return _checked(value, target, "decimal", site)
    if t.is_floating(target):
        return _checked(value, target, "number", site)
    if target.name == "date":
        return _checked(value, target, "date", site)
    if target.name == "timestamp":
        return _timestamp(value, target, site)
    if target.name == t.TSTZ:
        return _zoned(value, target, site)
    if target.name == "boolean":
        sql = (
            f"CASE WHEN lower({value.sql}) IN ('t', 'true', '1') THEN true "
            f"WHEN lower({value.sql}) IN ('f', 'false', '0') THEN false "
            f"{_otherwise(value.sql, target, site)} END"
        )
        return Typed(f"({sql})", target)
    if target.name == "json":
        return Typed(f"to_json(CAST({value.sql} AS VARIANT))", target)
    if target.name == "uuid":
        return _uuid(value, site)
    if target.name == "varbinary":
        return Typed(f"encode({value.sql}, 'UTF-8')", target)
    raise UnsupportedCastError(f"A cast from varchar to {target}", is_mismatch=True)


def _timestamp(value: Typed, target: Type, site: CastSite) -> Typed:
    """All of its digits are read, whatever Spark keeps of them."""
    precision = target.params[0]
    if isinstance(value.constant, str) and (found := read_moment(value.constant.strip())):
        return fine.to_precision(moments.written_out(found), precision)

    def read(x: str) -> str:
        coarse = Typed(f"regexp_replace({x}, '([.][0-9]{{6}})[0-9]{{1,6}}$', '$1')", t.VARCHAR)
        whole = _checked(coarse, t.timestamp(6), "timestamp", site)
        if precision < _MICROS:
            return fine.rounded(whole.sql, precision)
        digits = f"regexp_extract({x}, '[.][0-9]{{6}}([0-9]{{1,6}})$', 1)"
        rest = f"CAST(rpad({digits}, 6, '0') AS {FINE})"
        every = fine.refined(whole, rest, t.timestamp(fine.DIGITS))
        return fine.to_precision(every, precision).sql

    return Typed(bound(value.sql, read, "x"), target)


def _uuid(value: Typed, site: CastSite) -> Typed:
    """UUIDs are text; there is nothing to cast to, but something to check."""
    pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\\z"
    other = _otherwise(value.sql, t.UUID, site)
    sql = f"(CASE WHEN {value.sql} RLIKE {text(pattern)} THEN lower({value.sql}) {other} END)"
    return Typed(sql, t.UUID)


def _checked(value: Typed, target: Type, pattern: str, site: CastSite) -> Typed:
    """Spark reads more spellings than Trino: `2020` as a date, `inf` as a number."""
    inner = _plain(value.sql, target, site)
    if isinstance(value.constant, str) and re.fullmatch(PATTERNS[pattern], value.constant):
        return inner
    sql = (
        f"CASE WHEN {value.sql} RLIKE {text(_JAVA[pattern])} THEN {inner.sql} "
        f"{_otherwise(value.sql, target, site)} END"
    )
    return Typed(f"({sql})", target)


def _otherwise(sql: str, target: Type, site: CastSite) -> str:
    if site.is_safe:
        return ""
    message = text(f"Cannot cast value to {target}: ")
    return f"WHEN {sql} IS NOT NULL THEN raise_error({message} || {sql})"


def _zoned(value: Typed, target: Type, site: CastSite) -> Typed:
    if not isinstance(value.constant, str):
        raise UnsupportedCastError(f"A cast from varchar to {target} (of anything but a literal)")
    found = moments.zoned_literal(value.constant, site.zone)
    if found is None:
        raise UnsupportedCastError(f"'{value.constant}' is not a {target}", is_mismatch=True)
    return fine.to_precision(found, target.params[0])


def _between_moments(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if given.name == t.TSTZ and target.name == "timestamp":
        value = moments.local(value, site.zone)
    elif given.name == "timestamp" and target.name == t.TSTZ:
        value = moments.in_zone(value, "", site.zone)
    return fine.to_precision(value, target.params[0])


def _from_moment(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if target.name == "varchar":
        return Typed(_printed(value, site), target)
    if target.name == "json" and given.name != t.TSTZ:
        return Typed(f"""concat('"', {_printed(value, site)}, '"')""", target)
    sql = moments.wall_clock(value, site.zone)
    if target.name == "date":
        return Typed(f"CAST({sql} AS DATE)", target)
    if given.name == "date" and target.name in {"timestamp", t.TSTZ}:
        return implicit(value, target, site.zone)
    raise UnsupportedCastError(f"A cast from {given} to {target}")


def _printed(value: Typed, site: CastSite) -> str:
    given = value.type
    if given.name == "date":
        return f"date_format({value.sql}, 'yyyy-MM-dd')"
    formatted = moments.printed(moments.local(value, site.zone))
    if given.name == t.TSTZ:
        return f"({formatted} || {text(' ' + (given.zone or site.zone))})"
    return formatted


def _from_json(value: Typed, target: Type, site: CastSite) -> Typed:
    def cast(inner: Typed, kind: Type) -> Typed:
        return _explicit(inner, kind, site)

    return json_casts.from_json(value, target, site, cast)


def _from_uuid(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar":
        return _plain(value.sql, target, site)
    raise UnsupportedCastError(f"A cast from uuid to {target}")


def _from_address(value: Typed, target: Type, site: CastSite) -> Typed:  # noqa: ARG001 - as others
    if target.name == "varchar":
        return Typed(addresses.printed(value), target)
    if target.name == "varbinary":
        return Typed(value.sql, target)
    raise UnsupportedCastError(f"A cast from {value.type} to {target}", is_mismatch=True)


def _from_varbinary(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name != "uuid":
        raise UnsupportedCastError(f"A cast from {value.type} to {target}", is_mismatch=True)
    parts = r"^(.{8})(.{4})(.{4})(.{4})(.{12})\z"
    wrong = text("Invalid UUID binary length")

    def made(x: str) -> str:
        digits = f"regexp_replace(lower(hex({x})), {text(parts)}, '$1-$2-$3-$4-$5')"
        beyond = "" if site.is_safe else f" WHEN {x} IS NOT NULL THEN raise_error({wrong})"
        return f"(CASE WHEN octet_length({x}) = 16 THEN {digits}{beyond} END)"

    return Typed(bound(value.sql, made, "x"), target)


def _nested(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if target.name == "json":
        return json_casts.to_json(value)
    if given.name != target.name or len(given.parts) != len(target.parts):
        raise UnsupportedCastError(f"A cast from {given} to {target}", is_mismatch=True)
    if given.name == "array":
        item = _explicit(Typed("item", given.parts[0]), target.parts[0], site)
        return Typed(f"transform({value.sql}, item -> {item.sql})", target)
    is_plain = not _changes_moments(given, target)
    if is_plain and all(
        before == after or t.common(before, after) == after
        for before, after in zip(given.parts, target.parts, strict=True)
    ):
        return _plain(value.sql, target, site)
    return Typed(bound(value.sql, lambda x: _part_by_part(x, given, target, site), "x"), target)


def _part_by_part(x: str, given: Type, target: Type, site: CastSite) -> str:
    """A row's fields or a map's keys and values, each in a cast of its own."""
    if given.name == "map":
        parts = [Typed("pair.key", given.parts[0]), Typed("pair.value", given.parts[1])]
        names = ["key", "value"]
    else:
        names = t.field_names(target)
        parts = [
            Typed(f"({x}).{quoted(name)}", part)
            for name, part in zip(t.field_names(given), given.parts, strict=True)
        ]
    cast = (_explicit(part, to, site).sql for part, to in zip(parts, target.parts, strict=True))
    fields = ", ".join(f"{text(name)}, {sql}" for name, sql in zip(names, cast, strict=True))
    made = f"named_struct({fields})"
    if given.name == "map":
        made = f"map_from_entries(transform(map_entries({x}), pair -> {made}))"
    return f"(CASE WHEN {x} IS NOT NULL THEN {made} END)"


_FROM = {
    "varchar": _from_varchar,
    "boolean": _from_boolean,
    "date": _from_moment,
    "timestamp": _from_moment,
    t.TSTZ: _from_moment,
    "json": _from_json,
    "uuid": _from_uuid,
    "ipaddress": _from_address,
    "varbinary": _from_varbinary,
    "char": _from_char,
    "time": _from_time,
    t.TIMETZ: _from_time,
    t.DAYS.name: _from_interval,
    t.MONTHS.name: _from_interval,
} | dict.fromkeys(
    ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double"), _from_number
)

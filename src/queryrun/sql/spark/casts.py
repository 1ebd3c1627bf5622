"""CAST and TRY_CAST: what each pair of Trino types needs in Spark's SQL (in ANSI mode)."""

from __future__ import annotations

import re

from queryrun.sql.spark import moments
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.types import spark_name, text
from queryrun.sql.trino import types as t
from queryrun.sql.trino.casts import PATTERNS, CastSite, UnsupportedCastError
from queryrun.sql.trino.typed import Typed
from queryrun.sql.trino.types import Type

_JAVA = {name: f"^(?:{pattern})$" for name, pattern in PATTERNS.items()}


def implicit(value: Typed, wanted: Type, zone: str) -> Typed:
    """The value in another type that Trino brings it to without being told."""
    given = value.type
    if t.bare(given) == t.bare(wanted):
        return value
    if given.name == "unknown":
        return Typed(f"CAST(NULL AS {spark_name(wanted)})", wanted)
    if given.name == wanted.name and t.is_moment(given):
        return Typed(value.sql, wanted, value.constant)  # microseconds throughout
    if t.is_moment(given):
        local = moments.as_timestamp(value.sql) if given == t.DATE else value.sql
        if wanted.name == t.TSTZ:
            return Typed(moments.moment_at(local, wanted.zone or zone), wanted, value.constant)
        return Typed(local, wanted, value.constant)
    if _changes_moments(given, wanted):
        raise UnsupportedCastError(f"Bringing {given} to {wanted}")
    return Typed(f"CAST({value.sql} AS {spark_name(wanted)})", wanted, value.constant)


def _changes_moments(given: Type, wanted: Type) -> bool:
    """Whether something nested in there would have to get a zone."""
    if t.TSTZ in {given.name, wanted.name}:
        return given.name not in {wanted.name, "unknown"}
    return any(_changes_moments(a, b) for a, b in zip(given.parts, wanted.parts, strict=False))


def explicit(value: Typed, wanted: Type, length: int | None, site: CastSite) -> Typed:
    """`CAST(value AS wanted)`. Raises `UnsupportedCastError` when the pair cannot be cast.

    `site.is_safe`: what cannot be cast becomes NULL.
    """
    found = _explicit(value, wanted, site)
    if length is not None:
        if value.type.name not in {"varchar", "unknown", "boolean"}:
            raise UnsupportedCastError(f"A cast from {value.type} to a varchar with a length")
        found = Typed(f"substring({found.sql}, 1, {length})", t.VARCHAR)
    return found


def _explicit(value: Typed, wanted: Type, site: CastSite) -> Typed:
    given = value.type
    if given.name == "unknown":
        return Typed(f"CAST(NULL AS {spark_name(wanted)})", wanted)
    if wanted.name in {"timestamp", t.TSTZ} and given.name in {"timestamp", t.TSTZ}:
        return _between_moments(value, wanted, site)
    if t.bare(given) == t.bare(wanted):
        return value
    if t.is_number(given) and t.is_number(wanted):
        return _number_to_number(value, wanted, site)
    if given.name in {"array", "map", "row"}:
        return _nested(value, wanted, site)
    maker = _FROM.get(given.name)
    if maker is None:
        raise UnsupportedCastError(f"A cast from {given} to {wanted}")
    return maker(value, wanted, site)


def _plain(sql: str, wanted: Type, site: CastSite) -> Typed:
    word = "TRY_CAST" if site.is_safe else "CAST"
    return Typed(f"{word}({sql} AS {spark_name(wanted)})", wanted)


def _number_to_number(value: Typed, wanted: Type, site: CastSite) -> Typed:
    """Spark cuts fractions off where Trino rounds."""
    given = value.type
    if t.is_integer(wanted) and t.is_floating(given):
        return _plain(rounded_double(value.sql), wanted, site)
    if wanted.name == "decimal" and given == t.DOUBLE:
        return _double_to_decimal(value.sql, wanted, site)
    if wanted.name == "decimal" and given == t.REAL:
        raise UnsupportedCastError("A cast from real to decimal (cast to double first)")
    if t.is_integer(wanted) and given.name == "decimal" and given.params[1]:
        return _plain(f"round({value.sql}, 0)", wanted, site)
    return _plain(value.sql, wanted, site)


def rounded_double(sql: str) -> str:
    """To a whole number, half away from zero; from 2^52 on there are no others."""
    return bound(sql, _rounded, "x")


def _rounded(x: str) -> str:
    size = f"abs({x})"
    rounded = f"floor({size}) + CASE WHEN {size} - floor({size}) >= 0.5D THEN 1 ELSE 0 END"
    return f"(CASE WHEN {size} < 4503599627370496D THEN sign({x}) * ({rounded}) ELSE {x} END)"


def _double_to_decimal(sql: str, wanted: Type, site: CastSite) -> Typed:
    """Trino rounds the exact value of a double, Spark its shortest spelling (2.675 is less).

    The two differ for spellings that are halfway (`format_number` knows on which side the value
    is; what is exactly halfway it rounds to even, but such a value has few binary digits, and
    Spark's cast is right), and for digits beyond a double's precision, which are refused.
    """
    return Typed(bound(sql, lambda x: _exactly(x, wanted, site), "x"), wanted)


def _exactly(x: str, wanted: Type, site: CastSite) -> str:
    precision, scale = wanted.params
    found = plain = _plain(x, wanted, site).sql
    if scale:
        shown = _plain(f"replace(format_number({x}, {scale}), ',', '')", wanted, site).sql
        digits = f"TRY_CAST({x} AS DECIMAL(38,{scale + 1})) * {2 * 10**scale}BD"
        is_binary = f"CAST({digits} AS DECIMAL(38,0)) % {5**scale}BD = 0"
        found = f"CASE WHEN {is_binary} THEN {plain} ELSE {shown} END"
    few = f"abs({x}) * 1E{scale} < 1E15 OR ({x} = floor({x}) AND abs({x}) < 1E15)"
    failing = "raise_error('A cast of a double to so many digits is not supported')"
    beyond = "NULL" if site.is_safe else f"raise_error('Cannot cast value to {wanted}')"
    return (
        f"(CASE WHEN {x} IS NULL THEN NULL WHEN abs({x}) >= 1E{precision - scale} THEN {beyond} "
        f"WHEN {few} THEN {found} ELSE {failing} END)"
    )


def _from_number(value: Typed, wanted: Type, site: CastSite) -> Typed:
    if wanted.name == "varchar":
        if t.is_floating(value.type):
            raise UnsupportedCastError(
                f"A cast from {value.type} to varchar (cast to a decimal first)"
            )
        return _plain(value.sql, wanted, site)
    if wanted.name == "boolean":
        return Typed(f"({value.sql} <> 0)", wanted)
    if wanted.name == "json" and not t.is_floating(value.type):
        return Typed(f"CAST({value.sql} AS STRING)", wanted)
    raise UnsupportedCastError(f"A cast from {value.type} to {wanted}")


def _from_boolean(value: Typed, wanted: Type, site: CastSite) -> Typed:
    if wanted.name in {"varchar", "json"} or t.is_number(wanted):
        return _plain(value.sql, wanted, site)
    raise UnsupportedCastError(f"A cast from boolean to {wanted}")


def _from_varchar(value: Typed, wanted: Type, site: CastSite) -> Typed:
    if t.is_integer(wanted):
        return _checked(value, wanted, "integer", site)
    if wanted.name == "decimal":
        return _checked(value, wanted, "decimal", site)
    if t.is_floating(wanted):
        return _checked(value, wanted, "number", site)
    if wanted.name == "date":
        return _checked(value, wanted, "date", site)
    if wanted.name == "timestamp":
        checked = _checked(value, wanted, "timestamp", site)
        return Typed(moments.rounded(checked.sql, wanted.params[0]), wanted)
    if wanted.name == t.TSTZ:
        return _zoned(value, wanted, site)
    if wanted.name == "boolean":
        sql = (
            f"CASE WHEN lower({value.sql}) IN ('t', 'true', '1') THEN true "
            f"WHEN lower({value.sql}) IN ('f', 'false', '0') THEN false "
            f"{_otherwise(value.sql, wanted, site)} END"
        )
        return Typed(f"({sql})", wanted)
    if wanted.name == "json":
        return Typed(f"to_json(CAST({value.sql} AS VARIANT))", wanted)
    if wanted.name == "uuid":
        return _uuid(value, site)
    raise UnsupportedCastError(f"A cast from varchar to {wanted}", is_mismatch=True)


def _uuid(value: Typed, site: CastSite) -> Typed:
    """UUIDs are text; there is nothing to cast to, but something to check."""
    pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
    other = _otherwise(value.sql, t.UUID, site)
    sql = f"(CASE WHEN {value.sql} RLIKE {text(pattern)} THEN lower({value.sql}) {other} END)"
    return Typed(sql, t.UUID)


def _checked(value: Typed, wanted: Type, pattern: str, site: CastSite) -> Typed:
    """Spark reads more spellings than Trino: `2020` as a date, `inf` as a number."""
    inner = _plain(value.sql, wanted, site)
    if isinstance(value.constant, str) and re.fullmatch(PATTERNS[pattern], value.constant):
        return inner
    sql = (
        f"CASE WHEN {value.sql} RLIKE {text(_JAVA[pattern])} THEN {inner.sql} "
        f"{_otherwise(value.sql, wanted, site)} END"
    )
    return Typed(f"({sql})", wanted)


def _otherwise(sql: str, wanted: Type, site: CastSite) -> str:
    if site.is_safe:
        return ""
    message = text(f"Cannot cast value to {wanted}: ")
    return f"WHEN {sql} IS NOT NULL THEN raise_error({message} || {sql})"


def _zoned(value: Typed, wanted: Type, site: CastSite) -> Typed:
    if not isinstance(value.constant, str):
        raise UnsupportedCastError(f"A cast from varchar to {wanted} (of anything but a literal)")
    found = moments.zoned_literal(value.constant, site.zone)
    if found is None:
        raise UnsupportedCastError(f"'{value.constant}' is not a {wanted}", is_mismatch=True)
    sql = moments.rounded(found.sql, wanted.params[0], is_moment=True)
    return Typed(sql, t.timestamp_tz(wanted.params[0], found.type.zone))


def _between_moments(value: Typed, wanted: Type, site: CastSite) -> Typed:
    given, precision = value.type, wanted.params[0]
    sql = value.sql
    if given.name == t.TSTZ and wanted.name == "timestamp":
        sql = moments.wall_clock(value, site.zone)
    elif given.name == "timestamp" and wanted.name == t.TSTZ:
        sql = moments.moment_at(sql, site.zone)
    if precision < given.params[0]:
        sql = moments.rounded(sql, precision, is_moment=wanted.name == t.TSTZ)
    zone = given.zone if given.name == wanted.name else ""
    return Typed(sql, Type(wanted.name, (precision,), zone=zone))


def _from_moment(value: Typed, wanted: Type, site: CastSite) -> Typed:
    given = value.type
    sql = moments.wall_clock(value, site.zone)
    if wanted.name == "varchar":
        return Typed(_printed(sql, given, site), wanted)
    if wanted.name == "date":
        return Typed(f"CAST({sql} AS DATE)", wanted)
    if given.name == "date" and wanted.name in {"timestamp", t.TSTZ}:
        return implicit(value, wanted, site.zone)
    raise UnsupportedCastError(f"A cast from {given} to {wanted}")


def _printed(sql: str, given: Type, site: CastSite) -> str:
    if given.name == "date":
        return f"date_format({sql}, 'yyyy-MM-dd')"
    shown = moments.printed(sql, given.params[0])
    if given.name == t.TSTZ:
        return f"({shown} || {text(' ' + (given.zone or site.zone))})"
    return shown


def _from_json(value: Typed, wanted: Type, site: CastSite) -> Typed:
    variant = f"parse_json({value.sql})"
    if wanted.name in {"array", "map"} and _is_plain_json(wanted):
        word = "TRY_CAST" if site.is_safe else "CAST"
        return Typed(f"{word}({variant} AS {spark_name(wanted)})", wanted)
    scalar = f"CAST({variant} AS STRING)"
    if wanted.name == "varchar":
        return Typed(scalar, wanted)
    if wanted.name in {"bigint", "integer", "double", "boolean"}:
        return _explicit(Typed(scalar, t.VARCHAR), wanted, site)
    raise UnsupportedCastError(f"A cast from json to {wanted}")


def _is_plain_json(kind: Type) -> bool:
    """Whether Spark and Trino agree on how to read it."""
    if kind.parts:
        return kind.name != "row" and all(_is_plain_json(part) for part in kind.parts)
    return kind.name in {"bigint", "integer", "varchar", "boolean", "double"}


def _from_uuid(value: Typed, wanted: Type, site: CastSite) -> Typed:
    if wanted.name == "varchar":
        return _plain(value.sql, wanted, site)
    raise UnsupportedCastError(f"A cast from uuid to {wanted}")


def _nested(value: Typed, wanted: Type, site: CastSite) -> Typed:
    given = value.type
    if wanted.name == "json":
        if not _is_plain_json(given) or _has_floating(given):
            raise UnsupportedCastError(f"A cast from {given} to json")
        variant = f"to_json(to_variant_object({value.sql}))"
        return Typed(f"CASE WHEN {value.sql} IS NOT NULL THEN {variant} END", wanted)
    if given.name != wanted.name or len(given.parts) != len(wanted.parts):
        raise UnsupportedCastError(f"A cast from {given} to {wanted}", is_mismatch=True)
    if given.name == "array":
        item = _explicit(Typed("item", given.parts[0]), wanted.parts[0], site)
        return Typed(f"transform({value.sql}, item -> {item.sql})", wanted)
    for before, after in zip(given.parts, wanted.parts, strict=True):
        if before != after and t.common(before, after) != after:
            raise UnsupportedCastError(f"A cast from {given} to {wanted}")
    return _plain(value.sql, wanted, site)


def _has_floating(kind: Type) -> bool:
    return t.is_floating(kind) or any(_has_floating(part) for part in kind.parts)


_FROM = {
    "varchar": _from_varchar,
    "boolean": _from_boolean,
    "date": _from_moment,
    "timestamp": _from_moment,
    t.TSTZ: _from_moment,
    "json": _from_json,
    "uuid": _from_uuid,
} | dict.fromkeys(
    ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double"), _from_number
)

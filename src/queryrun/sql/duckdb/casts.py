"""CAST and TRY_CAST: what each pair of Trino types needs in DuckDB's SQL."""

from __future__ import annotations

import re

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import casts_time, intervals, json_casts, types
from queryrun.sql.duckdb.cast_checks import checked, otherwise, plain
from queryrun.sql.duckdb.values import cast
from queryrun.sql.trino.spelling import text


def explicit(value: Typed, target: Type, length: int | None, site: CastSite) -> Typed:
    """`CAST(value AS wanted)`. Raises `UnsupportedCastError` when the pair cannot be cast."""
    found = _explicit(value, target, site)
    if length is not None and value.type.name in {"char", "timestamp", "time", t.TSTZ}:
        found = Typed(f"substring({found.sql}, 1, {length})", t.VARCHAR)
    elif length is not None and (t.is_number(value.type) or value.type == t.DATE):
        return _number_text(found, length, site)
    elif length is not None:
        if value.type.name not in {"varchar", "unknown", "boolean", "json"}:
            raise UnsupportedCastError(f"A cast from {value.type} to a varchar with a length")
        found = Typed(f"substring({found.sql}, 1, {length})", t.VARCHAR)
    return found


def _number_text(found: Typed, length: int, site: CastSite) -> Typed:
    """The text of a number or a date that does not fit is an error, no part of it."""
    fits = f"length({found.sql}) <= {length}"
    failing = casts_time.never_at(
        f"'Value ' || {found.sql} || ' cannot be represented as varchar({length})'", t.VARCHAR, site
    )
    return Typed(f"(CASE WHEN {fits} THEN {found.sql} ELSE {failing} END)", t.VARCHAR)


def _explicit(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if given.name == "unknown":
        return Typed(f"CAST(NULL AS {types.duckdb_name(target)})", target)
    if target.name == "json":
        return _to_json(value, site)
    if target.name in {"time", t.TIMETZ}:
        return casts_time.to_time(value, target, site)
    if given in {t.DAYS, t.MONTHS} and target.name == "varchar":
        return Typed(intervals.printed(value), target)
    if target.name in {"timestamp", t.TSTZ} and given.name in {"timestamp", t.TSTZ}:
        return casts_time.between_moments(value, target)
    if t.bare(given) == t.bare(target):
        return value
    if target.name == "char":
        return _to_char(value, target, site)
    if target.name == "ipaddress":
        return _to_address(value, target, site)
    if t.is_number(given) and t.is_number(target):
        return _number_to_number(value, target, site)
    maker = _FROM.get(given.name)
    if given.name in {"array", "map", "row"}:
        return _nested(value, target, site)
    if maker is None:
        raise UnsupportedCastError(f"A cast from {given} to {target}")
    return maker(value, target, site)


def _number_to_number(value: Typed, target: Type, site: CastSite) -> Typed:
    if value.type == t.REAL and target == t.BIGINT:  # as Java's rounding, which ends at the edges
        edges = f"CASE WHEN {value.sql} >= 9.2233720e18 THEN {2**63 - 1} "
        edges += f"WHEN {value.sql} <= -9.2233720e18 THEN {-(2**63)}"
        far = f"isnan({value.sql}) IS NOT TRUE AND abs({value.sql}) >= 9.2233720e18"
        inner = plain(f"round({value.sql})", target, site).sql
        return Typed(f"(CASE WHEN {far} THEN {edges} END ELSE {inner} END)", target)
    if t.is_floating(value.type) and (t.is_integer(target)):
        return plain(f"round({value.sql})", target, site)
    if target == t.REAL and value.type == t.DOUBLE:
        word = "TRY_CAST" if site.is_safe else "CAST"
        beyond = f"isfinite({value.sql}) AND abs({value.sql}) >= 3.4028235677973366e38::DOUBLE"
        endless = f"CAST(sign({value.sql}) * 'Infinity'::DOUBLE AS FLOAT)"
        sql = f"(CASE WHEN {beyond} THEN {endless} ELSE {word}({value.sql} AS FLOAT) END)"
        return Typed(sql, target)
    if value.type == t.REAL and target.name == "decimal":
        return plain(f"qr_real_digits({value.sql})", target, site)
    if t.is_floating(value.type) and target.name == "decimal":  # by its digits, as Java does
        return plain(f"CAST({value.sql} AS VARCHAR)", target, site)
    return plain(value.sql, target, site)


def _from_number(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar":
        if t.is_floating(value.type):
            call = "qr_double_text" if value.type == t.DOUBLE else "qr_real_text"
            return Typed(f"{call}({value.sql})", target)
        return plain(value.sql, target, site)
    if target.name == "boolean":
        return Typed(f"({value.sql} <> 0)", target)
    raise UnsupportedCastError(f"A cast from {value.type} to {target}")


def _from_boolean(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar" or t.is_number(target):
        return plain(value.sql, target, site)
    raise UnsupportedCastError(f"A cast from boolean to {target}")


def _to_char(value: Typed, target: Type, site: CastSite) -> Typed:
    """Cut to its length, without the spaces at its end."""
    length = target.params[0]
    if value.type.name == "char":
        if value.type.params[0] <= length:
            return Typed(value.sql, target)
        return Typed(f"rtrim(substring({value.sql}, 1, {length}), ' ')", target)
    if value.type != t.VARCHAR:
        message = f"A cast from {value.type} to {target}"
        raise UnsupportedCastError(message, is_mismatch=True)
    written = explicit(value, t.VARCHAR, length, site)
    return Typed(f"rtrim({written.sql}, ' ')", target)


def _from_char(value: Typed, target: Type, site: CastSite) -> Typed:
    padded = cast(value, t.VARCHAR)
    return padded if target == t.VARCHAR else _from_varchar(padded, target, site)


def _to_address(value: Typed, target: Type, site: CastSite) -> Typed:
    makers = {"varchar": "qr_ip_of_text", "varbinary": "qr_ip_of_bytes"}
    if value.type.name not in makers:
        message = f"A cast from {value.type} to {target}"
        raise UnsupportedCastError(message, is_mismatch=True)
    sql = f"{makers[value.type.name]}({value.sql})"
    return Typed(f"TRY({sql})" if site.is_safe else sql, target)


def _from_address(value: Typed, target: Type, _: CastSite) -> Typed:
    if target.name == "varchar":
        return Typed(f"qr_ip_text({value.sql})", target)
    if target.name == "varbinary":
        return Typed(value.sql, target)
    raise UnsupportedCastError(f"A cast from {value.type} to {target}", is_mismatch=True)


def _from_varbinary(value: Typed, target: Type, _: CastSite) -> Typed:
    if target.name == "uuid":
        sql = f"CAST(lower(hex({value.sql})) AS UUID)"
        return Typed(sql, target)
    raise UnsupportedCastError(f"A cast from {value.type} to {target}", is_mismatch=True)


def _from_varchar(value: Typed, target: Type, site: CastSite) -> Typed:
    if t.is_integer(target):
        return checked(value, target, "integer", site)
    if target.name == "decimal":
        return checked(value, target, "decimal", site)
    if t.is_floating(target):
        return checked(_without_suffix(value), target, "number", site)
    if target.name == "date":
        return casts_time.date_of_text(value, target, site)
    if target.name == "timestamp":
        return casts_time.moment_of_text(value, target, site)
    if target.name == t.TSTZ:
        return casts_time.zoned_of_text(value, target, site)
    if target.name == "boolean":
        sql = (
            f"CASE WHEN lower({value.sql}) IN ('t', 'true', '1') THEN true "
            f"WHEN lower({value.sql}) IN ('f', 'false', '0') THEN false "
            f"{otherwise(value.sql, target, site)} END"
        )
        return Typed(f"({sql})", target)
    if target.name == "uuid":
        return plain(value.sql, target, site)
    if target.name == "varbinary":
        return Typed(f"encode({value.sql})", target)
    raise UnsupportedCastError(f"A cast from varchar to {target}", is_mismatch=True)


def _without_suffix(value: Typed) -> Typed:
    """Java reads `1.5f` and `1.5d` as numbers; DuckDB does not."""
    if not isinstance(value.constant, str):
        return value
    bare = re.sub(r"(?<=[0-9.])[dDfF](?=\s*$)", "", value.constant)
    return Typed(text(bare), value.type, bare) if bare != value.constant else value


def _from_json(value: Typed, target: Type, site: CastSite) -> Typed:
    try:
        sql = json_casts.from_json(value.sql, target)
    except json_casts.NoJsonCastError as error:
        raise UnsupportedCastError(str(error)) from error
    return Typed(f"TRY({sql})" if site.is_safe else sql, target)


def _to_json(value: Typed, site: CastSite) -> Typed:
    def printed(moment: Typed) -> str:
        maker = (
            casts_time.from_time
            if moment.type.name in {"time", t.TIMETZ}
            else casts_time.from_moment
        )
        return maker(moment, t.VARCHAR, site).sql

    try:
        return Typed(f"CAST({json_casts.to_json(value, printed)} AS JSON)", t.JSON)
    except json_casts.NoJsonCastError as error:
        raise UnsupportedCastError(str(error)) from error


def _from_uuid(value: Typed, target: Type, site: CastSite) -> Typed:
    if target.name == "varchar":
        return plain(value.sql, target, site)
    if target.name == "varbinary":
        return Typed(f"unhex(replace(CAST({value.sql} AS VARCHAR), '-', ''))", target)
    raise UnsupportedCastError(f"A cast from uuid to {target}", is_mismatch=True)


def _nested(value: Typed, target: Type, site: CastSite) -> Typed:
    given = value.type
    if given.name != target.name or len(given.parts) != len(target.parts):
        raise UnsupportedCastError(f"A cast from {given} to {target}", is_mismatch=True)
    if given.name == "array":
        item = _explicit(Typed("item", given.parts[0]), target.parts[0], site)
        return Typed(f"list_transform({value.sql}, lambda item: {item.sql})", target)
    if given.name == "map":
        return _nested_map(value, target, site)
    return _nested_row(value, target, site)


def _nested_map(value: Typed, target: Type, site: CastSite) -> Typed:
    pair = "cast_pair"
    parts = zip(("key", "value"), value.type.parts, target.parts, strict=True)
    key, item = (
        _explicit(Typed(f"{pair}.{name}", before), after, site).sql for name, before, after in parts
    )
    entry = f"{{'key': {key}, 'value': {item}}}"
    entries = f"list_transform(map_entries({value.sql}), lambda {pair}: {entry})"
    kind = types.duckdb_name(target)
    made = f"CAST(map_from_entries({entries}) AS {kind})"
    return Typed(f"(CASE WHEN {value.sql} IS NOT NULL THEN {made} END)", target)


def _nested_row(value: Typed, target: Type, site: CastSite) -> Typed:
    fields = [
        _explicit(Typed(f"struct_extract_at({value.sql}, {n + 1})", before), after, site).sql
        for n, (before, after) in enumerate(zip(value.type.parts, target.parts, strict=True))
    ]
    made = f"CAST(row({', '.join(fields)}) AS {types.duckdb_name(target)})"
    return Typed(f"(CASE WHEN {value.sql} IS NOT NULL THEN {made} END)", target)


_FROM = {
    "varchar": _from_varchar,
    "boolean": _from_boolean,
    "date": casts_time.from_moment,
    "timestamp": casts_time.from_moment,
    t.TSTZ: casts_time.from_moment,
    "json": _from_json,
    "uuid": _from_uuid,
    "char": _from_char,
    "ipaddress": _from_address,
    "varbinary": _from_varbinary,
    "time": casts_time.from_time,
    t.TIMETZ: casts_time.from_time,
} | dict.fromkeys(
    ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double"), _from_number
)

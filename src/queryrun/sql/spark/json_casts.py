"""Casts to and from JSON in Spark's SQL, through its VARIANT."""

from __future__ import annotations

from collections.abc import Callable

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.spark.types import spark_name, text

Cast = Callable[[Typed, Type], Typed]
"""The cast of one value, at the same site."""
_OTHER_JSON = "A cast from such a JSON value is not supported"
"""Numbers with a fraction are spelled and rounded in Trino's own way."""


def from_json(value: Typed, target: Type, site: CastSite, cast: Cast) -> Typed:
    """A JSON text as another type. Raises `UnsupportedCastError`."""
    variant = f"parse_json({value.sql})"
    if target.name in {"array", "map"} and _is_plain(target) and _keeps_numbers(target):
        word = "TRY_CAST" if site.is_safe else "CAST"
        return Typed(f"{word}({variant} AS {spark_name(target)})", target)
    can_fail = not site.in_try
    if target.name in {"array", "map"} and can_fail and not site.is_safe:
        return Typed(_by_item(variant, target, cast), target)
    scalar = f"CAST({variant} AS STRING)"
    failing = f"raise_error({text(_OTHER_JSON)})"
    if target.name == "varchar" and can_fail:
        plain = r"^\s*(\"|-?[0-9]+\s*$|true|false|null)"
        sql = f"CASE WHEN {value.sql} RLIKE {text(plain)} THEN {scalar} "
        return Typed(f"{sql}WHEN {value.sql} IS NOT NULL THEN {failing} END", target)
    if t.is_integer(target) and can_fail:
        whole = r"^\s*(\"[^\"]*\"|-?[0-9]+|null)\s*$"
        read = cast(Typed(scalar, t.VARCHAR), target).sql
        sql = f"CASE WHEN {value.sql} RLIKE {text(whole)} THEN {read} "
        return Typed(f"{sql}WHEN {value.sql} IS NOT NULL THEN {failing} END", target)
    if target.name in {"double", "real", "boolean"}:
        return cast(Typed(scalar, t.VARCHAR), target)
    raise UnsupportedCastError(f"A cast from json to {target}")


def _by_item(variant: str, target: Type, cast: Cast) -> str:
    """Each of an array's items, or of an object's values, in a cast of its own."""
    item = cast(Typed("to_json(item)", t.JSON), target.parts[-1])
    if target.name == "array":
        return f"transform(CAST({variant} AS ARRAY<VARIANT>), item -> {item.sql})"
    if target.parts[0] != t.VARCHAR:
        raise UnsupportedCastError(f"A cast from json to {target}")
    values = f"CAST({variant} AS MAP<STRING, VARIANT>)"
    return f"transform_values({values}, (key, item) -> {item.sql})"


def to_json(value: Typed) -> Typed:
    """An array, a map or a row as JSON. Raises `UnsupportedCastError`."""
    given = value.type
    has_text_keys = given.name != "map" or given.parts[0] == t.VARCHAR
    if not _is_plain(given) or _has_floating(given) or not has_text_keys:
        raise UnsupportedCastError(f"A cast from {given} to json")
    variant = f"to_json(to_variant_object({value.sql}))"
    return Typed(f"CASE WHEN {value.sql} IS NOT NULL THEN {variant} END", t.JSON)


def _keeps_numbers(kind: Type) -> bool:
    """Without integers and texts inside: for a number with a fraction these would differ."""
    if kind.name == "map":
        return kind.parts[0] == t.VARCHAR and _keeps_numbers(kind.parts[1])
    return all(map(_keeps_numbers, kind.parts)) and (
        bool(kind.parts) or kind.name in {"double", "boolean"}
    )


def _is_plain(kind: Type) -> bool:
    """Whether Spark and Trino agree on how to read it."""
    if kind.parts:
        return kind.name != "row" and all(_is_plain(part) for part in kind.parts)
    return kind.name in {"bigint", "integer", "varchar", "boolean", "double"}


def _has_floating(kind: Type) -> bool:
    return t.is_floating(kind) or any(_has_floating(part) for part in kind.parts)

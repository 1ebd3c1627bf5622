"""Timestamps of a table format whose files do not say the zone that its schema says.

Spark writes an instant as 96 bits without a zone, and old writers as a bare count: both mean UTC.
The engine would take them for local times of the session's zone, and move every one of them.
"""

from __future__ import annotations

from typing import Any

from queryrun.tables.sql import quoted_name

IS_LOCAL = (
    "(type = 'INT96' OR logical_type LIKE 'TimestampType(isAdjustedToUTC=0%' "
    "OR (converted_type LIKE 'TIMESTAMP%' AND logical_type IS NULL))"
)
"""Of a row of `parquet_schema`: the engine reads it as a timestamp without a zone."""


def at_utc(value: str, found: Any, required: Any, depth: int = 0) -> str | None:
    """SQL of a value of the engine's type `found`, its timestamps zoned as those of `required`.

    None when they are already, or when the types have too little in common.
    """
    if _is_timestamp(found) and _is_timestamp(required):
        is_same = _is_zoned(found) == _is_zoned(required)
        return None if is_same else f"timezone('UTC', {_of_micros(value, found)})"
    if found.id != required.id:
        return None
    if found.id == "list":
        item = f"u{depth}"
        inner = at_utc(item, found.children[0][1], required.children[0][1], depth + 1)
        return f"list_transform({value}, lambda {item}: {inner})" if inner else None
    if found.id == "map":
        return _map(value, dict(found.children), dict(required.children), depth)
    return _struct(value, found, required, depth) if found.id == "struct" else None


def _map(value: str, found: dict[str, Any], required: dict[str, Any], depth: int) -> str | None:
    item = f"u{depth}"
    sides = {}
    for side in ("key", "value"):
        sides[side] = at_utc(f"{item}.{side}", found[side], required[side], depth + 1)
    if not any(sides.values()):
        return None
    entry = ", ".join(f"'{side}': {sql or f'{item}.{side}'}" for side, sql in sides.items())
    return f"map_from_entries(list_transform(map_entries({value}), lambda {item}: {{{entry}}}))"


def _struct(value: str, found: Any, required: Any, depth: int) -> str | None:
    kinds = {str(name).lower(): kind for name, kind in required.children}
    parts, is_any = [], False
    for name, kind in found.children:
        inner = f"{value}.{quoted_name(name)}"
        other = kinds.get(str(name).lower())
        sql = at_utc(inner, kind, other, depth) if other else None
        is_any = is_any or sql is not None
        parts.append(f"{quoted_name(name)} := {sql or inner}")
    if not is_any:
        return None
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"


def _is_timestamp(kind: Any) -> bool:
    return str(kind.id).startswith("timestamp")


def _is_zoned(kind: Any) -> bool:
    return "zone" in str(kind.id) or "tz" in str(kind.id)


def _of_micros(value: str, kind: Any) -> str:
    plain = "TIMESTAMP WITH TIME ZONE" if _is_zoned(kind) else "TIMESTAMP"
    return value if str(kind) == plain else f"CAST({value} AS {plain})"

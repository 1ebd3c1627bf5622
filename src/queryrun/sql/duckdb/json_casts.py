"""Casts between JSON and other types in DuckDB's SQL; the worker reads and writes the text."""

from __future__ import annotations

import json
from collections.abc import Callable

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import types
from queryrun.sql.trino.spelling import text

_MAXIMA = {"tinyint": 2**7 - 1, "smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_WORDS = {"bigint": "BIGINT", "integer": "INTEGER"}
Printer = Callable[[Typed], str]
"""A date's or time's text, which casts to varchar know how to make."""


class NoJsonCastError(Exception):
    """Trino has no such cast, or we have none; the message says which types."""


def from_json(sql: str, target: Type, depth: int = 0) -> str:
    """A value of the type out of a document; NULL for null, an error for what does not fit."""
    kind = types.duckdb_name(target)
    if t.is_integer(target):
        word = _WORDS.get(target.name, target.name)
        call = f"qr_json_to_integer({sql}, '{word}', {_MAXIMA[target.name]})"
        return call if target == t.BIGINT else f"CAST({call} AS {kind})"
    if t.is_floating(target):
        return f"CAST(qr_json_to_double({sql}, '{target.name.upper()}') AS {kind})"
    if target.name == "decimal":
        precision, scale = target.params
        call = f"qr_json_to_decimal({sql}, 'DECIMAL({precision},{scale})', {precision}, {scale})"
        return f"CAST({call} AS {kind})"
    if target.name in {"boolean", "varchar"}:
        return f"qr_json_to_{target.name}({sql})"
    if target.name == "json":
        return f"CAST({sql} AS JSON)"
    makers = {"array": _array_from, "map": _map_from, "row": _row_from}
    if target.name not in makers:
        raise NoJsonCastError(f"A cast from json to {target}")
    return makers[target.name](sql, target, depth + 1)


def _array_from(sql: str, target: Type, depth: int) -> str:
    item = f"json_item{depth}"
    body = from_json(item, target.parts[0], depth)
    return f"list_transform(qr_json_items({sql}, {text(str(target))}), lambda {item}: {body})"


def _map_from(sql: str, target: Type, depth: int) -> str:
    key_type, item_type = target.parts
    if key_type.parts or key_type.name == "json":
        raise NoJsonCastError(f"A cast from json to {target}")
    pair = f"json_pair{depth}"
    key = f"{pair}.key"
    if key_type != t.VARCHAR:
        key = from_json(f"qr_json_text({pair}.key)", key_type, depth)
    entry = f"{{'key': {key}, 'value': {from_json(f'{pair}.value', item_type, depth)}}}"
    entries = f"map_entries(qr_json_entries({sql}, {text(str(target))}))"
    return f"map_from_entries(list_transform({entries}, lambda {pair}: {entry}))"


def _row_from(sql: str, target: Type, depth: int) -> str:
    fields = f"json_fields{depth}"
    items = [
        from_json(f"{fields}[{number + 1}]", part, depth)
        for number, part in enumerate(target.parts)
    ]
    row = f"CAST(row({', '.join(items)}) AS {types.duckdb_name(target)})"
    names = text(json.dumps(list(target.names)))
    found = f"qr_json_fields({sql}, {names}, {text(str(target))})"
    body = f"CASE WHEN {fields} IS NOT NULL THEN {row} END"
    return f"list_transform([{found}], lambda {fields}: {body})[1]"


def to_json(value: Typed, printed: Printer, depth: int = 0) -> str:
    """A value's document as text; NULL for NULL."""
    kind, sql = value.type, value.sql
    if kind == t.BOOLEAN or t.is_integer(kind) or kind.name == "decimal":
        return f"CAST({sql} AS VARCHAR)"
    if kind == t.DOUBLE:
        return f"qr_json_double({sql})"
    if kind == t.REAL:
        return f"qr_json_real({sql})"
    if kind == t.VARCHAR:
        return f"qr_json_text({sql})"
    if kind.name in {"date", "timestamp", t.TSTZ}:
        return f"""('"' || {printed(value)} || '"')"""
    if kind.name in {"json", "unknown"}:
        return f"CAST({sql} AS VARCHAR)"
    makers = {"array": _from_array, "map": _from_map, "row": _from_row}
    if kind.name not in makers:
        raise NoJsonCastError(f"A cast from {kind} to json")
    return makers[kind.name](value, printed, depth + 1)


def _from_array(value: Typed, printed: Printer, depth: int) -> str:
    item = f"json_item{depth}"
    body = to_json(Typed(item, value.type.parts[0]), printed, depth)
    items = f"list_transform({value.sql}, lambda {item}: coalesce({body}, 'null'))"
    return f"('[' || array_to_string({items}, ',') || ']')"


def _from_map(value: Typed, printed: Printer, depth: int) -> str:
    """Keys are texts, and in order."""
    key, item = value.type.parts
    if key.parts or key.name not in {"varchar", "boolean", "decimal", *_MAXIMA}:
        raise NoJsonCastError(f"A cast from {value.type} to json")
    pair = f"json_pair{depth}"
    word = f"CAST({pair}.key AS VARCHAR)"
    body = to_json(Typed(f"{pair}.value", item), printed, depth)
    entry = f"row({word}, qr_json_text({word}) || ':' || coalesce({body}, 'null'))"
    entries = f"list_sort(list_transform(map_entries({value.sql}), lambda {pair}: {entry}))"
    texts = f"list_transform({entries}, lambda {pair}: {pair}[2])"
    return f"('{{' || array_to_string({texts}, ',') || '}}')"


def _from_row(value: Typed, printed: Printer, depth: int) -> str:
    row = f"json_row{depth}"
    fields = [
        text(f"{json.dumps(own, ensure_ascii=False)}:")
        + " || coalesce("
        + to_json(Typed(f"struct_extract_at({row}, {n + 1})", part), printed, depth)
        + ", 'null')"
        for n, (own, part) in enumerate(zip(value.type.names, value.type.parts, strict=True))
    ]
    whole = "'{' || " + " || ',' || ".join(fields) + " || '}'"
    body = f"CASE WHEN {row} IS NOT NULL THEN {whole} END"
    return f"list_transform([{value.sql}], lambda {row}: {body})[1]"

"""JSON_ARRAY and JSON_OBJECT in Spark's SQL: documents made of the texts of their parts."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.type_names import type_of
from queryrun.sql.compile.typed import Typed
from queryrun.sql.json_text import formatted_text, in_java_order
from queryrun.sql.spark import casts
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.types import text
from queryrun.sql.trino.records import json as ast_json

_MAX_KEYS = 12
"""With more keys the order of those that stay depends on how many are left out."""

if TYPE_CHECKING:
    from queryrun.sql.compile.statement import StatementCompiler


def made(c: StatementCompiler, node: ast_json.JsonMade) -> Typed:
    """The document. A value that is NULL is `null` in it, or is left out."""
    if node.is_unique or any(one.is_json for one in node.values):
        c.refuse(f"{node.name} with FORMAT JSON or UNIQUE KEYS", node.at)
    values = [_document(c, one, node) for one in node.values]
    if node.keeps_null:
        values = [f"coalesce({value}, 'null')" for value in values]
    if node.name == "JSON_ARRAY":
        return _output(c, _joined("[", "]", values), node)
    entries = []
    for key, value in zip(node.keys, values, strict=True):
        name = c.expr(key)
        if name.type.name != "varchar":
            c.mismatch(f"Invalid type of JSON object key: {name.type}", node.at)
        if not isinstance(name.constant, str):
            c.refuse("JSON_OBJECT with a key that is no literal", node.at)
        entries.append((name.constant, value))
    is_twice = len({key for key, _ in entries}) < len(entries)
    if is_twice and not node.keeps_null:
        c.refuse("JSON_OBJECT with a key that comes twice and ABSENT ON NULL", node.at)
    if is_twice:
        c.invalid("cannot construct a JSON object with duplicate key", node.at)
    if len(entries) > _MAX_KEYS and not node.keeps_null:
        c.refuse(f"JSON_OBJECT of more than {_MAX_KEYS} keys with ABSENT ON NULL", node.at)
    order = in_java_order([key for key, _ in entries])
    entries.sort(key=lambda entry: order.index(entry[0]))
    values = [f"({text(formatted_text(key) + ':')} || {sql})" for key, sql in entries]
    return _output(c, _joined("{", "}", values), node)


def _joined(opening: str, closing: str, parts: Sequence[str]) -> str:
    """What is NULL is left out."""
    if not parts:
        return f"'{opening}{closing}'"
    return f"concat('{opening}', concat_ws(',', {', '.join(parts)}), '{closing}')"


def quoted_json(sql: str) -> str:
    """A string as JSON has it; Jackson escapes in both engines, but for rare characters."""
    rare = text(r"[\x{10000}-\x{10FFFF}]")
    failing = "raise_error('A text of JSON with such characters is not supported')"
    sql = bound(sql, lambda x: f"if({x} RLIKE {rare}, {failing}, {x})", "x")
    return f"regexp_extract(to_json(named_struct('v', {sql})), '(?s)^.{{5}}(.*)[}}]\\\\z', 1)"


def _document(c: StatementCompiler, one: ast_json.JsonInput, node: ast_json.JsonMade) -> str:
    given = c.expr(one.value)
    if isinstance(one.value, ast_json.JsonMade | ast_json.JsonQuery):
        return given.sql
    if given.type == t.UNKNOWN:
        return "CAST(NULL AS STRING)"
    if given.type == t.BOOLEAN or t.is_integer(given.type) or given.type.name == "decimal":
        return f"CAST({given.sql} AS STRING)"
    if given.type.name in {"varchar", "date", "uuid"}:
        written = casts.explicit(given, t.VARCHAR, None, CastSite(zone=c.zone)).sql
        return f"if({written} IS NULL, NULL, {quoted_json(written)})"
    c.refuse(f"A value of type {given.type} in {node.name}", node.at)


def _output(c: StatementCompiler, document: str, node: ast_json.JsonMade) -> Typed:
    if node.output.type is None:
        return Typed(document, t.VARCHAR)
    kind, length = type_of(node.output.type)
    if kind.name != "varchar" or node.output.encoding:
        c.refuse(f"{node.name} returning {kind}", node.at)
    return casts.explicit(Typed(document, t.VARCHAR), kind, length, CastSite())

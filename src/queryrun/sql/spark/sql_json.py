"""JSON_VALUE, JSON_EXISTS and JSON_QUERY in Spark's SQL, over VARIANT.

A path becomes an expression of an array of items: NULL where it fails, as a strict path does. Of
paths there are members, elements and `[*]`. Spark keeps the value of a number with a fraction and
not its spelling, and sorts an object's keys: where these would show, the statement fails.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queryrun.errors import FailureCode
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.type_names import type_of
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark import casts
from queryrun.sql.spark.binding import all_bound, bound
from queryrun.sql.spark.types import spark_name, text
from queryrun.sql.trino.json_path import Node, PathError, read_path
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.tokens import failure_at

if TYPE_CHECKING:
    from queryrun.sql.compile.statement import StatementCompiler

_KEY = re.compile(r"[\w -]+", re.ASCII)


def document(sql: str) -> str:
    """NULL for what is no JSON; VARIANT does not take a key twice, of which Trino keeps one."""
    message = "JSON with a key that comes twice, or a number beyond a double, is not supported"
    failing = f"raise_error({text(message)})"
    is_json = f"get_json_object({sql}, '$') IS NOT NULL"
    return f"coalesce(try_parse_json({sql}), CASE WHEN {is_json} THEN {failing} END)"


def _is(kind: str, item: str) -> str:
    return f"coalesce(schema_of_variant({item}) LIKE '{kind}<%', false)"


# --- paths ----------------------------------------------------------------------------------


def _items(c: StatementCompiler, node: Node, root: str, at: int, *, is_lax: bool) -> str:
    """The items of a path."""
    if node.kind == "root":
        return f"array({root})"
    if node.kind not in {"member", "items", "subscripts"}:
        c.refuse("Such a JSON path", at)
    base = _items(c, node.args[0], root, at, is_lax=is_lax)
    if node.kind == "items":
        return _elements(base, is_lax=is_lax)
    if node.kind == "subscripts":
        return _at_index(base, _index(c, node, at), is_lax=is_lax)
    if not _KEY.fullmatch(node.args[1]):
        c.refuse("A JSON path with such a key", at)
    key = text(f'$["{node.args[1]}"]')
    if is_lax:
        found = f"transform({_elements(base, is_lax=True)}, u -> variant_get(u, {key}, 'variant'))"
        return f"filter({found}, u -> u IS NOT NULL)"
    return _all_there(f"transform({base}, u -> variant_get(u, {key}, 'variant'))")


def _index(c: StatementCompiler, node: Node, at: int) -> int:
    ranges = node.args[1]
    first, last = ranges[0]
    number = first.args[0] if first.kind == "literal" else None
    if len(ranges) > 1 or last is not None or not isinstance(number, int) or number < 0:
        c.refuse("Such a JSON path", at)
    return number


def _elements(base: str, *, is_lax: bool) -> str:
    """Of arrays; what is none is its own element in a lax path, and fails a strict one."""
    other = "array(u)" if is_lax else "NULL"
    parts = f"transform({base}, u -> if({_is('ARRAY', 'u')}, CAST(u AS ARRAY<VARIANT>), {other}))"
    return f"flatten({parts})"


def _at_index(base: str, number: int, *, is_lax: bool) -> str:
    other = "u" if is_lax and number == 0 else "NULL"
    element = f"try_element_at(CAST(u AS ARRAY<VARIANT>), {number + 1})"
    found = f"transform({base}, u -> if({_is('ARRAY', 'u')}, {element}, {other}))"
    return f"filter({found}, u -> u IS NOT NULL)" if is_lax else _all_there(found)


def _all_there(found: str) -> str:
    return bound(found, lambda w: f"if(exists({w}, u -> u IS NULL), NULL, {w})", "w")


def _found(c: StatementCompiler, path: ast_json.JsonPath) -> dict[str, str]:
    """The document, and its items at the path."""
    if path.passing or path.input.encoding:
        c.refuse("A JSON path with PASSING or ENCODING", path.at)
    given = c.expr(path.input.value)
    if given.type.name not in {"varchar", "unknown"}:
        c.refuse(f"A JSON path in a value of type {given.type}", path.at)
    try:
        read = read_path(path.path)
    except PathError as error:
        if not error.is_supported:
            c.refuse(str(error), path.at)
        raise failure_at(FailureCode.SYNTAX_ERROR, str(error), c.statement, path.at) from error
    sql = given.sql if given.type == t.VARCHAR else "CAST(NULL AS STRING)"

    def of_document(v: str) -> str:
        items = _items(c, read.root, v, path.at, is_lax=read.is_lax)
        return f"if({v} IS NULL, NULL, {items})"

    return {"d": sql, "i": bound(document(sql), of_document, "v")}


# --- functions ------------------------------------------------------------------------------


def exists(c: StatementCompiler, node: ast_json.JsonExists) -> Typed:
    """JSON_EXISTS."""
    error = {
        "": "false", "FALSE": "false", "TRUE": "true", "UNKNOWN": "CAST(NULL AS BOOLEAN)",
        "ERROR": c.failing("The JSON path fails"),
    }[node.on_error]  # fmt: skip

    def made(w: str) -> str:
        found = f"WHEN {w}.i IS NULL THEN {error} ELSE size({w}.i) > 0 END"
        return f"(CASE WHEN {w}.d IS NULL THEN NULL {found})"

    return Typed(all_bound(_found(c, node.path), made, "j"), t.BOOLEAN)


def value(c: StatementCompiler, node: ast_json.JsonValue) -> Typed:
    """JSON_VALUE."""
    kind, length = t.VARCHAR, None
    if node.output.type is not None:
        kind, length = type_of(node.output.type)
    if kind.name not in {"varchar", "double", "boolean"} and not t.is_integer(kind):
        c.refuse(f"JSON_VALUE returning {kind}", node.at)
    empty = _instead(c, node.on_empty, kind, node.at)
    error = _instead(c, node.on_error, kind, node.at)

    def made(w: str) -> str:
        item = f"{w}.i[0]"
        read = _scalar(item, kind, error)
        return (
            f"(CASE WHEN {w}.d IS NULL THEN NULL "
            f"WHEN {w}.i IS NULL OR size({w}.i) > 1 THEN {error} "
            f"WHEN size({w}.i) = 0 THEN {empty} "
            f"WHEN {_is('OBJECT', item)} OR {_is('ARRAY', item)} THEN {error} "
            f"WHEN is_variant_null({item}) THEN NULL ELSE {read} END)"
        )

    found = Typed(all_bound(_found(c, node.path), made, "j"), kind)
    if length is None:
        return found
    return casts.explicit(found, kind, length, CastSite())


def _scalar(item: str, kind: Type, error: str) -> str:
    own = f"schema_of_variant({item})"
    unlike = "raise_error('JSON_VALUE of such a value and type is not supported')"
    written = f"CAST({item} AS STRING)"
    if kind == t.VARCHAR:
        return (
            f"CASE WHEN {own} IN ('STRING', 'BIGINT', 'BOOLEAN') THEN {written} ELSE {unlike} END"
        )
    if kind == t.BOOLEAN:
        return f"CASE WHEN {own} = 'BOOLEAN' THEN CAST({item} AS BOOLEAN) ELSE {unlike} END"
    if kind == t.DOUBLE:
        numbers = f"{own} IN ('BIGINT', 'DOUBLE') OR {own} LIKE 'DECIMAL%'"
        return f"CASE WHEN {numbers} THEN CAST({item} AS DOUBLE) ELSE {unlike} END"
    whole = f"TRY_CAST({written} AS {spark_name(kind)})"
    return f"CASE WHEN {own} = 'BIGINT' THEN coalesce({whole}, {error}) ELSE {unlike} END"


def _instead(c: StatementCompiler, behavior: ast_json.JsonBehavior, kind: Type, at: int) -> str:
    if behavior.what == "ERROR":
        return c.failing("JSON_VALUE finds no scalar, or several")
    if behavior.default is None:
        return f"CAST(NULL AS {spark_name(kind)})"
    default = c.expr(behavior.default)
    if not t.can_become(default.type, kind):
        c.mismatch(f"Type {kind} expected for the default, not {default.type}", at)
    return c.exact(c.cast_to(default, kind))


def query(c: StatementCompiler, node: ast_json.JsonQuery) -> Typed:
    """JSON_QUERY."""
    if node.quotes == "OMIT" or node.wrapper not in {"WITHOUT", "UNCONDITIONAL"}:
        c.refuse("JSON_QUERY with such a wrapper, or with OMIT QUOTES", node.at)
    if node.output.type is not None:
        c.refuse("JSON_QUERY with RETURNING", node.at)
    behaviors = {
        "": "CAST(NULL AS STRING)", "NULL": "CAST(NULL AS STRING)",
        "ERROR": c.failing("JSON_QUERY finds no item, or several"),
        "EMPTY ARRAY": "'[]'", "EMPTY OBJECT": "'{}'",
    }  # fmt: skip
    empty, error = (behaviors.get(one or "") for one in (node.on_empty, node.on_error))
    if empty is None or error is None:
        c.refuse("JSON_QUERY with such a behavior", node.at)
    is_wrapped = node.wrapper != "WITHOUT"
    several = "false" if is_wrapped else "size({w}.i) > 1"

    def made(w: str) -> str:
        item = f"{w}.i" if is_wrapped else f"{w}.i[0]"
        return (
            f"(CASE WHEN {w}.d IS NULL THEN NULL WHEN {w}.i IS NULL OR {several.format(w=w)} "
            f"THEN {error} WHEN size({w}.i) = 0 THEN {empty} "
            f"ELSE {bound(f'to_json({item})', as_formatted, 'x')} END)"
        )

    return Typed(all_bound(_found(c, node.path), made, "j"), t.VARCHAR)


def as_formatted(x: str) -> str:
    """A document's text, where Trino spells it alike for certain."""
    return formatted_but(x, "[{]|")


def formatted_but(x: str, also: str) -> str:
    """A text of JSON without fractions, characters beyond 16 bits, and what else is named."""
    unlike = "raise_error('The text of JSON with such values is not supported')"
    pattern = text(also + r"[0-9][.eE]|Infinity|[\x{10000}-\x{10FFFF}]")
    return f"if({x} RLIKE {pattern}, {unlike}, {x})"

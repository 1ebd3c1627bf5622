"""JSON in Spark's SQL: text that is read as VARIANT, in which a string and a number differ."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.formats import variant_path
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.sql_json import document, formatted_but
from queryrun.sql.spark.types import text
from queryrun.sql.trino.records import ast


def _at_path(c: SparkCompiler, node: ast.Call) -> str:
    """What is there in a document, as VARIANT; NULL in what is no JSON at all."""
    value, path = c.args(node, 2)
    if value.type.name not in {"varchar", "json"}:
        c.wrong_arguments(node, [value, path])
    where = variant_path(c.constant_text(node, path, "a path"))
    return f"try_variant_get({document(value.sql)}, {text(where)}, 'variant')"


@special("json_extract")
def _json_extract(c: SparkCompiler, node: ast.Call) -> Typed:
    return Typed(f"to_json({_at_path(c, node)})", t.JSON)


@special("json_extract_scalar")
def _json_extract_scalar(c: SparkCompiler, node: ast.Call) -> Typed:
    """Spark keeps a fraction's value and not its spelling (1.50)."""
    found = _at_path(c, node)
    kind = f"schema_of_variant({found})"
    nested = f"{kind} LIKE 'OBJECT<%' OR {kind} LIKE 'ARRAY<%' OR {kind} = 'VOID'"
    fraction = ""
    if not c.in_number_cast:
        failing = c.failing(
            "json_extract_scalar of a number with a fraction is not supported but in a cast to a "
            "number"
        )
        is_fraction = f"{kind} LIKE 'DECIMAL%' OR {kind} IN ('DOUBLE', 'FLOAT')"
        fraction = f"WHEN {is_fraction} THEN {failing} "
    sql = f"(CASE WHEN {nested} THEN NULL {fraction}ELSE CAST({found} AS STRING) END)"
    return Typed(sql, t.VARCHAR)


@special("json_size")
def _json_size(c: SparkCompiler, node: ast.Call) -> Typed:
    found = _at_path(c, node)
    kind, rendered = f"schema_of_variant({found})", f"to_json({found})"
    sql = (
        f"(CASE WHEN {kind} LIKE 'ARRAY<%' THEN CAST(json_array_length({rendered}) AS BIGINT) "
        f"WHEN {kind} LIKE 'OBJECT<%' THEN CAST(size(json_object_keys({rendered})) AS BIGINT) "
        f"WHEN {kind} IS NOT NULL THEN 0L END)"
    )
    return Typed(sql, t.BIGINT)


@special("json_format")
def _json_format(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type != t.JSON:
        c.wrong_arguments(node, [value])
    return Typed(bound(value.sql, lambda x: formatted_but(x, ""), "x"), t.VARCHAR)


@special("json_array_get")
def _json_array_get(c: SparkCompiler, node: ast.Call) -> Typed:
    """Of a string Trino makes what is no JSON."""
    value, index = c.args(node, 2)
    if value.type.name not in {"varchar", "json"}:
        c.wrong_arguments(node, [value, index])
    number = c.as_type(node, index, t.BIGINT).sql
    kind = "schema_of_variant({}) = 'STRING'"
    is_text = "raise_error('json_array_get of a string is not supported')"

    def chosen(v: str) -> str:
        at = f"CAST(if({number} < 0, {number}, {number} + 1) AS INT)"
        item = f"try_element_at(CAST({v} AS ARRAY<VARIANT>), {at})"
        read = bound(item, lambda w: f"if({kind.format(w)}, {is_text}, to_json({w}))", "w")
        return f"if(schema_of_variant({v}) LIKE 'ARRAY<%', {read}, NULL)"

    return Typed(bound(document(value.sql), chosen, "v"), t.JSON)


@special("json_array_contains")
def _json_array_contains(c: SparkCompiler, node: ast.Call) -> Typed:
    """Numbers are compared with whole numbers alone: others Trino reads in its own way."""
    value, required = c.args(node, 2)
    if value.type.name not in {"varchar", "json"}:
        c.wrong_arguments(node, [value, required])
    if required.type not in {t.BOOLEAN, t.VARCHAR} and not t.is_integer(required.type):
        c.refuse(f"json_array_contains of {required.type}", node.at)
    kind = "STRING" if required.type == t.VARCHAR else str(required.type).upper()
    kind = "BIGINT" if t.is_integer(required.type) else kind
    same = f"schema_of_variant(u) = '{kind}' AND CAST(u AS STRING) = CAST({required.sql} AS STRING)"
    unlike = "schema_of_variant(u) LIKE 'DECIMAL%' OR schema_of_variant(u) = 'DOUBLE'"
    failing = "raise_error('json_array_contains with fractions is not supported')"
    test = f"if({unlike}, {failing}, {same})" if kind == "BIGINT" else same

    def found(v: str) -> str:
        items = f"CAST({v} AS ARRAY<VARIANT>)"
        any_is = f"exists({items}, u -> coalesce({test}, false))"
        there = f"if(schema_of_variant({v}) LIKE 'ARRAY<%', {any_is}, NULL)"
        return f"if({required.sql} IS NULL, NULL, {there})"

    return Typed(bound(document(value.sql), found, "v"), t.BOOLEAN)

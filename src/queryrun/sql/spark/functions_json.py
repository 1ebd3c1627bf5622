"""JSON in Spark's SQL: text that is read as VARIANT, in which a string and a number differ."""

from __future__ import annotations

from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.formats import variant_path
from queryrun.sql.spark.functions import special
from queryrun.sql.spark.types import text
from queryrun.sql.trino import ast
from queryrun.sql.trino import types as t
from queryrun.sql.trino.typed import Typed


def _at_path(c: SparkCompiler, node: ast.Call) -> str:
    """What is there in a document, as VARIANT; NULL in what is no JSON at all."""
    value, path = c.args(node, 2)
    if value.type.name not in {"varchar", "json"}:
        c.wrong_arguments(node, [value, path])
    where = variant_path(c.constant_text(node, path, "a path"))
    return f"try_variant_get({_document(value.sql)}, {text(where)}, 'variant')"


def _document(sql: str) -> str:
    """NULL for what is no JSON; VARIANT does not take a key twice, of which Trino keeps one."""
    message = "JSON with a key that comes twice, or a number beyond a double, is not supported"
    failing = f"raise_error({text(message)})"
    is_json = f"get_json_object({sql}, '$') IS NOT NULL"
    return f"coalesce(try_parse_json({sql}), CASE WHEN {is_json} THEN {failing} END)"


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

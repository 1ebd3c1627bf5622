"""Functions of JSON that the worker has."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.signatures import read_signatures
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.plain import PLAIN
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import exact
from queryrun.sql.json_text import path_steps
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text

_TABLE = """
json_format(json) -> varchar = CAST({0} AS VARCHAR)
json_parse(varchar) -> json = CAST(qr_json_parse({0}) AS JSON)
json_array_contains(varchar, bigint) -> boolean = qr_json_array_has_integer({0}, {1})
json_array_contains(varchar, double) -> boolean = qr_json_array_has_double({0}, {1})
json_array_contains(varchar, boolean) -> boolean = qr_json_array_has_boolean({0}, {1})
json_array_contains(varchar, varchar) -> boolean = qr_json_array_has_text({0}, {1})
json_array_contains(json, bigint) -> boolean = qr_json_array_has_integer({0}, {1})
json_array_contains(json, double) -> boolean = qr_json_array_has_double({0}, {1})
json_array_contains(json, boolean) -> boolean = qr_json_array_has_boolean({0}, {1})
json_array_contains(json, varchar) -> boolean = qr_json_array_has_text({0}, {1})
"""
for _name, _overloads in read_signatures(_TABLE).items():
    PLAIN[_name] = _overloads


@special("json_array_get")
def _json_array_get(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Refuses strings: Trino's come without quotes, which is no JSON."""
    value, index = c.args(node, 2)
    if value.type not in {t.VARCHAR, t.JSON, t.UNKNOWN}:
        c.wrong_arguments(node, [value, index])
    position = exact(c.as_type(node, index, t.BIGINT))
    return Typed(f"qr_json_array_get({exact(value)}, {position})", t.JSON)


@special("json_extract")
def _json_extract(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, path = c.args(node, 2)
    if value.type.name not in {"varchar", "json", "unknown"}:
        c.wrong_arguments(node, [value, path])
    if isinstance(path.constant, str) and path_steps(path.constant) is None:
        return c.fails(f"Invalid JSON path: '{path.constant}'", t.JSON, [value])
    where = c.as_type(node, path, t.VARCHAR).sql
    return Typed(f"CAST(qr_json_extract({exact(value)}, {where}) AS JSON)", t.JSON)


@special("json_extract_scalar")
def _json_extract_scalar(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Natively, but for numbers with a fraction, which DuckDB writes its own way."""
    value, path = c.args(node, 2)
    if value.type.name not in {"varchar", "json", "unknown"}:
        c.wrong_arguments(node, [value, path])
    where = c.as_type(node, path, t.VARCHAR).sql
    steps = path_steps(path.constant) if isinstance(path.constant, str) else None
    if isinstance(path.constant, str) and steps is None:
        return c.fails(f"Invalid JSON path: '{path.constant}'", t.VARCHAR, [value])
    scalar = f"qr_json_extract_scalar({exact(value)}, {where})"
    if steps is None or value.type == t.UNKNOWN or any(map(_is_doubtful, steps)):
        return Typed(scalar, t.VARCHAR)
    native = text("$" + "".join(f'."{step}"' for step in steps))

    def chosen(value: Typed) -> Typed:
        kind = f"json_type({value.sql}, {native})"
        found = f"json_extract_string({value.sql}, {native})"
        slow = f"qr_json_extract_scalar({value.sql}, {where})"
        sql = (
            f"CASE WHEN NOT json_valid({value.sql}) THEN {slow} "
            f"WHEN {kind} IN ('OBJECT', 'ARRAY') THEN NULL "
            f"WHEN {kind} = 'DOUBLE' THEN {slow} ELSE {found} END"
        )
        return Typed(f"({sql})", t.VARCHAR)

    return c.once(value, chosen)


def _is_doubtful(step: str) -> bool:
    """A position of an array, or what DuckDB's paths would read in another way."""
    return step.isdecimal() or not step.replace("_", "").isalnum() or not step.isascii()

"""Functions that take a lambda."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import cast, exact
from queryrun.sql.trino.records import ast

# --- functions that take a lambda -----------------------------------------------------------


def _array_arg(c: DuckDBCompiler, node: ast.Call, count: int) -> Typed:
    if len(node.args) != count:
        c.wrong_arguments(node, [])
    value = c.expr(node.args[0])
    if value.type.name != "array":
        c.wrong_arguments(node, [value])
    return value


def _over_items(
    c: DuckDBCompiler, node: ast.Call, value: Typed, arg: ast.Expr
) -> tuple[str, Typed]:
    param = c.fresh("p")
    return param, c.lambda_of(node, arg, [Typed(param, value.type.parts[0])])


def _test_over_items(c: DuckDBCompiler, node: ast.Call, value: Typed) -> tuple[str, str]:
    param, body = _over_items(c, node, value, node.args[1])
    if body.type not in {t.BOOLEAN, t.UNKNOWN}:
        c.mismatch(f"The lambda of {node.name} must return a boolean", node.at)
    return param, body.sql


@special("transform")
def _transform(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 2)
    param, body = _over_items(c, node, value, node.args[1])
    return Typed(f"list_transform({value.sql}, lambda {param}: {exact(body)})", t.array(body.type))


@special("filter")
def _filter(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 2)
    param, test = _test_over_items(c, node, value)
    return Typed(f"list_filter({value.sql}, lambda {param}: {test})", value.type)


@special("any_match", "all_match", "none_match")
def _match(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """With SQL's three values: unknown tests leave the answer open."""
    value = _array_arg(c, node, 2)
    param, test = _test_over_items(c, node, value)
    tests = f"list_transform({value.sql}, lambda {param}: {test})"
    decisive = "false" if node.name == "all_match" else "true"
    found, otherwise = {
        "any_match": ("true", "false"),
        "all_match": ("false", "true"),
        "none_match": ("false", "true"),
    }[node.name]
    sql = (
        f"(CASE WHEN {value.sql} IS NULL THEN NULL "
        f"WHEN list_contains({tests}, {decisive}) THEN {found} "
        f"WHEN len(list_filter({tests}, lambda test: test IS NULL)) > 0 THEN NULL "
        f"ELSE {otherwise} END)"
    )
    return Typed(sql, t.BOOLEAN)


@special("reduce")
def _reduce(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 4)
    start = c.expr(node.args[1])
    state, item = c.fresh("p"), c.fresh("p")
    step = c.lambda_of(
        node, node.args[2], [Typed(state, start.type), Typed(item, value.type.parts[0])]
    )
    if t.bare(step.type) != t.bare(start.type) and not t.can_become(start.type, step.type):
        c.mismatch("The lambda of reduce must return the type of its state", node.at)
    start = cast(start, step.type)
    sql = f"list_reduce({value.sql}, lambda {state}, {item}: {exact(step)}, {exact(start)})"
    return c.lambda_of(node, node.args[3], [Typed(sql, step.type)])


@special("zip_with")
def _zip_with(c: DuckDBCompiler, node: ast.Call) -> Typed:
    left = _array_arg(c, node, 3)
    right = c.expr(node.args[1])
    if right.type.name != "array":
        c.wrong_arguments(node, [left, right])
    pair = c.fresh("p")
    params = [Typed(f"{pair}[1]", left.type.parts[0]), Typed(f"{pair}[2]", right.type.parts[0])]
    body = c.lambda_of(node, node.args[2], params)
    zipped = f"list_transform(list_zip({left.sql}, {right.sql}), lambda {pair}: {exact(body)})"
    missing = f"{left.sql} IS NULL OR {right.sql} IS NULL"
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {zipped} END)", t.array(body.type))


def _map_arg(c: DuckDBCompiler, node: ast.Call) -> Typed:
    if len(node.args) != 2:
        c.wrong_arguments(node, [])
    value = c.expr(node.args[0])
    if value.type.name != "map":
        c.wrong_arguments(node, [value])
    return value


def _over_entries(c: DuckDBCompiler, node: ast.Call, value: Typed) -> tuple[str, Typed]:
    pair = c.fresh("p")
    key, item = value.type.parts
    body = c.lambda_of(
        node, node.args[1], [Typed(f"{pair}.key", key), Typed(f"{pair}.value", item)]
    )
    return pair, body


def _as_map(entries: str, kind: Type) -> Typed:
    return Typed(f"map_from_entries({entries})", kind)


@special("map_filter")
def _map_filter(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = _map_arg(c, node)
    pair, body = _over_entries(c, node, value)
    return _as_map(f"list_filter(map_entries({value.sql}), lambda {pair}: {body.sql})", value.type)


@special("transform_values")
def _transform_values(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = _map_arg(c, node)
    pair, body = _over_entries(c, node, value)
    entry = f"{{'key': {pair}.key, 'value': {exact(body)}}}"
    entries = f"list_transform(map_entries({value.sql}), lambda {pair}: {entry})"
    return _as_map(entries, t.map_of(value.type.parts[0], body.type))


@special("transform_keys")
def _transform_keys(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = _map_arg(c, node)
    pair, body = _over_entries(c, node, value)
    entry = f"{{'key': {exact(body)}, 'value': {pair}.value}}"
    entries = f"list_transform(map_entries({value.sql}), lambda {pair}: {entry})"
    return _as_map(entries, t.map_of(body.type, value.type.parts[1]))

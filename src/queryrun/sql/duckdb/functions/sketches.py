"""Aggregates that estimate: distinct values, percentiles, the values that are most frequent."""

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import types
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions.table import aggregate
from queryrun.sql.duckdb.values import cast, exact
from queryrun.sql.trino.records import ast

_SKETCHES = frozenset(["hyperloglog", "p4hyperloglog"])
_FEW = 256
"""Values of which a percentile is exact: the memory of each group grows with it."""


@aggregate("approx_distinct")
def _approx_distinct(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = c.args(node, 1, 2)[0]
    return Typed(c.aggregated(node, "approx_count_distinct", [exact(value)]), t.BIGINT)


@aggregate("approx_set")
def _approx_set(c: DuckDBCompiler, node: ast.Call) -> Typed:
    c.refuse("approx_set but in cardinality(approx_set(…))", node.at)


def cardinality(c: DuckDBCompiler, node: ast.Expr) -> Typed | None:
    """How many distinct values a sketch has seen that is made where it is read; else None."""
    if isinstance(node, ast.Cast) and node.type.name in _SKETCHES:
        node = node.operand
    if not isinstance(node, ast.Call) or "approx_set" not in c.functions.aggregates:
        return None
    if node.name == "empty_approx_set" and not node.args:
        return Typed("CAST(0 AS BIGINT)", t.BIGINT)
    if node.name != "approx_set":
        return None
    (value,) = c.args(node, 1)
    if not (t.is_number(value.type) or value.type in {t.VARCHAR, t.UNKNOWN}):
        c.wrong_arguments(node, [value])
    found = c.aggregated(node, "approx_count_distinct", [exact(value)])
    return Typed(f"nullif({found}, 0)", t.BIGINT)  # of nothing there is no sketch


@aggregate("approx_most_frequent")
def _top_values(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Exact counts, whatever the capacity; of values equally frequent those seen first."""
    buckets, value, capacity = c.args(node, 3)
    value = value if value.type == t.VARCHAR else c.as_type(node, value, t.BIGINT)
    count = c.as_type(node, buckets, t.BIGINT)
    c.as_type(node, capacity, t.BIGINT)
    if not isinstance(count.constant, int):
        c.refuse("approx_most_frequent: a number of buckets that is no literal", node.at)
    if count.constant < 2:
        message = "approx_most_frequent bucket count must be greater than one, input bucket count: "
        c.invalid(f"{message}{count.constant}", node.at)
    kind = t.map_of(value.type, t.BIGINT)
    values, found = c.fresh("p"), c.fresh("p")
    listed = c.aggregated(node, "list", [exact(value)], also_where=f"{value.sql} IS NOT NULL")
    ranked = f"qr_most_frequent(CAST({values} AS VARCHAR[]), {count.constant})"
    entry = f"{{'key': {values}[{found}[n]], 'value': {found}[n + 1]}}"
    entries = f"list_transform(range(1, len({found}), 2), lambda n: {entry})"
    pairs = c.bound(found, ranked, f"map_from_entries({entries})")
    return Typed(f"CAST({c.bound(values, listed, pairs)} AS {types.duckdb_name(kind)})", kind)


@aggregate("approx_percentile")
def _approx_percentile(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    value, share = args[0], args[-1]
    if not t.is_number(value.type):
        c.wrong_arguments(node, args)
    wide = value if value.type in {t.BIGINT, t.DOUBLE, t.REAL} else cast(value, _wide(value))
    kind = t.array(wide.type) if share.type.name == "array" else wide.type
    if len(args) == 3:
        return Typed(_weighted(c, node, wide, args[1], share), kind)
    return Typed(_percentile(c, node, wide, share), kind)


def _percentile(c: DuckDBCompiler, node: ast.Call, value: Typed, share: Typed) -> str:
    """Of few values exactly the one that Trino's digest chooses, which has them all then; of many
    an estimate. Both digests are of bounded size; they hold other centroids."""
    is_list = share.type.name == "array"
    least, one = c.fresh("p"), c.fresh("p")

    def of(kind: t.Type, sql: str) -> str:
        return f"CAST({sql} AS {types.duckdb_name(t.array(kind) if is_list else kind)})"

    few = c.aggregated(node, "min", [exact(value), str(_FEW)])
    digest = c.aggregated(node, "approx_quantile", [exact(value), of(t.REAL, share.sql)])
    estimate = of(value.type, digest)
    count = c.aggregated(node, "count", [value.sql])

    def chosen(share: str) -> str:
        position = f"CAST(floor({share} * len({least})) AS BIGINT) + 1"
        return f"{least}[least({position}, len({least}))]"

    given = of(t.DOUBLE, share.sql)
    found = f"list_transform({given}, lambda {one}: {chosen(one)})" if is_list else chosen(given)
    exactly = c.bound(least, few, found)
    sql = f"CASE WHEN {count} = 0 THEN NULL WHEN {count} <= {_FEW} THEN {exactly} ELSE {estimate}"
    if not t.is_floating(value.type):
        return f"({sql} END)"
    odd = c.aggregated(node, "count", [value.sql], f"NOT isfinite({value.sql})")
    return f"(CASE WHEN {odd} > 0 THEN {c.failing('value must be finite')} ELSE {sql} END END)"


def _wide(value: Typed) -> t.Type:
    return t.BIGINT if t.is_integer(value.type) else t.REAL


def _weighted(c: DuckDBCompiler, node: ast.Call, value: Typed, weight: Typed, share: Typed) -> str:
    """The first value, in order, up to which the weights come to the share of them all."""
    pair = f"row({exact(value)}, {c.as_type(node, weight, t.DOUBLE).sql})"
    is_whole = f"{value.sql} IS NOT NULL AND {weight.sql} IS NOT NULL"
    pairs = c.aggregated(node, "list", [pair], also_where=is_whole)
    items, one = c.fresh("p"), c.fresh("p")
    total = f"list_sum(list_transform({items}, lambda e: e[2]))"

    def reached(share: str) -> str:
        target = f"CAST({share} AS DOUBLE) * {total}"
        step = f"CASE WHEN s[2] >= {target} THEN s ELSE row(e[1], s[2] + e[2]) END"
        return f"(list_reduce({items}, lambda s, e: {step}))[1]"

    found = reached(share.sql)
    if share.type.name == "array":
        found = f"list_transform({share.sql}, lambda {one}: {reached(one)})"
    found = f"CASE WHEN {items} IS NOT NULL THEN {found} END"
    return c.bound(items, f"list_sort({pairs})", found)


@aggregate("numeric_histogram")
def _numeric_histogram(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Of many values it depends on their order, in Trino as here."""
    args = c.args(node, 2, 3)
    buckets = c.as_type(node, args[0], t.BIGINT)
    value = c.as_type(node, args[1], t.DOUBLE if args[1].type == t.DOUBLE else t.REAL)
    weight = c.as_type(node, args[2], t.DOUBLE).sql if len(args) == 3 else "CAST(1 AS DOUBLE)"
    if not isinstance(buckets.constant, int):
        c.refuse("numeric_histogram: a number of buckets that is no literal", node.at)
    if buckets.constant < 2:
        message = "numeric_histogram bucket count must be greater than one"
        c.invalid(message, node.at)
    is_whole = f"{value.sql} IS NOT NULL AND {weight} IS NOT NULL"
    number = f"CAST({exact(value)} AS DOUBLE)"
    pairs, one = c.fresh("p"), c.fresh("p")
    listed = c.aggregated(node, "list", [f"row({number}, {weight})"], also_where=is_whole)
    values, weights = (f"list_transform({pairs}, lambda {one}: {one}[{n}])" for n in (1, 2))
    found = f"qr_numeric_histogram({buckets.constant}, {values}, {weights})"
    kind = t.map_of(value.type, value.type)
    return Typed(f"CAST({c.bound(pairs, listed, found)} AS {types.duckdb_name(kind)})", kind)

"""Aggregate and window functions, by Trino's names."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Sequence

from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import decimals
from queryrun.sql.spark.casts import rounded_double
from queryrun.sql.spark.comparisons import ordered
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.nested import counted
from queryrun.sql.spark.functions.table import aggregate, window
from queryrun.sql.spark.functions.text import grouped
from queryrun.sql.spark.types import spark_name
from queryrun.sql.trino.records import ast

_UNARY_DOUBLES = {
    "stddev": "stddev_samp", "stddev_samp": "stddev_samp", "stddev_pop": "stddev_pop",
    "variance": "var_samp", "var_samp": "var_samp", "var_pop": "var_pop",
}  # fmt: skip
_BINARY_DOUBLES = ("corr", "covar_pop", "covar_samp", "regr_slope", "regr_intercept")
_BITS = {"bitwise_and_agg": "bit_and", "bitwise_or_agg": "bit_or", "bitwise_xor_agg": "bit_xor"}


@aggregate("count")
def _count(c: SparkCompiler, node: ast.Call) -> Typed:
    if node.is_star or not node.args:
        return Typed(c.aggregated(node, "count", ["*"]), t.BIGINT)
    (value,) = c.args(node, 1)
    return Typed(c.aggregated(node, "count", [c.exact(value)]), t.BIGINT)


@aggregate("count_if")
def _count_if(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.BOOLEAN)
    return Typed(c.aggregated(node, "count_if", [value.sql]), t.BIGINT)


@aggregate("sum")
def _sum(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if t.is_integer(value.type):
        return Typed(c.aggregated(node, "sum", [c.as_type(node, value, t.BIGINT).sql]), t.BIGINT)
    if value.type.name == "decimal":
        return _sum_of_decimals(c, node, value)
    if t.is_floating(value.type):
        total = c.aggregated(node, "sum", [value.sql])
        return Typed(f"CAST({total} AS {spark_name(value.type)})", value.type)
    c.wrong_arguments(node, [value])


def _sum_of_decimals(c: SparkCompiler, node: ast.Call, value: Typed) -> Typed:
    kind = t.decimal(38, value.type.params[1])
    total = c.aggregated(node, "sum", [value.sql])
    return Typed(f"CAST({total} AS {spark_name(kind)})", kind)


@aggregate("avg")
def _avg(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name == "decimal":
        return _avg_decimal(c, node, value)
    if not t.is_number(value.type):
        c.wrong_arguments(node, [value])
    kind = t.REAL if value.type == t.REAL else t.DOUBLE
    mean = c.aggregated(node, "avg", [c.cast_to(value, t.DOUBLE).sql])
    return Typed(f"CAST({mean} AS {spark_name(kind)})", kind)


def _avg_decimal(c: SparkCompiler, node: ast.Call, value: Typed) -> Typed:
    """The average of decimals(p,s) is one too, rounded half away from zero."""
    total = _sum_of_decimals(c, node, value)
    counted = f"CAST(nullif({c.aggregated(node, 'count', [value.sql])}, 0) AS DECIMAL(19,0))"
    return Typed(decimals.quotient(total, Typed(counted, t.decimal(19, 0)), value.type), value.type)


@aggregate("min", "max")
def _extreme(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    kind = args[0].type
    if kind.name in {"map", "json"}:
        c.mismatch(f"Type {kind} is not orderable", node.at)
    if kind.parts and len(args) == 1:
        return Typed(c.aggregated(node, node.name, [ordered(c, args[0], node.at)]), kind)
    if kind.parts:
        c.refuse(f"{node.name} of {kind}", node.at)
    if len(args) == 1:
        found = c.aggregated(node, node.name, [c.exact(args[0])])
        if t.is_floating(kind) and node.name == "max":  # NaN only where there is nothing else
            number = f"CASE WHEN NOT isnan({c.exact(args[0])}) THEN {c.exact(args[0])} END"
            numbers = c.aggregated(node, "max", [number])
            found = f"coalesce({numbers}, {found})"
        return Typed(found, kind)
    if not isinstance(args[1].constant, int) or args[1].constant < 1:
        c.refuse(f"{node.name} with such a number of values", node.at)
    found = c.aggregated(node, "collect_list", [c.exact(args[0])])
    is_ascending = "true" if node.name == "min" else "false"
    sorted_values = f"sort_array({found}, {is_ascending})"
    if t.is_floating(kind) and node.name == "max":  # NaN comes last
        numbers, others = (
            f"filter({sorted_values}, u1 -> {test})" for test in ("NOT isnan(u1)", "isnan(u1)")
        )
        sorted_values = f"concat({numbers}, {others})"
    first = f"slice({sorted_values}, 1, {args[1].constant})"
    return Typed(f"nullif({first}, CAST(array() AS ARRAY<{spark_name(kind)}>))", t.array(kind))


@aggregate("max_by", "min_by")
def _by(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if len(args) == 3:
        c.refuse(f"{node.name} with a number of values", node.at)
    if args[1].type.name in {"row", "array", "map", "json"}:
        c.refuse(f"{node.name} ordered by {args[1].type}", node.at)
    values = [c.exact(arg) for arg in args]
    if t.is_floating(args[1].type) and node.name == "max_by":  # NaN is less than any number
        key = f"named_struct('a', NOT isnan({values[1]}), 'b', {values[1]})"
        values[1] = f"CASE WHEN {values[1]} IS NOT NULL THEN {key} END"
    return Typed(c.aggregated(node, node.name, values), args[0].type)


@aggregate("bool_and", "every", "bool_or")
def _bool(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.BOOLEAN)
    function = "bool_or" if node.name == "bool_or" else "bool_and"
    return Typed(c.aggregated(node, function, [value.sql]), t.BOOLEAN)


@aggregate("arbitrary", "any_value")
def _any(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    return Typed(c.aggregated(node, "any_value", [c.exact(value), "true"]), value.type)


@aggregate("array_agg")
def _array_agg(c: SparkCompiler, node: ast.Call) -> Typed:
    """Trino collects nulls too, and gives NULL for no rows at all; Spark sorts only afterwards."""
    (value,) = c.args(node, 1)
    keys = [c.exact(c.expr(item.expr)) for item in node.order or []]
    if node.is_distinct:
        same = value.sql
        if any(key != same for key in keys):
            c.mismatch("For aggregate function with DISTINCT, ORDER BY its argument", node.at)
    fields = ", ".join(f"'k{n}', {key}" for n, key in enumerate(keys))
    packed = f"named_struct('v', {c.exact(value)}{', ' if fields else ''}{fields})"
    plain = c.without_order(node)
    rows = c.aggregated(plain, "collect_list", [packed])
    if keys:
        rows = f"array_sort({rows}, (l, r) -> {_comparison(node.order or [], 0)})"
    any_row = c.aggregated(plain, "count", [packed])
    sql = f"(CASE WHEN {any_row} > 0 THEN transform({rows}, s -> s.v) END)"
    return Typed(sql, t.array(value.type))


def _comparison(order: Sequence[ast.SortItem], number: int) -> str:
    if number == len(order):
        return "0"
    item, a, b = order[number], f"l.k{number}", f"r.k{number}"
    first, last = ("-1", "1") if item.nulls_first else ("1", "-1")
    less, more = ("1", "-1") if item.is_descending else ("-1", "1")
    then = _comparison(order, number + 1)
    return (
        f"CASE WHEN {a} IS NULL AND {b} IS NULL THEN {then} WHEN {a} IS NULL THEN {first} "
        f"WHEN {b} IS NULL THEN {last} WHEN {a} < {b} THEN {less} WHEN {a} > {b} THEN {more} "
        f"ELSE {then} END"
    )


@aggregate("map_agg")
def _map_agg(c: SparkCompiler, node: ast.Call) -> Typed:
    """Fails for a key that comes twice, where Trino keeps any of the values."""
    key, value = c.args(node, 2)
    where = f"{key.sql} IS NOT NULL"
    entry = f"named_struct('k', {c.exact(key)}, 'v', {c.exact(value)})"
    rows = c.aggregated(node, "collect_list", [f"CASE WHEN {where} THEN {entry} END"])
    any_row = c.aggregated(node, "count", [c.exact(key)])
    kind = t.map_of(key.type, value.type)
    return Typed(f"(CASE WHEN {any_row} > 0 THEN map_from_entries({rows}) END)", kind)


@aggregate("skewness", "kurtosis")
def _higher_moment(c: SparkCompiler, node: ast.Call) -> Typed:
    """Trino's kurtosis is a sample's, Spark's the population's; NaN where all values are one."""
    value = c.as_type(node, c.args(node, 1)[0], t.DOUBLE)
    n = f"CAST({c.aggregated(node, 'count', [value.sql])} AS DOUBLE)"
    spread = c.aggregated(node, "var_pop", [value.sql])
    found, least = c.aggregated(node, node.name, [value.sql]), 3
    if node.name == "kurtosis":
        least = 4
        found = f"((({n} + 1) * {found} + 6) * ({n} - 1) / (({n} - 2) * ({n} - 3)))"
    sql = (
        f"(CASE WHEN {n} < {least} THEN NULL WHEN {spread} = 0 THEN CAST('NaN' AS DOUBLE) "
        f"ELSE {found} END)"
    )
    return Typed(sql, t.DOUBLE)


def _collected(c: SparkCompiler, node: ast.Call, value: str, where: str, made: str) -> str:
    """`made` of the list `{}` of these values where the condition holds; NULL of none."""
    rows = c.aggregated(node, "collect_list", [f"CASE WHEN {where} THEN {value} END"])
    return f"(CASE WHEN size({rows}) > 0 THEN {made.format(rows)} END)"


@aggregate("histogram")
def _histogram(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    where = f"{value.sql} IS NOT NULL"
    sql = _collected(c, node, c.exact(value), where, counted("{}"))
    return Typed(sql, t.map_of(value.type, t.BIGINT))


@aggregate("multimap_agg")
def _multimap_agg(c: SparkCompiler, node: ast.Call) -> Typed:
    key, value = c.args(node, 2)
    entry = f"named_struct('k', {c.exact(key)}, 'v', {c.exact(value)})"
    sql = _collected(c, node, entry, f"{key.sql} IS NOT NULL", grouped("{}"))
    return Typed(sql, t.map_of(key.type, t.array(value.type)))


@aggregate("map_union")
def _map_union(c: SparkCompiler, node: ast.Call) -> Typed:
    """Of values for one key any is kept: here the last."""
    (value,) = c.args(node, 1)
    if value.type.name != "map":
        c.wrong_arguments(node, [value])
    empty = f"CAST(map() AS {spark_name(value.type)})"
    without = "map_filter(s, (k, v) -> NOT map_contains_key(x, k))"
    made = f"aggregate({{}}, {empty}, (s, x) -> map_concat({without}, x))"
    sql = _collected(c, node, value.sql, f"{value.sql} IS NOT NULL", made)
    return Typed(sql, value.type)


@aggregate("reduce_agg")
def _reduce_agg(c: SparkCompiler, node: ast.Call) -> Typed:
    """All values of a group, one after the other; what merges states is not needed."""
    if len(node.args) != 4:
        c.wrong_arguments(node, [])
    value, start = c.expr(node.args[0]), c.expr(node.args[1])
    state, item = c.fresh("p"), c.fresh("p")
    step = c.lambda_of(node, node.args[2], [Typed(state, start.type), Typed(item, value.type)])
    if t.bare(step.type) != t.bare(start.type):
        c.refuse(f"reduce_agg from {start.type} to {step.type}", node.at)
    c.lambda_of(node, node.args[3], [Typed(state, start.type), Typed(item, start.type)])
    kind = spark_name(start.type)
    body = f"({state}, {item}) -> CAST({c.exact(step)} AS {kind})"
    made = f"aggregate({{}}, CAST({c.exact(start)} AS {kind}), ".replace("{}", "\0") + f"{body})"
    made = made.replace("{", "{{").replace("}", "}}").replace("\0", "{}")
    sql = _collected(c, node, c.exact(value), f"{value.sql} IS NOT NULL", made)
    return Typed(sql, start.type)


@aggregate("listagg")
def _listagg(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    value = c.as_type(node, args[0], t.VARCHAR)
    separator = args[1].sql if len(args) == 2 else "''"
    within = f" WITHIN GROUP (ORDER BY {c.order(node.order)})" if node.order else ""
    plain = c.without_order(node)
    return Typed(c.aggregated(plain, "listagg", [value.sql, separator], within=within), t.VARCHAR)


@aggregate(*_UNARY_DOUBLES)
def _unary_double(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.DOUBLE)
    return Typed(c.aggregated(node, _UNARY_DOUBLES[node.name], [value.sql]), t.DOUBLE)


@aggregate("geometric_mean")
def _geometric_mean(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.DOUBLE)
    logarithm = c.plain(ast.Call("ln", [], node.at), [value])
    return Typed(f"exp({c.aggregated(node, 'avg', [logarithm.sql])})", t.DOUBLE)


@aggregate(*_BINARY_DOUBLES)
def _binary_double(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2)
    kind = t.DOUBLE if any(arg.type == t.DOUBLE for arg in args) else t.REAL
    values = [c.as_type(node, arg, kind).sql for arg in args]
    sql = c.aggregated(node, node.name, values)
    if node.name in {"corr", "regr_slope", "regr_intercept"}:
        sql = f"(CASE WHEN NOT isnan({sql}) THEN {sql} END)"
    return Typed(f"CAST({sql} AS {spark_name(kind)})", kind)


@aggregate(*_BITS)
def _bits(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.BIGINT)
    return Typed(c.aggregated(node, _BITS[node.name], [c.exact(value)]), t.BIGINT)


@aggregate("approx_distinct")
def _approx_distinct(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.args(node, 1, 2)[0]
    return Typed(c.aggregated(node, "approx_count_distinct", [c.exact(value)]), t.BIGINT)


@aggregate("approx_percentile")
def _approx_percentile(c: SparkCompiler, node: ast.Call) -> Typed:
    """Interpolate between the two neighbours, which Spark finds from below and from above."""
    if len(node.args) != 2:
        c.refuse("approx_percentile with weights", node.at)
    value, share = c.args(node, 2)
    if not t.is_number(value.type) or share.constant is None:
        c.refuse(f"approx_percentile of {value.type} and {share.type}", node.at)
    kind = t.BIGINT if t.is_integer(value.type) else t.REAL if value.type != t.DOUBLE else t.DOUBLE
    wide = c.cast_to(value, t.DOUBLE)
    below = c.aggregated(node, "approx_percentile", [wide.sql, share.sql])
    above = c.aggregated(node, "approx_percentile", [f"(-{wide.sql})", f"(1 - {share.sql})"])
    middle = f"(({below} - {above}) / 2)"
    found = rounded_double(middle) if kind == t.BIGINT else middle
    return Typed(f"CAST({found} AS {spark_name(kind)})", kind)


@aggregate("grouping")
def _grouping(c: SparkCompiler, node: ast.Call) -> Typed:
    """A bit for every key, the first is the highest."""
    count = len(node.args)
    if count > 31:
        c.refuse("grouping of so many keys", node.at)
    if not c.groups_by_sets:
        c.refuse("grouping without ROLLUP, CUBE or GROUPING SETS", node.at)
    bits = [f"grouping({c.expr(a).sql}) * {2 ** (count - 1 - n)}" for n, a in enumerate(node.args)]
    return Typed(f"CAST({' + '.join(bits)} AS INT)", t.INTEGER)


# --- windows --------------------------------------------------------------------------------


@window("row_number", "rank", "dense_rank")
def _rank(c: SparkCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(f"CAST({c.ranked(node, [])} AS BIGINT)", t.BIGINT)


@window("percent_rank", "cume_dist")
def _share(c: SparkCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(c.ranked(node, []), t.DOUBLE)


@window("ntile")
def _ntile(c: SparkCompiler, node: ast.Call) -> Typed:
    value = c.args(node, 1)[0]
    if not isinstance(value.constant, int):
        c.refuse("ntile of a number that is no literal", node.at)
    return Typed(f"CAST({c.ranked(node, [value.sql])} AS BIGINT)", t.BIGINT)


@window("first_value", "last_value")
def _edge(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    return Typed(c.aggregated(node, node.name, [c.exact(value)]), value.type)


@window("nth_value")
def _nth(c: SparkCompiler, node: ast.Call) -> Typed:
    value, number = c.args(node, 2)
    if not isinstance(number.constant, int):
        c.refuse("nth_value of a number that is no literal", node.at)
    return Typed(c.aggregated(node, "nth_value", [c.exact(value), number.sql]), value.type)


@window("lag", "lead")
def _neighbour(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 3)
    parts = [c.exact(args[0])]
    if len(args) > 1:
        if not isinstance(args[1].constant, int) or args[1].constant < 0:
            c.refuse(f"{node.name} by a number that is no literal", node.at)
        parts.append(args[1].sql)
    if len(args) > 2:
        parts.append(c.exact(c.as_type(node, args[2], args[0].type)))
    return Typed(c.ranked(node, parts), args[0].type)

"""Aggregate and window functions, by Trino's names."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.comparisons import orderable
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import types
from queryrun.sql.duckdb.casts import explicit
from queryrun.sql.duckdb.comparisons import ordered
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.decimals import scaled, unscaled
from queryrun.sql.duckdb.functions.table import aggregate, window
from queryrun.sql.duckdb.intervals import amount, of_amount
from queryrun.sql.duckdb.values import cast, exact
from queryrun.sql.trino.records import ast

_UNARY_DOUBLES = {
    "stddev": "stddev_samp",
    "stddev_samp": "stddev_samp",
    "stddev_pop": "stddev_pop",
    "variance": "var_samp",
    "var_samp": "var_samp",
    "var_pop": "var_pop",
}
_BINARY_DOUBLES = {
    "corr": "corr",
    "covar_pop": "covar_pop",
    "covar_samp": "covar_samp",
    "regr_slope": "regr_slope",
}
_BITS = {"bitwise_and_agg": "bit_and", "bitwise_or_agg": "bit_or", "bitwise_xor_agg": "bit_xor"}
_NOT_ORDERABLE = {"map", "json"}
_POWERS_TO = {"skewness": "1e103", "kurtosis": "1e78"}
"""Of numbers beyond these the third or the fourth power is no double any more."""
_MAX_LIST_BYTES = 1_048_576
"""What LISTAGG of Trino makes at most."""
_MAX_SUMMED_DIGITS = 20
"""Of decimals of more digits a sum may not fit 38 of them; of less it does not come to that."""
_HALF = 10**19
"""What splits a decimal's digits into two halves: as in `qr_wide_average`."""
_MAX_BY = 10_000
"""The largest number of values that `max_by` and `min_by` take."""


@aggregate("count")
def _count(c: DuckDBCompiler, node: ast.Call) -> Typed:
    if node.is_star or not node.args:
        return Typed(c.aggregated(node, "count", ["*"]), t.BIGINT)
    (value,) = c.args(node, 1)
    return Typed(c.aggregated(node, "count", [value.sql]), t.BIGINT)


@aggregate("count_if")
def _count_if(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.BOOLEAN)
    return Typed(c.aggregated(node, "count", ["*"], also_where=value.sql), t.BIGINT)


def _wrapped(total: str) -> str:
    """In a window Trino's sum of integers begins again at the other end, where it fails otherwise.

    DuckDB's remainder has the sign of what is divided.
    """
    half, whole = f"{2**63}::HUGEINT", f"{2**64}::HUGEINT"
    return f"((({total} + {half}) % {whole} + {whole}) % {whole} - {half})"


@aggregate("sum")
def _sum(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if t.is_integer(value.type):
        whole = c.aggregated(node, "sum", [value.sql])
        return Typed(f"CAST({_wrapped(whole) if node.over else whole} AS BIGINT)", t.BIGINT)
    if value.type.name == "decimal":
        kind = t.decimal(38, value.type.params[1])
        return Typed(c.aggregated(node, "sum", [value.sql]), kind)
    if value.type == t.DOUBLE:
        return Typed(c.aggregated(node, "sum", [value.sql]), t.DOUBLE)
    if value.type == t.REAL:
        total = Typed(c.aggregated(node, "sum", [value.sql]), t.DOUBLE)
        return explicit(total, t.REAL, None, CastSite())
    if value.type in {t.DAYS, t.MONTHS}:
        return of_amount(c.aggregated(node, "sum", [amount(value)]), value.type)
    c.wrong_arguments(node, [value])


@aggregate("avg")
def _avg(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name == "decimal":
        return _avg_decimal(c, node, value)
    if value.type == t.REAL:
        return Typed(f"CAST({c.aggregated(node, 'avg', [value.sql])} AS FLOAT)", t.REAL)
    if value.type in {t.DAYS, t.MONTHS}:
        found = c.aggregated(node, "avg", [amount(value)])
        return of_amount(f"floor({found} + 0.5)", value.type)
    if not t.is_number(value.type):
        c.wrong_arguments(node, [value])
    summed = value if t.is_integer(value.type) else cast(value, t.DOUBLE)  # whole ones exactly
    return Typed(c.aggregated(node, "avg", [exact(summed)]), t.DOUBLE)


def _avg_decimal(c: DuckDBCompiler, node: ast.Call, value: Typed) -> Typed:
    """The average of decimals(p,s) is one too, rounded half away from zero."""
    if value.type.params[0] > _MAX_SUMMED_DIGITS:
        return _avg_wide_decimal(c, node, value)
    scale = value.type.params[1]
    total = Typed(c.aggregated(node, "sum", [value.sql]), t.decimal(38, scale))
    count = c.aggregated(node, "count", [value.sql])
    digits = unscaled(total)
    rounded = f"((abs({digits}) + {count} // 2) // nullif({count}, 0))"
    signed = f"CASE WHEN {digits} < 0 THEN -{rounded} ELSE {rounded} END"
    return Typed(scaled(f"({signed})", value.type), value.type)


def _avg_wide_decimal(c: DuckDBCompiler, node: ast.Call, value: Typed) -> Typed:
    """Of decimals whose sum may have more than 38 digits: both halves of them are summed."""
    digits = unscaled(value)
    high, low = (
        c.aggregated(node, "sum", [f"({digits} {op} {_HALF}::HUGEINT)"]) for op in ("//", "%")
    )
    count = c.aggregated(node, "count", [value.sql])
    return Typed(scaled(f"qr_wide_average({high}, {low}, {count})", value.type), value.type)


@aggregate("min", "max")
def _extreme(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    if args[0].type.name in _NOT_ORDERABLE:
        c.mismatch(f"Type {args[0].type} is not orderable", node.at)
    if args[0].type.name in {"row", "array"}:
        if len(args) > 1 or not orderable(args[0].type):
            c.refuse(f"{node.name} of {args[0].type}", node.at)
        return Typed(c.aggregated(node, node.name, [ordered(c, args[0])]), args[0].type)
    if len(args) == 1:
        sql = c.aggregated(node, node.name, [exact(args[0])])
        if node.name == "max" and t.is_floating(args[0].type):  # NaN only if there is nothing else
            number = f"NOT isnan({args[0].sql})"
            sql = f"coalesce({c.aggregated(node, 'max', [exact(args[0])], number)}, {sql})"
        return Typed(sql, args[0].type)
    count = cast(args[1], t.BIGINT).sql
    sql = c.aggregated(node, node.name, [exact(args[0]), count])
    if node.name == "max" and t.is_floating(args[0].type):  # NaN comes after every number
        numbers = c.aggregated(node, "max", [exact(args[0]), count], f"NOT isnan({args[0].sql})")
        others = f"list_filter({sql}, lambda item: isnan(item))"
        sql = f"(list_concat({numbers}, {others})[:{count}])"
    return Typed(sql, t.array(args[0].type))


@aggregate("max_by", "min_by")
def _by(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    function = "arg_max_null" if node.name == "max_by" else "arg_min_null"
    if args[1].type.name in {"map", "json"}:
        c.mismatch(f"Type {args[1].type} is not orderable", node.at)
    if len(args) == 3:
        return _several_by(c, node, args)
    if args[1].type.name in {"row", "array"}:
        if not orderable(args[1].type):
            c.refuse(f"{node.name} ordered by {args[1].type}", node.at)
        keyed = [exact(args[0]), ordered(c, args[1])]
        return Typed(c.aggregated(node, function, keyed), args[0].type)
    sql = c.aggregated(node, function, [exact(arg) for arg in args])
    if t.is_floating(args[1].type):
        sql = _by_number(c, node, args, sql)
    return Typed(sql, args[0].type)


def _several_by(c: DuckDBCompiler, node: ast.Call, args: list[Typed]) -> Typed:
    """The values of the first keys; rows without a key do not count, and no row gives NULL."""
    value, key, count = args[0], args[1], c.as_type(node, args[2], t.BIGINT)
    if key.type.name in {"row", "array"}:
        c.refuse(f"{node.name} with a number of values ordered by {key.type}", node.at)
    if count.constant is None:
        c.refuse(f"{node.name} with a number of values that is no literal", node.at)
    if not 0 < int(count.constant) <= _MAX_BY:
        c.invalid(_wrong_count(node.name, int(count.constant)), node.at)
    is_descending = node.name == "max_by"
    first = f"NOT isnan({key.sql})" if is_descending and t.is_floating(key.type) else "true"
    pair = f"row({first}, {exact(key)}, {exact(value)})"
    pairs = c.aggregated(node, "list", [pair], also_where=f"{key.sql} IS NOT NULL")
    order = "DESC" if is_descending else "ASC"
    chosen = f"list_sort({pairs}, '{order}', 'NULLS LAST')[:{count.sql}]"
    sql = f"list_transform({chosen}, lambda pair: pair[3])"
    return Typed(sql, t.array(value.type))


def _wrong_count(name: str, count: int) -> str:
    limit = "be a positive integer" if count <= 0 else f"be less than or equal to {_MAX_BY}"
    return f"third argument of {name} must {limit}; found {count}"


def _by_number(c: DuckDBCompiler, node: ast.Call, args: list[Typed], otherwise: str) -> str:
    """NaN comes last either way: it decides only where there is no number."""
    if node.name == "min_by":
        return otherwise
    is_number = f"NOT isnan({args[1].sql})"
    values = [exact(arg) for arg in args]
    of_numbers = c.aggregated(node, "arg_max_null", values, also_where=is_number)
    count = c.aggregated(node, "count", [args[1].sql], also_where=is_number)
    return f"(CASE WHEN {count} > 0 THEN {of_numbers} ELSE {otherwise} END)"


@aggregate("bool_and", "every", "bool_or")
def _bool(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.BOOLEAN)
    function = "bool_or" if node.name == "bool_or" else "bool_and"
    return Typed(c.aggregated(node, function, [value.sql]), t.BOOLEAN)


@aggregate("arbitrary", "any_value")
def _any(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    return Typed(c.aggregated(node, "any_value", [exact(value)]), value.type)


@aggregate("array_agg")
def _array_agg(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    return Typed(c.aggregated(node, "list", [exact(value)]), t.array(value.type))


@aggregate("map_agg")
def _map_agg(c: DuckDBCompiler, node: ast.Call) -> Typed:
    key, value = c.args(node, 2)
    entry = f"struct_pack(key := {exact(key)}, value := {exact(value)})"
    entries = c.aggregated(node, "list", [entry], also_where=f"{key.sql} IS NOT NULL")
    return Typed(_map_of_first(c, entries), t.map_of(key.type, value.type))


def _map_of_first(c: DuckDBCompiler, entries: str) -> str:
    """A map out of a list of entries, of which the first of each key counts, as in Trino.

    Time grows as n log n with the entries: the numbers of those that count are found by sorting.
    """
    all_of, keys, numbered = c.fresh("p"), c.fresh("p"), c.fresh("p")
    previous = f"list_concat([NULL], {numbered})"
    is_first = "pair[1] IS NOT NULL AND (pair[2] IS NULL OR pair[1][1] IS DISTINCT FROM pair[2][1])"
    firsts = f"list_filter(list_zip({numbered}, {previous}), lambda pair: {is_first})"
    numbers = f"list_sort(list_transform({firsts}, lambda pair: pair[1][2]))"
    chosen = f"list_transform({numbers}, lambda n: {all_of}[n])"
    order = f"list_sort(list_zip({keys}, range(1, len({keys}) + 1)))"
    some = c.bound(numbered, order, f"map_from_entries({chosen})")
    is_whole = f"len({keys}) = list_unique({keys})"
    found = f"CASE WHEN {is_whole} THEN map_from_entries({all_of}) ELSE {some} END"
    found = c.bound(keys, f"list_transform({all_of}, lambda e: e.key)", found)
    return c.bound(all_of, entries, f"CASE WHEN {all_of} IS NOT NULL THEN {found} END")


@aggregate("histogram")
def _histogram(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    kind = t.map_of(value.type, t.BIGINT)
    sql = c.aggregated(node, "histogram", [exact(value)])
    return Typed(f"CAST({sql} AS {types.duckdb_name(kind)})", kind)


@aggregate("skewness", "kurtosis")
def _higher_moment(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """DuckDB corrects its skewness for a sample; NaN where all values are one."""
    value = c.as_type(node, c.args(node, 1)[0], t.DOUBLE)
    within = f"abs({value.sql}) < {_POWERS_TO[node.name]}"
    count = c.aggregated(node, "count", [value.sql])
    beyond = c.aggregated(node, "count", [value.sql], f"NOT ({within})")
    spread = c.aggregated(node, "var_pop", [value.sql], within)
    found = c.aggregated(node, node.name, [value.sql], within)
    least = 4
    if node.name == "skewness":
        least = 3
        found = f"({found} * ({count} - 2) / sqrt({count} * ({count} - 1)))"
    sql = (
        f"(CASE WHEN {count} < {least} THEN NULL "
        f"WHEN {beyond} > 0 OR {spread} = 0 THEN CAST('NaN' AS DOUBLE) ELSE {found} END)"
    )
    return Typed(sql, t.DOUBLE)


@aggregate("multimap_agg")
def _multimap_agg(c: DuckDBCompiler, node: ast.Call) -> Typed:
    key, value = c.args(node, 2)
    kind = t.map_of(key.type, t.array(value.type))
    pairs = c.aggregated(
        node, "list", [f"row({exact(key)}, {exact(value)})"], f"{key.sql} IS NOT NULL"
    )
    pair, own, all_pairs = c.fresh("p"), c.fresh("p"), c.fresh("p")
    keys = f"list_distinct(list_transform({all_pairs}, lambda {pair}: {pair}[1]))"
    of_key = f"list_filter({all_pairs}, lambda {pair}: {pair}[1] = {own})"
    values = f"list_transform({of_key}, lambda {pair}: {pair}[2])"
    entries = f"list_transform({keys}, lambda {own}: {{'key': {own}, 'value': {values}}})"
    return Typed(c.bound(all_pairs, pairs, f"map_from_entries({entries})"), kind)


@aggregate("map_union")
def _map_union(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name != "map":
        c.wrong_arguments(node, [value])
    unsorted = replace(node, order=None)  # its order is of no concern to Trino
    maps = c.aggregated(unsorted, "list", [value.sql], f"{value.sql} IS NOT NULL")
    entries = f"flatten(list_transform({maps}, lambda m: map_entries(m)))"
    return Typed(_map_of_first(c, entries), value.type)


@aggregate("reduce_agg")
def _reduce_agg(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """All values of a group, one after the other; what merges states is not needed."""
    if len(node.args) != 4:
        c.wrong_arguments(node, [])
    value, start = c.expr(node.args[0]), c.expr(node.args[1])
    state, item = c.fresh("p"), c.fresh("p")
    step = c.lambda_of(node, node.args[2], [Typed(state, start.type), Typed(item, value.type)])
    if t.bare(step.type) != t.bare(start.type) and t.can_become(start.type, step.type):
        start = c.cast_to(start, step.type)  # the state has the type that the steps give
        step = c.lambda_of(node, node.args[2], [Typed(state, start.type), Typed(item, value.type)])
    if t.bare(step.type) != t.bare(start.type):
        c.refuse(f"reduce_agg from {start.type} to {step.type}", node.at)
    c.lambda_of(node, node.args[3], [Typed(state, start.type), Typed(item, start.type)])
    values = c.aggregated(node, "list", [exact(value)], f"{value.sql} IS NOT NULL")
    sql = f"list_reduce({values}, lambda {state}, {item}: {exact(step)}, {exact(start)})"
    return Typed(sql, start.type)


@aggregate("listagg")
def _listagg(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 2)
    value = c.as_type(node, args[0], t.VARCHAR)
    separator = args[1].sql if len(args) == 2 else "''"
    found = Typed(c.aggregated(node, "string_agg", [value.sql, separator]), t.VARCHAR)
    if not node.overflow:
        return found
    failing = c.failing(f"LISTAGG … ON OVERFLOW TRUNCATE of more than {_MAX_LIST_BYTES} bytes")
    return c.once(
        found,
        lambda one: Typed(
            f"(CASE WHEN strlen({one.sql}) > {_MAX_LIST_BYTES} THEN {failing} ELSE {one.sql} END)",
            t.VARCHAR,
        ),
    )


@aggregate(*_UNARY_DOUBLES)
def _unary_double(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    sql = c.aggregated(node, _UNARY_DOUBLES[node.name], [c.as_type(node, value, t.DOUBLE).sql])
    if node.name.endswith("_pop") and t.is_floating(value.type):  # DuckDB has 0 of one infinite
        infinite = c.aggregated(node, "bool_or", [f"isinf({value.sql})"])
        sql = f"(CASE WHEN {infinite} THEN CAST('NaN' AS DOUBLE) ELSE {sql} END)"
    return Typed(sql, t.DOUBLE)


@aggregate("geometric_mean")
def _geometric_mean(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """The exponential of the logarithms' average; DuckDB's logarithm fails where Java's is NaN."""
    (value,) = c.args(node, 1)
    kind = t.REAL if value.type == t.REAL else t.DOUBLE
    one = c.as_type(node, value, t.DOUBLE).sql
    below = f"CASE WHEN {one} < 0 THEN 'NaN' WHEN {one} = 0 THEN '-Infinity' END"
    logarithm = f"CASE WHEN {one} <= 0 THEN CAST({below} AS DOUBLE) ELSE ln({one}) END"
    mean = f"exp({c.aggregated(node, 'avg', [logarithm])})"
    return explicit(Typed(mean, t.DOUBLE), kind, None, CastSite())


@aggregate("regr_intercept", *_BINARY_DOUBLES)
def _binary_double(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2)
    kind = t.DOUBLE if any(arg.type == t.DOUBLE for arg in args) else t.REAL
    values = [c.as_type(node, arg, kind).sql for arg in args]
    if node.name == "regr_intercept":
        sql = _intercept(c, node, values)
    else:
        sql = c.aggregated(node, _BINARY_DOUBLES[node.name], values)
    if node.name in {"corr", "regr_slope", "regr_intercept"}:
        sql = f"(CASE WHEN NOT isnan({sql}) THEN {sql} END)"
    return explicit(Typed(sql, t.DOUBLE), kind, None, CastSite())


def _intercept(c: DuckDBCompiler, node: ast.Call, values: list[str]) -> str:
    """Through the two averages, as in Trino. The slope is a quotient of covariances, because then
    it is 1 of a column with itself; DuckDB's own is off by the last digit, which counts here."""
    y, x = values
    where = f"CASE WHEN {y} IS NOT NULL THEN {x} END"
    slope = " / ".join(c.aggregated(node, "covar_pop", pair) for pair in ([y, x], [where, where]))
    means = [c.aggregated(node, f"regr_avg{axis}", values) for axis in ("y", "x")]
    return f"({means[0]} - {slope} * {means[1]})"


@aggregate(*_BITS)
def _bits(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.BIGINT)
    return Typed(c.aggregated(node, _BITS[node.name], [exact(value)]), t.BIGINT)


@aggregate("grouping")
def _grouping(c: DuckDBCompiler, node: ast.Call) -> Typed:
    keys = ", ".join(c.expr(arg).sql for arg in node.args)
    kind = t.INTEGER if len(node.args) < 32 else t.BIGINT
    return Typed(f"CAST(grouping({keys}) AS {types.duckdb_name(kind)})", kind)


# --- windows --------------------------------------------------------------------------------


@window("row_number", "rank", "dense_rank")
def _rank(c: DuckDBCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(c.aggregated(node, node.name, []), t.BIGINT)


@window("percent_rank", "cume_dist")
def _share(c: DuckDBCompiler, node: ast.Call) -> Typed:
    c.args(node, 0, 0)
    return Typed(c.aggregated(node, node.name, []), t.DOUBLE)


@window("ntile")
def _ntile(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value = c.as_type(node, c.args(node, 1)[0], t.BIGINT)
    return Typed(c.aggregated(node, "ntile", [value.sql]), t.BIGINT)


@window("first_value", "last_value")
def _edge(c: DuckDBCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    return Typed(c.aggregated(node, node.name, [exact(value)]), value.type)


@window("nth_value")
def _nth(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, number = c.args(node, 2)
    return Typed(c.aggregated(node, "nth_value", [exact(value), number.sql]), value.type)


@window("lag", "lead")
def _neighbour(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 1, 3)
    parts = [exact(args[0])]
    if len(args) > 1 and args[1].type == t.UNKNOWN:
        c.invalid("Offset must not be null", node.at)
    if len(args) > 1:
        parts.append(_offset(c, cast(args[1], t.BIGINT)))
    if len(args) > 2:
        parts.append(exact(c.as_type(node, args[2], args[0].type)))
    return Typed(c.aggregated(node, node.name, parts), args[0].type)


def _offset(c: DuckDBCompiler, offset: Typed) -> str:
    """How many rows away; a negative one fails when it comes to a row."""
    if isinstance(offset.constant, int) and offset.constant >= 0:
        return offset.sql
    failing = c.failing("Offset must be at least 0")
    return f"(CASE WHEN {offset.sql} < 0 THEN {failing} ELSE {offset.sql} END)"

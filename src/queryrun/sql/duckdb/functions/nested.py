"""Functions of JSON, arrays and maps that look at their arguments."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from queryrun.sql.compile import pattern_texts
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.comparisons import NESTED, orderable
from queryrun.sql.compile.interval_texts import WHOLE_DAYS
from queryrun.sql.compile.shared_functions import plain_texts
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb.casts import explicit
from queryrun.sql.duckdb.comparisons import equal, unorderable
from queryrun.sql.duckdb.compiler import DuckDBCompiler
from queryrun.sql.duckdb.functions import sketches as functions_sketches
from queryrun.sql.duckdb.functions.table import special
from queryrun.sql.duckdb.values import cast
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text

# --- JSON -----------------------------------------------------------------------------------


def _json_and_path(c: DuckDBCompiler, node: ast.Call) -> tuple[str, str, str]:
    """The document, the path, and a condition for documents that are JSON at all."""
    value, path = c.args(node, 2)
    if value.type.name not in {"varchar", "json"}:
        c.wrong_arguments(node, [value, path])
    where = text(pattern_texts.json_path(c.constant_text(node, path, "a path")))
    valid = f"json_valid({value.sql})" if value.type == t.VARCHAR else "true"
    return value.sql, where, valid


@special("json_size")
def _json_size(c: DuckDBCompiler, node: ast.Call) -> Typed:
    value, path, valid = _json_and_path(c, node)
    kind = f"json_type({value}, {path})"
    sql = (
        f"(CASE WHEN NOT {valid} THEN NULL "
        f"WHEN {kind} = 'ARRAY' THEN CAST(json_array_length({value}, {path}) AS BIGINT) "
        f"WHEN {kind} = 'OBJECT' THEN len(json_keys({value}, {path})) "
        f"WHEN {kind} IS NOT NULL THEN 0 END)"
    )
    return Typed(sql, t.BIGINT)


# --- arrays and maps ------------------------------------------------------------------------


@special("element_at")
def _element_at(c: DuckDBCompiler, node: ast.Call) -> Typed:
    base, key = c.args(node, 2)
    if base.type.name == "map":
        found = c.as_type(node, key, base.type.parts[0]).sql
        return Typed(f"map_extract_value({base.sql}, {found})", base.type.parts[1])
    if base.type.name != "array" or not t.is_integer(key.type):
        c.wrong_arguments(node, [base, key])
    failing = c.failing("SQL array indices start at 1")
    unfit = f"{key.sql} = 0 AND {base.sql} IS NOT NULL"
    sql = f"(CASE WHEN {unfit} THEN {failing} ELSE ({base.sql})[{key.sql}] END)"
    return Typed(sql, base.type.parts[0])


@special("array_union", "array_intersect", "array_except")
def _array_sets(c: DuckDBCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)
    kind = t.common(left.type, right.type)
    if kind is None or kind.name != "array":
        c.wrong_arguments(node, [left, right])
    a, b = cast(left, kind), cast(right, kind)
    return c.once(a, lambda a: c.once(b, lambda b: _array_set(c, node, a, b)))


def _array_set(c: DuckDBCompiler, node: ast.Call, a: Typed, b: Typed) -> Typed:
    kind = a.type
    if node.name == "array_union":
        return c.plain(ast.Call("array_distinct", [], node.at), [c.operate("||", a, b, node.at)])
    has_null = f"len(list_filter({b.sql}, lambda other: other IS NULL)) > 0"
    if node.name == "array_intersect":  # in the order of the longer one
        return _intersection(c, node, a, b)
    there = f"CASE WHEN item IS NULL THEN {has_null} ELSE list_contains({b.sql}, item) END"
    kept = f"list_filter({a.sql}, lambda item: NOT ({there}))"
    missing = f"{a.sql} IS NULL OR {b.sql} IS NULL"
    kept = f"(CASE WHEN {missing} THEN NULL ELSE {kept} END)"
    return c.plain(ast.Call("array_distinct", [], node.at), [Typed(kept, kind)])


def _intersection(c: DuckDBCompiler, node: ast.Call, a: Typed, b: Typed) -> Typed:
    """What both have, in the order of the longer one."""

    def kept(of: str, others: str) -> str:
        has_null = f"len(list_filter({others}, lambda other: other IS NULL)) > 0"
        there = f"CASE WHEN item IS NULL THEN {has_null} ELSE list_contains({others}, item) END"
        return f"list_filter({of}, lambda item: {there})"

    chosen = (
        f"(CASE WHEN {a.sql} IS NULL OR {b.sql} IS NULL THEN NULL "
        f"WHEN len({a.sql}) < len({b.sql}) THEN {kept(b.sql, a.sql)} "
        f"ELSE {kept(a.sql, b.sql)} END)"
    )
    return c.plain(ast.Call("array_distinct", [], node.at), [Typed(chosen, a.type)])


@special("array_max", "array_min")
def _extreme(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """NULL where an item is; of arrays and rows an order is needed."""
    (value,) = c.args(node, 1)
    item = value.type.parts[0] if value.type.name == "array" else t.UNKNOWN
    if item.name not in NESTED:
        return c.plain(node, [value])
    if not orderable(item):
        c.wrong_arguments(node, [value])

    def found(value: Typed) -> Typed:
        one = c.fresh("p")
        unfit = unorderable(c, one, item, with_nan=node.name == "array_max") or "false"
        what = c.unsupported("Ordering arrays or rows with NULL or NaN inside")
        sql = (
            f"(CASE WHEN len(list_filter({value.sql}, lambda {one}: {one} IS NULL)) > 0 THEN NULL "
            f"WHEN len(list_filter({value.sql}, lambda {one}: {unfit})) > 0 THEN {what} "
            f"ELSE list_{node.name[-3:]}({value.sql}) END)"
        )
        return Typed(sql, item)

    return c.once(value, found)


@special("contains", "array_position", "array_remove")
def _search(c: DuckDBCompiler, node: ast.Call) -> Typed:
    """Among arrays and rows a NULL inside, which decides nothing, is an error."""
    values = c.args(node, 2, 3)
    base, sought = values[0], values[1]
    item = base.type.parts[0] if base.type.name == "array" else t.UNKNOWN
    if item.name not in NESTED or len(values) > 2 or t.bare(sought.type) != t.bare(item):
        return c.plain(node, values)
    return c.once_each([base, sought], lambda v: _search_nested(c, node, v[0], v[1]))


def _search_nested(c: DuckDBCompiler, node: ast.Call, base: Typed, sought: Typed) -> Typed:
    one, at, item = c.fresh("p"), c.fresh("p"), base.type.parts[0]
    test = equal(c, Typed(one, item), sought, node.at).sql
    what = f"{node.name} does not support arrays with elements that are null or contain null"
    known = f"(CASE WHEN {one} IS NULL THEN NULL ELSE coalesce({test}, {c.failing(what)}) END)"
    tests = f"list_transform({base.sql}, lambda {one}: {known})"
    if node.name == "contains":
        found, kind = f"list_reduce({tests}, lambda {one}, {at}: {one} OR {at}, false)", t.BOOLEAN
    elif node.name == "array_position":
        found, kind = f"CAST(coalesce(list_position({tests}, true), 0) AS BIGINT)", t.BIGINT
    else:
        test = f"{at}[2] IS DISTINCT FROM true"
        kept = f"list_filter(list_zip({base.sql}, {tests}), lambda {at}: {test})"
        found, kind = f"list_transform({kept}, lambda {at}: {at}[1])", base.type
    missing = f"{base.sql} IS NULL OR {sought.sql} IS NULL"
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {found} END)", kind)


@special("array_join")
def _array_join(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if args[0].type.name == "array":
        args[0] = plain_texts(c, args[0]) or _cast_texts(c, node, args[0])
    return c.plain(node, args)


def _cast_texts(c: DuckDBCompiler, node: ast.Call, array: Typed) -> Typed:
    element, item = array.type.parts[0], c.fresh("item")
    if element.parts or element == t.JSON:
        c.refuse(f"array_join of {array.type}", node.at)
    written = explicit(Typed(item, element), t.VARCHAR, None, CastSite())
    texts = f"list_transform({array.sql}, lambda {item}: {written.sql})"
    return Typed(texts, t.array(t.VARCHAR))


@special("sequence")
def _sequence(c: DuckDBCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    first, last = args[0], args[1]
    if t.is_integer(first.type) and t.is_integer(last.type):
        a, b = cast(first, t.BIGINT).sql, cast(last, t.BIGINT).sql
        default = f"CASE WHEN {a} <= {b} THEN 1 ELSE -1 END"
        step = c.as_type(node, args[2], t.BIGINT).sql if len(args) == 3 else default
        return Typed(_checked_series(c, a, b, step), t.array(t.BIGINT))
    if first.type == last.type == t.DATE:
        forwards = f"to_days(CASE WHEN {first.sql} <= {last.sql} THEN 1 ELSE -1 END)"
        step = args[2].sql if len(args) == 3 else forwards
        ends = [f"CAST({one.sql} AS TIMESTAMP)" for one in (first, last)]
        if len(args) == 3 and args[2].type == t.DAYS and args[2].constant != WHOLE_DAYS:
            c.refuse("A sequence of dates by such an interval", node.at)
        series = _checked_moments(c, ends[0], ends[1], step)
        return Typed(f"CAST({series} AS DATE[])", t.array(t.DATE))
    if first.type.name == last.type.name == "timestamp" and len(args) == 3:
        kind = t.common(first.type, last.type) or first.type
        return Typed(_checked_moments(c, first.sql, last.sql, args[2].sql), t.array(kind))
    c.wrong_arguments(node, args)


_AWAY = (
    "sequence stop value should be greater than or equal to start value if step is greater "
    "than zero otherwise stop should be less than or equal to start"
)
_MANY = "result of sequence function must not have more than 10000 entries"


def _checked_moments(c: DuckDBCompiler, first: str, last: str, step: str) -> str:
    """The same of timestamps: where a step leads decides its direction, a count the end."""
    after = f"{first} + {step}"
    many = f"({after} > {first}) = ({first} + {step} * 10000 <= {last})"
    return (
        f"(CASE WHEN {after} IS NULL OR {last} IS NULL THEN NULL "
        f"WHEN {after} = {first} THEN {c.failing('interval must not be zero')} "
        f"WHEN {first} = {last} THEN [{first}] "
        f"WHEN ({after} > {first}) <> ({last} >= {first}) AND {first} <> {last} "
        f"THEN {c.failing(_AWAY)} "
        f"WHEN {many} THEN {c.failing(_MANY)} ELSE {_steps(c, first, last, step)} END)"
    )


def _steps(c: DuckDBCompiler, first: str, last: str, step: str) -> str:
    """Each from the first: a month after 31 January and one more is 31 March."""
    number, moment = c.fresh("p"), c.fresh("p")
    length = f"greatest(abs(epoch_us({first} + {step}) - epoch_us({first})), 1)"
    count = f"least((abs(epoch_us({last}) - epoch_us({first})) * 12) // ({length} * 10) + 2, 10000)"
    every = f"list_transform(range(0, {count}), lambda {number}: {first} + {step} * {number})"
    is_in = f"CASE WHEN {first} <= {last} THEN {moment} <= {last} ELSE {moment} >= {last} END"
    return f"list_filter({every}, lambda {moment}: {is_in})"


def _checked_series(c: DuckDBCompiler, first: str, last: str, step: str) -> str:
    """Whole numbers, with Trino's rules: in the step's direction, and not too many. The series
    itself is bounded too: DuckDB computes one of constants while it plans, whatever is before."""
    many = f"({last}::HUGEINT - {first}) // nullif({step}, 0) >= 10000"
    return (
        f"(CASE WHEN {step} = 0 THEN {c.failing('step must not be zero')} "
        f"WHEN ({step} > 0) <> ({last} >= {first}) AND {first} <> {last} THEN {c.failing(_AWAY)} "
        f"WHEN {many} THEN {c.failing(_MANY)} "
        f"ELSE generate_series({first}, CASE WHEN {many} THEN {first} ELSE {last} END, {step}) END)"
    )


@special("zip")
def _zip(c: DuckDBCompiler, node: ast.Call) -> Typed:
    arrays = c.args(node, 2, 5)
    if any(value.type.name != "array" for value in arrays):
        c.wrong_arguments(node, arrays)
    kinds = [value.type.parts[0] for value in arrays]
    zipped = f"list_zip({', '.join(value.sql for value in arrays)})"
    items = ", ".join(f"pair[{number + 1}]" for number in range(len(arrays)))
    missing = " OR ".join(f"{value.sql} IS NULL" for value in arrays)
    sql = f"list_transform({zipped}, lambda pair: row({items}))"
    kind = t.array(t.row(kinds, [""] * len(kinds)))
    return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {sql} END)", kind)


@special("cardinality")
def _cardinality(c: DuckDBCompiler, node: ast.Call) -> Typed:
    if len(node.args) == 1 and (found := functions_sketches.cardinality(c, node.args[0])):
        return found
    return c.plain(node, c.args(node, 1))


@special("map")
def _map(c: DuckDBCompiler, node: ast.Call) -> Typed:
    if not node.args:
        return Typed("CAST(map([], []) AS MAP(INTEGER, INTEGER))", t.map_of(t.UNKNOWN, t.UNKNOWN))
    return c.plain(node, c.args(node, 2))

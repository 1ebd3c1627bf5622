"""Functions of arrays, maps and rows, and those that take a lambda."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from queryrun.sql.addresses import read_network
from queryrun.sql.compile import types as t
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import addresses
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.comparisons import unorderable
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions.table import special
from queryrun.sql.spark.functions.text import grouped
from queryrun.sql.trino.records import ast


@special("element_at")
def _element_at(c: SparkCompiler, node: ast.Call) -> Typed:
    base, key = c.args(node, 2)
    if base.type.name == "map":
        found = c.as_type(node, key, base.type.parts[0]).sql
        return Typed(f"try_element_at({base.sql}, {found})", base.type.parts[1])
    if base.type.name != "array" or not t.is_integer(key.type):
        c.wrong_arguments(node, [base, key])
    found = f"try_element_at({base.sql}, CAST({key.sql} AS INT))"
    if isinstance(key.constant, int) and key.constant:
        return Typed(found, base.type.parts[0])
    failing = c.failing("SQL array indices start at 1")
    unfit = f"{key.sql} = 0 AND {base.sql} IS NOT NULL"
    return Typed(f"(CASE WHEN {unfit} THEN {failing} ELSE {found} END)", base.type.parts[0])


@special("array_sort")
def _array_sort(c: SparkCompiler, node: ast.Call) -> Typed:
    if len(node.args) != 2:
        return c.plain(node, c.args(node, 1))
    value = _array_arg(c, node, 2)
    a, b = c.fresh("p"), c.fresh("p")
    params = [Typed(name, value.type.parts[0]) for name in (a, b)]
    body = c.lambda_of(node, node.args[1], params)
    if not t.is_integer(body.type):
        c.mismatch("The lambda of array_sort must return an integer", node.at)
    wrong = c.failing("Lambda comparator must return either -1, 0, or 1")
    order = f"CAST({body.sql} AS INT)"
    checked = f"CASE WHEN {order} IN (-1, 0, 1) THEN {order} ELSE {wrong} END"
    return Typed(f"array_sort({value.sql}, ({a}, {b}) -> {checked})", value.type)


@special("array_distinct")
def _array_distinct(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name == "array" and "map" in str(value.type):
        c.refuse(f"array_distinct of {value.type}", node.at)
    return c.plain(node, [value])


@special("array_union", "array_intersect", "array_except")
def _array_sets(c: SparkCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)
    kind = t.common(left.type, right.type)
    if kind is None or kind.name != "array":
        c.wrong_arguments(node, [left, right])
    a, b = c.cast_to(left, kind), c.cast_to(right, kind)
    return Typed(f"{node.name}({a.sql}, {b.sql})", kind)


@special("sequence")
def _sequence(c: SparkCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    first, last = args[0], args[1]
    if t.is_integer(first.type) and t.is_integer(last.type):
        values = [c.as_type(node, value, t.BIGINT).sql for value in args]
        return Typed(f"sequence({', '.join(values)})", t.array(t.BIGINT))
    if first.type == last.type == t.DATE:
        step = f", {args[2].sql}" if len(args) == 3 else ""
        if not step:
            step = f", make_dt_interval(if({first.sql} <= {last.sql}, 1, -1))"
        return Typed(f"sequence({first.sql}, {last.sql}{step})", t.array(t.DATE))
    if first.type.name == last.type.name == "timestamp" and len(args) == 3:
        kind = t.common(first.type, last.type) or first.type
        return Typed(f"sequence({first.sql}, {last.sql}, {args[2].sql})", t.array(kind))
    c.wrong_arguments(node, args)


@special("zip")
def _zip(c: SparkCompiler, node: ast.Call) -> Typed:
    arrays = c.args(node, 2, 5)
    if any(value.type.name != "array" for value in arrays):
        c.wrong_arguments(node, arrays)
    items = [Typed(f"pair.`{number}`", value.type.parts[0]) for number, value in enumerate(arrays)]
    row = c.row_from(items)
    sql = f"transform({_zipped(arrays)}, pair -> {row.sql})"
    return Typed(sql, t.array(row.type))


def _zipped(arrays: list[Typed]) -> str:
    """`arrays_zip` names its fields after columns; after numbers only if it is given none."""
    given = ", ".join(f"transform({value.sql}, item -> item)" for value in arrays)
    return f"arrays_zip({given})"


@special("map")
def _map(c: SparkCompiler, node: ast.Call) -> Typed:
    if not node.args:
        kind = t.map_of(t.UNKNOWN, t.UNKNOWN)
        return Typed("CAST(map() AS MAP<INT, INT>)", kind)
    return c.plain(node, c.args(node, 2))


@special("map_from_entries")
def _map_from_entries(c: SparkCompiler, node: ast.Call) -> Typed:
    return c.plain(node, c.args(node, 1))


# --- looking for an element ------------------------------------------------------------------


@special("contains", "array_position", "array_remove", "arrays_overlap")
def _sought(c: SparkCompiler, node: ast.Call) -> Typed:
    """Fails where NaN, or a NULL inside of an element, is compared: Spark takes two for equal."""
    args = c.args(node, 2)
    if args[1].type == t.IPADDRESS and args[0].type.name in {"varchar", "unknown"}:
        return _contains_address(c, node, *args)
    found = c.plain(node, args)
    if args[0].type.name != "array":
        return found
    element = args[0].type.parts[0]
    if not element.parts and not t.is_floating(element):
        return found
    if element.name in {"map", "json"}:
        c.refuse(f"{node.name} of {args[0].type}", node.at)
    sought = args[1].sql if node.name == "arrays_overlap" else f"array({args[1].sql})"
    both = [sought] if t.is_floating(element) else [args[0].sql, sought]
    unfit = " OR ".join(_unfit(c, sql, element) for sql in both)
    failing = c.unsupported(f"{node.name} with NaN, or NULL inside of an element,")
    return Typed(f"(CASE WHEN {unfit} THEN {failing} ELSE {found.sql} END)", found.type)


def _contains_address(c: SparkCompiler, node: ast.Call, network: Typed, address: Typed) -> Typed:
    if network.type == t.UNKNOWN:
        return Typed("CAST(NULL AS BOOLEAN)", t.BOOLEAN)
    try:
        found = read_network(c.constant_text(node, network, "a network"))
    except ValueError as error:
        c.invalid(str(error), node.at)
    return Typed(bound(address.sql, lambda x: addresses.contained(found, x), "x"), t.BOOLEAN)


def _unfit(c: SparkCompiler, array: str, element: t.Type) -> str:
    item = c.fresh("p")
    is_unfit = f"isnan({item})" if t.is_floating(element) else unorderable(c, item, element)
    return f"size(filter(coalesce({array}, array()), {item} -> coalesce({is_unfit}, false))) > 0"


# --- functions that take a lambda -----------------------------------------------------------


def _array_arg(c: SparkCompiler, node: ast.Call, count: int) -> Typed:
    if len(node.args) != count:
        c.wrong_arguments(node, [])
    value = c.expr(node.args[0])
    if value.type.name != "array":
        c.wrong_arguments(node, [value])
    return value


def _over_items(c: SparkCompiler, node: ast.Call, value: Typed, arg: ast.Expr) -> tuple[str, Typed]:
    param = c.fresh("p")
    return param, c.lambda_of(node, arg, [Typed(param, value.type.parts[0])])


def _test_over_items(c: SparkCompiler, node: ast.Call, value: Typed) -> tuple[str, str]:
    param, body = _over_items(c, node, value, node.args[1])
    return param, _test(c, node, body)


def _test(c: SparkCompiler, node: ast.Call, body: Typed) -> str:
    if body.type not in {t.BOOLEAN, t.UNKNOWN}:
        c.mismatch(f"The lambda of {node.name} must return a boolean", node.at)
    return body.sql if body.type == t.BOOLEAN else "CAST(NULL AS BOOLEAN)"


@special("transform")
def _transform(c: SparkCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 2)
    param, body = _over_items(c, node, value, node.args[1])
    return Typed(f"transform({value.sql}, {param} -> {c.exact(body)})", t.array(body.type))


@special("filter")
def _filter(c: SparkCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 2)
    param, test = _test_over_items(c, node, value)
    return Typed(f"filter({value.sql}, {param} -> {test})", value.type)


@special("any_match", "all_match", "none_match")
def _match(c: SparkCompiler, node: ast.Call) -> Typed:
    """With SQL's three values, as Spark's have them too."""
    value = _array_arg(c, node, 2)
    param, test = _test_over_items(c, node, value)
    function = "forall" if node.name == "all_match" else "exists"
    sql = f"{function}({value.sql}, {param} -> {test})"
    return Typed(f"(NOT {sql})" if node.name == "none_match" else sql, t.BOOLEAN)


@special("reduce")
def _reduce(c: SparkCompiler, node: ast.Call) -> Typed:
    value = _array_arg(c, node, 4)
    start = c.expr(node.args[1])
    state, item, last = c.fresh("p"), c.fresh("p"), c.fresh("p")
    step = c.lambda_of(
        node, node.args[2], [Typed(state, start.type), Typed(item, value.type.parts[0])]
    )
    if t.bare(step.type) != t.bare(start.type) and not t.can_become(start.type, step.type):
        c.mismatch("The lambda of reduce must return the type of its state", node.at)
    start = c.cast_to(start, step.type)
    end = c.lambda_of(node, node.args[3], [Typed(last, step.type)])
    kind = c.type_name(step.type)
    sql = (
        f"aggregate({value.sql}, CAST({c.exact(start)} AS {kind}), "
        f"({state}, {item}) -> CAST({c.exact(step)} AS {kind}), {last} -> {c.exact(end)})"
    )
    return Typed(sql, end.type)


@special("zip_with")
def _zip_with(c: SparkCompiler, node: ast.Call) -> Typed:
    left = _array_arg(c, node, 3)
    right = c.expr(node.args[1])
    if right.type.name != "array":
        c.wrong_arguments(node, [left, right])
    a, b = c.fresh("p"), c.fresh("p")
    params = [Typed(a, left.type.parts[0]), Typed(b, right.type.parts[0])]
    body = c.lambda_of(node, node.args[2], params)
    sql = f"zip_with({left.sql}, {right.sql}, ({a}, {b}) -> {c.exact(body)})"
    return Typed(sql, t.array(body.type))


def _over_entries(c: SparkCompiler, node: ast.Call) -> tuple[Typed, str, Typed]:
    if len(node.args) != 2:
        c.wrong_arguments(node, [])
    value = c.expr(node.args[0])
    if value.type.name != "map":
        c.wrong_arguments(node, [value])
    key, item = value.type.parts
    k, v = c.fresh("p"), c.fresh("p")
    body = c.lambda_of(node, node.args[1], [Typed(k, key), Typed(v, item)])
    return value, f"({k}, {v})", body


@special("map_filter")
def _map_filter(c: SparkCompiler, node: ast.Call) -> Typed:
    value, params, body = _over_entries(c, node)
    return Typed(f"map_filter({value.sql}, {params} -> {_test(c, node, body)})", value.type)


@special("transform_values")
def _transform_values(c: SparkCompiler, node: ast.Call) -> Typed:
    value, params, body = _over_entries(c, node)
    kind = t.map_of(value.type.parts[0], body.type)
    return Typed(f"transform_values({value.sql}, {params} -> {c.exact(body)})", kind)


@special("transform_keys")
def _transform_keys(c: SparkCompiler, node: ast.Call) -> Typed:
    value, params, body = _over_entries(c, node)
    kind = t.map_of(body.type, value.type.parts[1])
    return Typed(f"transform_keys({value.sql}, {params} -> {c.exact(body)})", kind)


@special("map_zip_with")
def _map_zip_with(c: SparkCompiler, node: ast.Call) -> Typed:
    if len(node.args) != 3:
        c.wrong_arguments(node, [])
    maps = [c.expr(arg) for arg in node.args[:2]]
    if any(value.type.name != "map" for value in maps):
        c.wrong_arguments(node, maps)
    key = maps[0].type.parts[0]
    if key != maps[1].type.parts[0]:
        c.refuse("map_zip_with of maps with keys of two types", node.at)
    names = [c.fresh("p") for _ in range(3)]
    kinds = [key, maps[0].type.parts[1], maps[1].type.parts[1]]
    params = [Typed(name, kind) for name, kind in zip(names, kinds, strict=True)]
    body = c.lambda_of(node, node.args[2], params)
    sql = f"map_zip_with({maps[0].sql}, {maps[1].sql}, ({', '.join(names)}) -> {c.exact(body)})"
    return Typed(sql, t.map_of(key, body.type))


# --- made of others -------------------------------------------------------------------------


@special("map_concat")
def _map_concat(c: SparkCompiler, node: ast.Call) -> Typed:
    """The last of several values for a key."""
    maps = c.args(node, 2, 127)
    kind = c.unified(maps, node.at, "map_concat")
    if kind.name != "map":
        c.wrong_arguments(node, maps)
    found = maps[0]
    for value in maps[1:]:
        found = c.plain(node, [c.cast_to(found, kind), c.cast_to(value, kind)])
    return found


@special("multimap_from_entries")
def _multimap_from_entries(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name != "array" or len(value.type.parts[0].parts) != 2:
        c.wrong_arguments(node, [value])
    row = value.type.parts[0]
    key, item = (c.row_field(Typed("u1", row), number) for number in range(2))
    no_entry, no_key = c.failing("map entry cannot be null"), c.failing("map key cannot be null")
    entry = (
        f"CASE WHEN u1 IS NULL THEN {no_entry} WHEN {key.sql} IS NULL THEN {no_key} "
        f"ELSE named_struct('k', {key.sql}, 'v', {item.sql}) END"
    )
    entries = f"transform({value.sql}, u1 -> {entry})"
    return Typed(grouped(entries), t.map_of(key.type, t.array(item.type)))


@special("array_histogram")
def _array_histogram(c: SparkCompiler, node: ast.Call) -> Typed:
    (value,) = c.args(node, 1)
    if value.type.name != "array":
        c.wrong_arguments(node, [value])
    return Typed(counted(value.sql), t.map_of(value.type.parts[0], t.BIGINT))


def counted(values: str) -> str:
    """A map of each value of an array to how often it is there."""

    def by_value(u: str) -> str:
        count = f"CAST(size(filter({u}, u3 -> u3 = u2)) AS BIGINT)"
        pair = f"named_struct('k', u2, 'v', {count})"
        return f"map_from_entries(transform(array_distinct({u}), u2 -> {pair}))"

    return bound(f"filter({values}, u0 -> u0 IS NOT NULL)", by_value, "u1")


MAX_COMBINED = 16
"""An array's length, of which there are 2^16 subsets: Trino's own bound is 100,000 results."""


@special("combinations")
def _combinations(c: SparkCompiler, node: ast.Call) -> Typed:
    """Subsets in the order of their bits, which is Trino's order."""
    values, size = c.args(node, 2)
    if values.type.name != "array":
        c.wrong_arguments(node, [values, size])
    number = c.as_type(node, size, t.BIGINT).sql
    wrong = c.failing("combination size must be between 0 and 5")
    long = c.unsupported(f"combinations of more than {MAX_COMBINED} values")

    def chosen(u: str) -> str:
        all_subsets = f"sequence(0L, shiftleft(1L, size({u})) - 1)"
        subsets = f"filter({all_subsets}, u2 -> bit_count(u2) = {number})"
        subset = f"filter({u}, (u3, u4) -> (shiftright(u2, u4) & 1) = 1)"
        return (
            f"(CASE WHEN {number} NOT BETWEEN 0 AND 5 THEN {wrong} WHEN {u} IS NULL OR "
            f"{number} IS NULL THEN NULL WHEN size({u}) > {MAX_COMBINED} THEN {long} "
            f"ELSE transform({subsets}, u2 -> {subset}) END)"
        )

    return Typed(bound(values.sql, chosen, "u1"), t.array(values.type))

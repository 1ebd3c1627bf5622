"""Functions of JSON, arrays and maps that look at their arguments."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from queryrun.sql.trino import ast, formats
from queryrun.sql.trino import types as t
from queryrun.sql.trino.compile_calls import CallCompiler, special
from queryrun.sql.trino.typed import Typed, cast, text

# --- JSON -----------------------------------------------------------------------------------


def _json_and_path(c: CallCompiler, node: ast.Call) -> tuple[str, str, str]:
    """The document, the path, and a condition for documents that are JSON at all."""
    value, path = c.args(node, 2)
    if value.type.name not in {"varchar", "json"}:
        c.wrong_arguments(node, [value, path])
    where = text(formats.json_path(c.constant_text(node, path, "a path")))
    valid = f"json_valid({value.sql})" if value.type == t.VARCHAR else "true"
    return value.sql, where, valid


@special("json_size")
def _json_size(c: CallCompiler, node: ast.Call) -> Typed:
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
def _element_at(c: CallCompiler, node: ast.Call) -> Typed:
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
def _array_sets(c: CallCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)
    kind = t.common(left.type, right.type)
    if kind is None or kind.name != "array":
        c.wrong_arguments(node, [left, right])
    a, b = cast(left, kind), cast(right, kind)
    return c.once(a, lambda a: c.once(b, lambda b: _array_set(c, node, a, b)))


def _array_set(c: CallCompiler, node: ast.Call, a: Typed, b: Typed) -> Typed:
    kind = a.type
    if node.name == "array_union":
        return c.plain(ast.Call("array_distinct", [], node.at), [c.operate("||", a, b, node.at)])
    has_null = f"len(list_filter({b.sql}, lambda other: other IS NULL)) > 0"
    there = f"CASE WHEN item IS NULL THEN {has_null} ELSE list_contains({b.sql}, item) END"
    test = there if node.name == "array_intersect" else f"NOT ({there})"
    kept = f"list_filter({a.sql}, lambda item: {test})"
    missing = f"{a.sql} IS NULL OR {b.sql} IS NULL"
    kept = f"(CASE WHEN {missing} THEN NULL ELSE {kept} END)"
    return c.plain(ast.Call("array_distinct", [], node.at), [Typed(kept, kind)])


@special("array_join")
def _array_join(c: CallCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if args[0].type.name == "array" and args[0].type.parts[0].name != "varchar":
        element = args[0].type.parts[0]
        if not (t.is_integer(element) or element.name in {"decimal", "boolean", "unknown"}):
            c.refuse(f"array_join of {args[0].type}", node.at)
        texts = t.array(t.VARCHAR)
        args[0] = Typed(f"CAST({args[0].sql} AS {c.type_name(texts)})", texts)
    return c.plain(node, args)


@special("sequence")
def _sequence(c: CallCompiler, node: ast.Call) -> Typed:
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
        ends = f"CAST({first.sql} AS TIMESTAMP), CAST({last.sql} AS TIMESTAMP)"
        series = f"generate_series({ends}, {step})"
        return Typed(f"CAST({series} AS DATE[])", t.array(t.DATE))
    if first.type.name == last.type.name == "timestamp" and len(args) == 3:
        kind = t.common(first.type, last.type) or first.type
        return Typed(f"generate_series({first.sql}, {last.sql}, {args[2].sql})", t.array(kind))
    c.wrong_arguments(node, args)


def _checked_series(c: CallCompiler, first: str, last: str, step: str) -> str:
    """Whole numbers, with Trino's rules: in the step's direction, and not too many."""
    away = (
        "sequence stop value should be greater than or equal to start value if step is greater "
        "than zero otherwise stop should be less than or equal to start"
    )
    many = "result of sequence function must not have more than 10000 entries"
    return (
        f"(CASE WHEN {step} = 0 THEN {c.failing('step must not be zero')} "
        f"WHEN ({step} > 0) <> ({last} >= {first}) AND {first} <> {last} THEN {c.failing(away)} "
        f"WHEN ({last}::HUGEINT - {first}) // {step} >= 10000 THEN {c.failing(many)} "
        f"ELSE generate_series({first}, {last}, {step}) END)"
    )


@special("zip")
def _zip(c: CallCompiler, node: ast.Call) -> Typed:
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
def _cardinality(c: CallCompiler, node: ast.Call) -> Typed:
    return c.plain(node, c.args(node, 1))


@special("map")
def _map(c: CallCompiler, node: ast.Call) -> Typed:
    if not node.args:
        return Typed("CAST(map([], []) AS MAP(INTEGER, INTEGER))", t.map_of(t.UNKNOWN, t.UNKNOWN))
    return c.plain(node, c.args(node, 2))

"""Functions that are made of others, whatever the engine, and what several of them use."""

from __future__ import annotations

from collections.abc import Mapping

from queryrun.sql.compile import types as t
from queryrun.sql.compile.functions import Handler
from queryrun.sql.compile.statement import StatementCompiler
from queryrun.sql.compile.typed import Typed
from queryrun.sql.trino.records import ast


def type_name(c: StatementCompiler, node: ast.Call) -> str:
    """What `typeof` says of its argument, on every engine. Lengths of varchars are not tracked, so
    of these only what was written out has a type; others are refused."""
    (value,) = c.args(node, 1)
    kind = str(value.type)
    if "varchar" not in kind:
        return kind
    arg = node.args[0]
    if isinstance(arg, ast.Literal) and arg.kind == "string":
        return f"varchar({len(arg.text)})"
    if not (isinstance(arg, ast.Cast) and not arg.type.arguments):
        c.refuse(f"typeof of {kind}", node.at)
    return kind


def _if(c: StatementCompiler, node: ast.Call) -> Typed:
    if not 2 <= len(node.args) <= 3:
        c.wrong_arguments(node, [])
    otherwise = node.args[2] if len(node.args) == 3 else None
    return c.expr(ast.Case(None, [(node.args[0], node.args[1])], otherwise, node.at))


def _coalesce(c: StatementCompiler, node: ast.Call) -> Typed:
    values = c.args(node, 2, 1_000)
    kind = c.unified(values, node.at, "coalesce")
    return Typed(f"coalesce({', '.join(c.exact(c.cast_to(v, kind)) for v in values)})", kind)


def _nullif(c: StatementCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)

    def chosen(left: Typed) -> Typed:
        equal = c.compare("=", left, right, node.at)
        return Typed(f"(CASE WHEN {equal} THEN NULL ELSE {c.exact(left)} END)", left.type)

    return c.once(left, chosen)


def _mod(c: StatementCompiler, node: ast.Call) -> Typed:
    left, right = c.args(node, 2)
    return c.operate("%", left, right, node.at)


def _concat(c: StatementCompiler, node: ast.Call) -> Typed:
    values = c.args(node, 2, 127)
    arrays = [value.type for value in values if value.type.name == "array"]
    if arrays and len(values) > 2:  # only of two could NULL be an item as well
        values = [c.cast_to(v, arrays[0]) if v.type == t.UNKNOWN else v for v in values]
    found = values[0]
    for value in values[1:]:
        found = c.operate("||", found, value, node.at)
    return found


def _replace(c: StatementCompiler, node: ast.Call) -> Typed:
    args = c.args(node, 2, 3)
    if len(args) == 2:
        return c.plain(node, args)
    if args[1].constant == "":
        c.refuse("replace of an empty string", node.at)
    values = [c.as_type(node, value, t.VARCHAR).sql for value in args]
    return Typed(f"replace({', '.join(values)})", t.VARCHAR)


def plain_texts(c: StatementCompiler, array: Typed) -> Typed | None:
    """An array of texts out of one whose elements every engine writes as Trino does; None: they
    are others."""
    element = array.type.parts[0]
    if element.name == "varchar":
        return array
    if not (t.is_integer(element) or element.name in {"decimal", "boolean", "unknown"}):
        return None
    texts = t.array(t.VARCHAR)
    return Typed(f"CAST({array.sql} AS {c.type_name(texts)})", texts)


def _cardinality(c: StatementCompiler, node: ast.Call) -> Typed:
    return c.plain(node, c.args(node, 1))


SHARED: Mapping[str, Handler] = {
    "if": _if,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "mod": _mod,
    "concat": _concat,
    "replace": _replace,
    "cardinality": _cardinality,
}
"""Scalar functions with one form for every engine, which a target may replace by its own."""

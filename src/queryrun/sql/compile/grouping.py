"""Find where a statement breaks the rules of grouping, with Trino's message.

DuckDB checks the rules when it binds a translation, but without a position in the statement as
submitted. This module looks for the position after DuckDB has refused; it decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from queryrun.sql.trino.records import ast

_CANNOT = "cannot contain aggregations, window functions or grouping operations"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and the character where."""

    message: str
    at: int


def grouping_problem(query: ast.Query, refusal: str, aggregates: Collection[str]) -> Problem | None:
    """The problem that DuckDB refused the statement for; None when it was none of this kind.

    `refusal` is DuckDB's message, `aggregates` the names of the aggregate functions.
    """
    find = _Finder(frozenset(aggregates) - {"grouping"})
    if "must appear in the GROUP BY clause" in refusal:
        return find.first(find.ungrouped, query)
    if "cannot be nested" in refusal:
        return find.first(find.nested, query)
    if "GROUPING child" in refusal:
        return find.first(find.groupings, query)
    for clause in ("WHERE", "GROUP BY", "JOIN"):
        if refusal.startswith(clause) and "cannot contain" in refusal:
            return find.first(find.misplaced, query)
    return None


class _Finder:
    def __init__(self, aggregates: Collection[str]) -> None:
        self._aggregates = aggregates

    def first(self, find: Any, query: ast.Query) -> Problem | None:
        """The first problem in any SELECT of the statement, from left to right."""
        found = [problem for one in _selects(query, []) for problem in find(*one)]
        return min(found, key=lambda problem: problem.at, default=None)

    def ungrouped(self, select: ast.Select, order: list[ast.SortItem]) -> Iterator[Problem]:
        """Columns outside of aggregates that are no part of a grouping key."""
        parts = [*select.items, select.having, *order]
        if select.group is None and not any(self._in(part) for part in parts):
            return
        keys = [_shape(key) for key in _keys(select)]
        for name in self._names(parts, keys):
            path = ".".join(part.text for part in name.parts)
            message = f"'{path}' must be an aggregate expression or appear in GROUP BY clause"
            yield Problem(message, name.at)

    def nested(self, select: ast.Select, order: list[ast.SortItem]) -> Iterator[Problem]:
        """Aggregates of aggregates."""
        for call in self._calls([*select.items, select.having, *order]):
            if call.over is None and any(self._in(part) for part in (call.args, call.filter)):
                message = f"Cannot nest aggregations inside aggregation '{call.name}'"
                yield Problem(message, call.at)

    def misplaced(self, select: ast.Select, _order: list[ast.SortItem]) -> Iterator[Problem]:
        """Aggregates and window functions where there is no group yet."""
        for clause, part in (("WHERE", select.where), ("GROUP BY", _keys(select))):
            for call in _walk(part, ast.Call):
                if call.over is not None or call.name in self._aggregates:
                    yield Problem(f"{clause} clause {_CANNOT}", call.at)

    def groupings(self, select: ast.Select, order: list[ast.SortItem]) -> Iterator[Problem]:
        """GROUPING of what is no grouping key."""
        keys = [_shape(key) for key in _keys(select)]
        for call in _walk([select.items, select.having, order], ast.Call):
            if call.name == "grouping" and any(_shape(arg) not in keys for arg in call.args):
                message = "The arguments to GROUPING must be expressions referenced by GROUP BY"
                yield Problem(message, call.at)

    def _in(self, part: object) -> bool:
        return next(self._calls([part]), None) is not None

    def _calls(self, parts: object) -> Iterator[ast.Call]:
        return (c for c in _walk(parts, ast.Call) if c.name in self._aggregates and c.over is None)

    def _names(self, node: object, keys: list[object]) -> Iterator[ast.Name]:
        """The columns that are named outside of aggregates, grouping keys and subqueries."""
        if isinstance(node, ast.Query) or (is_dataclass(node) and _shape(node) in keys):
            return
        if isinstance(node, ast.Name):
            yield node
        elif isinstance(node, ast.Call) and self._is_aggregate(node):
            return
        else:
            for child in _children(node):
                yield from self._names(child, keys)

    def _is_aggregate(self, call: ast.Call) -> bool:
        return call.over is None and call.name in {*self._aggregates, "grouping"}


def aggregates_in(expr: ast.Expr, aggregates: Collection[str]) -> Iterator[ast.Call]:
    """The aggregates and window functions in an expression, outside of subqueries."""
    calls: Iterator[ast.Call] = _walk(expr, ast.Call)
    return (call for call in calls if call.over is not None or call.name in aggregates)


def names_in(node: object) -> list[ast.Name]:
    """The columns that are named in an expression, outside of subqueries."""
    return list(_walk(node, ast.Name))


def _selects(
    node: object, order: list[ast.SortItem]
) -> Iterator[tuple[ast.Select, list[ast.SortItem]]]:
    """Every SELECT with the ORDER BY that belongs to it."""
    if isinstance(node, ast.Select):
        yield node, order
    for child in _children(node):
        is_body = isinstance(node, ast.Query) and child is node.body
        yield from _selects(child, node.order if is_body and isinstance(node, ast.Query) else [])


def _keys(select: ast.Select) -> list[ast.Expr | ast.Star]:
    """The grouping keys; a number stands for an item of the list."""
    found: list[ast.Expr | ast.Star] = []
    for key in (key for group in select.group or () for keys in group.sets for key in keys):
        if isinstance(key, ast.Literal) and key.kind == "integer":
            found += [item.expr for item in select.items[int(key.text) - 1 : int(key.text)]]
        else:
            found.append(key)
    return found


def _walk(node: object, kind: type[Any]) -> Iterator[Any]:
    """Every record of a kind, outside of subqueries."""
    if isinstance(node, ast.Query):
        return
    if isinstance(node, kind):
        yield node
    for child in _children(node):
        yield from _walk(child, kind)


def _children(node: object) -> Iterator[object]:
    if isinstance(node, list | tuple):
        yield from node
    elif isinstance(node, dict):
        yield from node.values()
    elif is_dataclass(node):
        yield from (getattr(node, field.name) for field in fields(node))


def _shape(node: object) -> object:
    """A node without its offsets; a column without what stands in front of it."""
    if isinstance(node, ast.Name):
        return ("Name", node.parts[-1].key)
    if isinstance(node, list | tuple):
        return tuple(_shape(item) for item in node)
    if is_dataclass(node):
        inner = (getattr(node, field.name) for field in fields(node) if field.name != "at")
        return (type(node).__name__, *(_shape(item) for item in inner))
    return node

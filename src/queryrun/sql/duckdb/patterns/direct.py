"""Conditions of DEFINE that the worker decides itself: comparisons of numbers and running sums.

A condition that looks at other rows of the match is a question to DuckDB each time it is met, with
everything that its aggregates are of: a long match would be read again for each of its rows. What
consists of whole numbers and doubles, of their sums and counts so far, becomes a small tree instead
(`row_pattern_conditions.py` in the worker), whose aggregates grow by one row at a time.

A tree is `["slot", n]`, `["value", x]`, `["real", x]` (the number as a double), `["and", …]`,
`["or", …]`, `["not", x]`, a comparison, or `["+", type, x, y]` for `+`, `-` and `*`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryrun.sql.compile import types as t
from queryrun.sql.compile.given import Given
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb.calls import DuckDBCalls
from queryrun.sql.duckdb.patterns.expressions import (
    Input,
    Labels,
    PatternExpressions,
    Target,
    added,
)
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import patterns as ap

_NUMBERS = frozenset([t.INTEGER, t.BIGINT, t.DOUBLE])
_COMPARISONS = frozenset(["=", "<>", "!=", "<", "<=", ">", ">="])
_AGGREGATES = frozenset(["count", "sum", "avg", "min", "max"])

_DECIMAL = t.decimal(38, 0)
"""What a literal like 0.9 has, whatever its digits."""
_EXACT_DIGITS = 15

Tree = list[Any]
TextOf = Callable[[Typed, int], int]


class NotDirectError(Exception):
    """It takes more than this to decide the condition."""


class DirectConditions(PatternExpressions):
    """Trees of conditions that have been compiled already, so that there is no fault in them.

    `text_of`: the number of the list that has a column's values as text.
    """

    def __init__(self, c: DuckDBCalls, rows: Input, labels: Labels, text_of: TextOf) -> None:
        super().__init__(c, rows, labels)
        self._text_of = text_of
        self._slots: list[dict[str, Any]] = []

    def question(self, condition: ast.Expr) -> dict[str, Any] | None:
        """For the program: the tree and what its slots are; None: DuckDB is to be asked."""
        self._slots = []
        try:
            tree, kind = self._tree(self._replaced(condition))
        except NotDirectError:
            return None
        return {"tree": tree, "slots": self._slots} if kind == t.BOOLEAN else None

    # --- what looks at rows -----------------------------------------------------------------

    def row_value(self, target: Target, inner: ast.Expr, at: int) -> Typed:
        value = self._column(inner)
        slot = {"kind": "row", "text": self._text_of(value, at), **target.spec()}
        return self._slot({**slot, "type": value.type.name}, value.type)

    def label_value(self, target: Target) -> Typed:
        del target
        raise NotDirectError

    def number_value(self) -> Typed:
        return self._slot({"kind": "number"}, t.BIGINT)

    def final(self, node: ap.Mode) -> bool:
        del node
        raise NotDirectError

    def aggregate_value(self, node: ast.Call, labels: list[int] | None, running: bool) -> Typed:
        if node.name not in _AGGREGATES or len(node.args) > 1 or not running:
            raise NotDirectError
        slot: dict[str, Any] = {"kind": "running", "function": node.name, "labels": labels}
        kind, slot["text"], slot["type"] = t.BIGINT, None, None
        if node.args:
            value = self._column(self._without_label(node.args[0]))
            slot["text"], slot["type"] = self._text_of(value, node.at), value.type.name
            kind = _result(node.name, value.type)
        return self._slot(slot, kind)

    def _without_label(self, node: ast.Expr) -> ast.Expr:
        return self._split(node)[1] if isinstance(node, ast.Name) else node

    def _column(self, node: ast.Expr) -> Typed:
        if not isinstance(node, ast.Name):
            raise NotDirectError
        with self._c.inside(self._rows.scope()):
            value = self._c.expr(node)
        if value.type not in _NUMBERS:
            raise NotDirectError
        return value

    def _slot(self, slot: dict[str, Any], kind: t.Type) -> Typed:
        return Typed(str(added(self._slots, slot)), kind)

    # --- trees ------------------------------------------------------------------------------

    def _tree(self, node: ast.Expr) -> tuple[Tree, t.Type]:
        match node:
            case Given():
                return ["slot", int(node.value.sql)], node.value.type
            case ast.Literal():
                return _literal(node)
            case ast.Not():
                return ["not", self._boolean(node.operand)], t.BOOLEAN
            case ast.Logical():
                return [node.op.lower(), *map(self._boolean, node.terms)], t.BOOLEAN
            case ast.Binary() if node.op in _COMPARISONS:
                left, right, _ = self._operands(node)
                return [node.op.replace("!=", "<>"), left, right], t.BOOLEAN
            case ast.Binary() if node.op in {"+", "-", "*"}:
                left, right, kind = self._operands(node)
                return [node.op, kind.name, left, right], kind
        raise NotDirectError

    def _boolean(self, node: ast.Expr) -> Tree:
        tree, kind = self._tree(node)
        if kind != t.BOOLEAN:
            raise NotDirectError
        return tree

    def _operands(self, node: ast.Binary) -> tuple[Tree, Tree, t.Type]:
        """Both in one type. A decimal literal beside a double is one; other decimals are not."""
        (left, one), (right, other) = self._tree(node.left), self._tree(node.right)
        kinds = {one, other}
        if t.BOOLEAN in kinds or (_DECIMAL in kinds and t.DOUBLE not in kinds):
            raise NotDirectError
        if t.DOUBLE in kinds:
            return _real(left, one), _real(right, other), t.DOUBLE
        return left, right, t.BIGINT if t.BIGINT in kinds else t.INTEGER


def _literal(node: ast.Literal) -> tuple[Tree, t.Type]:
    written = node.text.replace("_", "")
    if node.kind == "integer" and written.isdecimal() and int(written) < 2**63:
        return ["value", int(written)], t.INTEGER if int(written) < 2**31 else t.BIGINT
    if node.kind == "double":
        return ["value", float(written)], t.DOUBLE
    if node.kind == "decimal" and len(written) <= _EXACT_DIGITS:
        return ["value", float(written)], _DECIMAL
    raise NotDirectError


def _real(tree: Tree, kind: t.Type) -> Tree:
    return tree if kind in {t.DOUBLE, _DECIMAL} else ["real", tree]


def _result(function: str, kind: t.Type) -> t.Type:
    if function == "count":
        return t.BIGINT
    if function == "avg":
        return t.DOUBLE
    return t.BIGINT if function == "sum" and kind == t.INTEGER else kind

"""Expressions of row patterns: what of DEFINE and MEASURES looks at which rows.

Navigations, aggregates and column references are replaced by what the worker finds for them; the
rest is compiled as any expression is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from queryrun.sql.compile import types as t
from queryrun.sql.compile.given import Given
from queryrun.sql.compile.scope import Column, Scope, did_you_mean
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb.calls import DuckDBCalls
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import patterns as ap

_NAVIGATIONS = {"first", "last", "prev", "next"}
_OWN = {*_NAVIGATIONS, "classifier", "match_number"}
_ANY: list[int] | None = None
"""The labels of a reference without a label: all."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a pattern, and the sets of them that have a name."""

    names: list[str]
    subsets: dict[str, list[str]]

    def numbers(self, label: str) -> list[int] | None:
        """The labels that are meant; None when there is none of that name."""
        if label in self.names:
            return [self.names.index(label)]
        if label in self.subsets:
            return sorted(self.names.index(member) for member in self.subsets[label])
        return None


@dataclass(slots=True)
class Input:
    """The rows that are searched: `x0`, `x1`, … are their columns; `e0`, `e1`, … what else of
    each row a measure looks at."""

    alias: str
    columns: list[Column]
    expressions: list[str] = field(default_factory=list)

    def scope(self) -> Scope:
        """Where the columns of one row are found."""
        return Scope(
            [
                Column(column.key, column.heading, f"{self.alias}.x{n}", column.type)
                for n, column in enumerate(self.columns)
            ]
        )

    def output(self, number: int) -> tuple[str, t.Type, str]:
        """A column of the row that is returned."""
        column = self.columns[number]
        return column.heading, column.type, f"(rows[o.i + 1]).x{number}"

    def index(self, c: DuckDBCalls, node: ast.Name) -> int:
        """Which column a name means."""
        key = node.parts[0].key
        found = [n for n, column in enumerate(self.columns) if column.key == key]
        if len(found) > 1:
            c.ambiguous(f"Column '{node.parts[0].text}' is ambiguous", node.at)
        if not found:
            path = ".".join(part.text for part in node.parts)
            guess = did_you_mean(node.parts[0].text, [column.key for column in self.columns])
            c.not_found(f"Column '{path}' cannot be resolved{guess}", node.at)
        return found[0]

    def field_of(self, sql: str) -> str:
        """The part of a row that has this value."""
        if sql not in self.expressions:
            self.expressions.append(sql)
        return f"e{self.expressions.index(sql)}"


@dataclass(slots=True)
class Target:
    """The row that a navigation leads to. `labels`: None for all."""

    labels: list[int] | None
    last: bool = True
    logical: int = 0
    physical: int = 0
    running: bool = True

    def spec(self) -> dict[str, Any]:
        """For the program."""
        return {
            "labels": self.labels, "last": self.last, "logical": self.logical,
            "physical": self.physical, "running": self.running,
        }  # fmt: skip


class PatternExpressions:
    """What DEFINE and MEASURES have in common: finds what looks at rows."""

    def __init__(self, c: DuckDBCalls, rows: Input, labels: Labels) -> None:
        self._c, self._rows, self._labels = c, rows, labels
        self._params: set[str] = set()
        """The parameters of the lambdas around."""

    # --- to be provided ---------------------------------------------------------------------

    def row_value(self, target: Target, inner: ast.Expr, at: int) -> Typed:
        """An expression of another row."""
        raise NotImplementedError

    def label_value(self, target: Target) -> Typed:
        """The label of another row."""
        raise NotImplementedError

    def number_value(self) -> Typed:
        """The number of the match."""
        raise NotImplementedError

    def aggregate_value(self, node: ast.Call, labels: list[int] | None, running: bool) -> Typed:
        """An aggregate of rows of the match."""
        raise NotImplementedError

    def final(self, node: ap.Mode) -> bool:
        """Whether FINAL is meant; DEFINE has none."""
        raise NotImplementedError

    # --- finding ----------------------------------------------------------------------------

    def value(self, node: ast.Expr) -> Typed:
        """The compiled expression."""
        found = self._replaced(node)
        with self._c.inside(Scope()), self._c.deciding():
            return self._c.expr(found)

    def _replaced(self, node: Any) -> Any:
        """The node with what looks at rows replaced; queries see no row of the pattern."""
        match node:
            case ast.Query():
                return node
            case ast.Name():
                return self._name(node)
            case ap.Mode():
                return self._mode(node)
            case ast.Call() if self._is_own(node):
                return self._own(node, True)
            case ast.Lambda():
                added = {param.key for param in node.params} - self._params
                self._params |= added
                body = self._replaced(node.body)
                self._params -= added
                return replace(node, body=body)
            case list():
                return [self._replaced(one) for one in node]
            case tuple():
                return tuple(self._replaced(one) for one in node)
        if not is_dataclass(node) or isinstance(node, type | ast.TypeName | ast.Ident):
            return node
        changed = {one.name: self._replaced(getattr(node, one.name)) for one in fields(node)}
        return replace(node, **changed)

    def _is_own(self, node: ast.Call) -> bool:
        return node.name in _OWN or (self._c.is_aggregate(node))

    def _name(self, node: ast.Name) -> ast.Expr:
        if node.parts[0].key in self._params:
            return node
        labels, column = self._split(node)
        return Given(self.row_value(Target(labels), column, node.at), node.at)

    def _split(self, node: ast.Name) -> tuple[list[int] | None, ast.Name]:
        """The labels in front of a column, and the column."""
        first = node.parts[0]
        label = first.text if first.is_quoted else first.text.upper()
        numbers = self._labels.numbers(label) if len(node.parts) > 1 else None
        if numbers is None:
            self._rows.index(self._c, node)
            return _ANY, node
        column = replace(node, parts=node.parts[1:])
        self._rows.index(self._c, column)
        return numbers, column

    def _mode(self, node: ap.Mode) -> ast.Expr:
        call = node.call
        if not self._is_own(call) or call.name in {"prev", "next", "classifier", "match_number"}:
            message = f"{node.word} semantics is supported only for FIRST(), LAST() and aggregation"
            self._c.mismatch(f"{message} functions. Actual: {call.name}", node.at)
        return self._own(call, not self.final(node))

    def _own(self, node: ast.Call, running: bool) -> ast.Expr:
        if node.name == "match_number":
            if node.args:
                message = "MATCH_NUMBER pattern recognition function cannot have arguments"
                self._c.mismatch(message, node.at)
            return Given(self.number_value(), node.at)
        if node.name == "classifier":
            return Given(self.label_value(Target(self._classified(node))), node.at)
        if node.name in _NAVIGATIONS:
            return Given(self._navigation(node, running), node.at)
        return Given(self._aggregate(node, running), node.at)

    def _classified(self, node: ast.Call) -> list[int] | None:
        """The labels of CLASSIFIER(labels)."""
        if not node.args:
            return _ANY
        arg = node.args[0]
        if len(node.args) > 1 or not isinstance(arg, ast.Name) or len(arg.parts) > 1:
            message = "CLASSIFIER function argument should be primary pattern variable or subset"
            self._c.mismatch(f"{message} name", node.at)
        first = arg.parts[0]
        label = first.text if first.is_quoted else first.text.upper()
        found = self._labels.numbers(label)
        if found is None:
            message = f"{first.text} is not a primary pattern variable or subset name"
            self._c.mismatch(message, arg.at)
        return found

    # --- navigations ------------------------------------------------------------------------

    def _navigation(self, node: ast.Call, running: bool) -> Typed:
        target = Target(_ANY, running=running)
        inner = self._into(node, target)
        if isinstance(inner, ast.Call) and inner.name in _NAVIGATIONS and node.name in {
            "prev", "next",
        }:  # fmt: skip
            if inner.name in {"prev", "next"}:
                self._nesting(inner, node)
            inner = self._into(inner, target)
        elif isinstance(inner, ap.Mode) and inner.call.name in {"first", "last"}:
            target.running = not self.final(inner)
            inner = self._into(inner.call, target)
        labels, classifiers, columns = self._found_in(inner, node)
        if not columns and not classifiers:
            message = f"Pattern navigation function '{node.name.upper()}' must contain at least"
            self._c.mismatch(f"{message} one column reference or CLASSIFIER()", node.at)
        target.labels = labels
        if isinstance(inner, ast.Call) and inner.name == "classifier":
            return self.label_value(target)
        if classifiers:
            self._c.refuse(f"{node.name} of an expression of CLASSIFIER()", node.at)
        return self.row_value(target, _without_labels(inner, self._labels), node.at)

    def _nesting(self, inner: ast.Call, node: ast.Call) -> None:
        message = f"Cannot nest {inner.name} pattern navigation function inside {node.name}"
        self._c.mismatch(f"{message} pattern navigation function", inner.at)

    def _into(self, node: ast.Call, target: Target) -> ast.Expr:
        """What a navigation is of; the target learns which row it means."""
        if not 1 <= len(node.args) <= 2:
            message = f"{node.name} pattern recognition function requires 1 or 2 arguments"
            self._c.mismatch(message, node.at)
        is_physical = node.name in {"prev", "next"}
        offset = int(is_physical)
        if len(node.args) == 2:
            given = node.args[1]
            if not isinstance(given, ast.Literal) or given.kind != "integer":
                message = f"{node.name} pattern recognition navigation function requires a number"
                self._c.mismatch(f"{message} as the second argument", node.at)
            offset = int(given.text)
            if offset > 2**31 - 1:
                message = "The second argument of a navigation must not exceed 2147483647"
                self._c.mismatch(message, node.at)
        if is_physical:
            target.physical = offset if node.name == "next" else -offset
        else:
            target.last, target.logical = node.name == "last", offset
        return node.args[0]

    def _found_in(self, inner: ast.Expr, node: ast.Call) -> tuple[list[int] | None, bool, bool]:
        """The labels that all references in there have, whether labels are asked, and columns."""
        seen: list[list[int] | None] = []
        classifiers = columns = False
        pending: list[Any] = [inner]
        while pending:
            one = pending.pop()
            if isinstance(one, ast.Query):
                self._c.refuse("A query in a navigation or aggregate of a row pattern", node.at)
            if isinstance(one, ast.Lambda):
                self._c.refuse("A lambda in a navigation or aggregate of a row pattern", node.at)
            if isinstance(one, ap.Mode) or (isinstance(one, ast.Call) and one.name in _NAVIGATIONS):
                inside = one.call if isinstance(one, ap.Mode) else one
                self._nesting(inside, node)
            if isinstance(one, ast.Name):
                seen.append(self._split(one)[0])
                columns = True
            elif isinstance(one, ast.Call) and one.name == "classifier":
                seen.append(self._classified(one))
                classifiers = True
            elif isinstance(one, ap.LabelRows):
                seen.append(self._labels.numbers(one.label))
                if seen[-1] is None:
                    message = f"{one.label} is not a primary pattern variable or subset name"
                    self._c.mismatch(message, one.at)
            elif isinstance(one, list | tuple):
                pending.extend(one)
            else:
                pending.extend(getattr(one, slot) for slot in getattr(one, "__slots__", ()))
        if any(labels != seen[0] for labels in seen[1:]):
            message = f"All labels and classifiers inside the call to '{node.name}' must match"
            self._c.mismatch(message, node.at)
        return (seen[0] if seen else _ANY), classifiers, columns

    # --- aggregates -------------------------------------------------------------------------

    def _aggregate(self, node: ast.Call, running: bool) -> Typed:
        where = "aggregate function in pattern recognition context"
        if node.over:
            self._c.mismatch("Cannot nest window functions inside row pattern recognition", node.at)
        if node.filter is not None:
            self._c.refuse(f"Cannot use FILTER with {node.name} {where}: this", node.at)
        if node.is_distinct:
            self._c.refuse(f"Cannot use DISTINCT with {node.name} {where}: this", node.at)
        if node.order:
            self._c.refuse(f"Cannot use ORDER BY with {node.name} {where}: this", node.at)
        if node.name not in _LISTS:
            self._c.refuse(f"{node.name} in row pattern recognition", node.at)
        labels = self._found_in(ast.RowOf(node.args, node.at), node)[0]
        if node.name == "count" and any(isinstance(arg, ap.LabelRows) for arg in node.args):
            node = replace(node, args=[], is_star=True)
        return self.aggregate_value(node, labels, running)

    def aggregated(self, node: ast.Call, base: str, names: Any) -> Typed:
        """The aggregate of a list: `names` says what a column or label of an entry is called."""
        item = self._c.fresh("q")
        args = [_in_entry(arg, item, names, self) for arg in node.args]
        with self._c.over_list(base, item), self._c.inside(Scope()), self._c.deciding():
            return self._c.call(replace(node, args=args))


_LISTS = {
    "count", "count_if", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "arbitrary",
    "any_value", "array_agg", "max_by", "min_by", "stddev", "stddev_pop", "stddev_samp", "variance",
    "var_pop", "var_samp", "bitwise_and_agg", "bitwise_or_agg", "geometric_mean", "histogram",
}  # fmt: skip
"""The aggregates that can be computed of a list."""


def _in_entry(node: Any, item: str, names: Any, own: PatternExpressions) -> Any:
    """An argument of an aggregate, for one row of those that it is of."""
    if isinstance(node, ast.Name):
        column = own._split(node)[1]
        number = own._rows.index(own._c, column)
        value = names.column(number, item)
        found: Any = Given(Typed(value, own._rows.columns[number].type), node.at)
        for part in column.parts[1:]:
            found = ast.FieldOf(found, part, node.at)
        return found
    if isinstance(node, ast.Call) and node.name == "classifier":
        return Given(Typed(names.label(item), t.VARCHAR), node.at)
    if isinstance(node, ast.Call) and node.name == "match_number":
        return Given(own.number_value(), node.at)
    if isinstance(node, list):
        return [_in_entry(one, item, names, own) for one in node]
    if isinstance(node, tuple):
        return tuple(_in_entry(one, item, names, own) for one in node)
    if not is_dataclass(node) or isinstance(node, type | ast.TypeName | ast.Ident):
        return node
    return replace(
        node,
        **{one.name: _in_entry(getattr(node, one.name), item, names, own) for one in fields(node)},
    )


def _without_labels(node: Any, labels: Labels) -> Any:
    """An expression of one row: `A.price` is its `price`."""
    if isinstance(node, ast.Name) and len(node.parts) > 1:
        first = node.parts[0]
        label = first.text if first.is_quoted else first.text.upper()
        return replace(node, parts=node.parts[1:]) if labels.numbers(label) is not None else node
    if isinstance(node, list):
        return [_without_labels(one, labels) for one in node]
    if isinstance(node, tuple):
        return tuple(_without_labels(one, labels) for one in node)
    if not is_dataclass(node) or isinstance(node, type | ast.TypeName | ast.Ident):
        return node
    return replace(
        node, **{one.name: _without_labels(getattr(node, one.name), labels) for one in fields(node)}
    )


class Measures(PatternExpressions):
    """Expressions of MEASURES. `o` is what the worker found for a row, `rows` its partition's."""

    def __init__(self, c: DuckDBCalls, rows: Input, labels: Labels, is_one: bool) -> None:
        super().__init__(c, rows, labels)
        self._is_one = is_one
        self._rows_of: list[dict[str, Any]] = []
        self._classifiers: list[dict[str, Any]] = []
        self._aggregates: list[dict[str, Any]] = []

    def slots(self) -> dict[str, Any]:
        """What the worker is to find for each row."""
        return {
            "rows_of": self._rows_of,
            "classifiers": self._classifiers,
            "aggregates": self._aggregates,
        }

    def final(self, node: ap.Mode) -> bool:
        return node.word == "FINAL"

    def row_value(self, target: Target, inner: ast.Expr, at: int) -> Typed:  # noqa: ARG002 - conditions refuse there
        with self._c.inside(self._rows.scope()):
            value = self._c.expr(inner)
        number = added(self._rows_of, target.spec())
        part = self._rows.field_of(self._c.exact(value))
        return Typed(f"(rows[o.n[{number + 1}] + 1]).{part}", value.type)

    def label_value(self, target: Target) -> Typed:
        return Typed(f"o.c[{added(self._classifiers, target.spec()) + 1}]", t.VARCHAR)

    def number_value(self) -> Typed:
        return Typed("o.m", t.BIGINT)

    def aggregate_value(self, node: ast.Call, labels: list[int] | None, running: bool) -> Typed:
        number = added(self._aggregates, {"labels": labels, "running": running})
        return self.aggregated(node, f"o.a[{number + 1}]", self)

    def column(self, number: int, item: str) -> str:
        return f"(rows[{item}.i + 1]).x{number}"

    def label(self, item: str) -> str:
        return f"{item}.k"


def added(specs: list[dict[str, Any]], spec: dict[str, Any]) -> int:
    if spec not in specs:
        specs.append(spec)
    return specs.index(spec)

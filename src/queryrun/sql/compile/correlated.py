"""Which correlated subqueries Trino refuses: those that it cannot turn into joins.

DuckDB computes all of them. A statement that fails on the cluster should fail here, with the same
words; one that runs there must run here. So a subquery is refused for what Trino 476 is known to
refuse, shape by shape, and whatever is not known is computed. Its rules, in short: a value of the
outer query can be compared in WHERE, by equality where the subquery is limited, distinct or
grouped; it can hardly be selected, aggregated or looked at from two levels below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from queryrun.sql.compile.grouping import aggregates_in
from queryrun.sql.compile.scope import Scope
from queryrun.sql.compile.types import Type, is_floating
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.walk import records

REFUSAL = "Given correlated subquery is not supported"
_PREDICATES = (ast.InQuery, ast.Quantified, ast.Exists, ast.ScalarQuery)


class Use(Enum):
    """What a subquery is for."""

    SCALAR = auto()
    EXISTS = auto()
    IN = auto()
    QUANTIFIED = auto()
    LATERAL = auto()
    """In FROM, where its columns are selected."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a name was found, and what it is. `node` is kept so that its `id` stays its own."""

    node: ast.Name
    scope: Scope
    type: Type | None


@dataclass(frozen=True, slots=True)
class Correlation:
    """Judges the subqueries of one place. `outer`: the scopes around it."""

    names: Mapping[int, Resolved]
    outer: frozenset[int]
    aggregates: Collection[str]

    def refuses(self, query: ast.Query, use: Use) -> bool:
        """Whether Trino would not take the subquery."""
        if not self._sees_out(query):
            return False
        match query.body:
            case ast.Select() as select:
                return self._refuses_select(query, select, use)
            case ast.SetOperation(terms=terms):
                is_value = use is not Use.EXISTS
                return any(self._sees_out(term) for term in terms) and (
                    is_value or any(self._joins_out(term) for term in terms)
                )
            case ast.Values(rows=rows):
                is_many = use is not Use.EXISTS and len(rows) > 1
                return is_many or use in {Use.IN, Use.QUANTIFIED}
        return False

    def _refuses_select(self, query: ast.Query, select: ast.Select, use: Use) -> bool:
        if self._spans_two_levels(select, use):
            return True
        if use in {Use.IN, Use.QUANTIFIED} and self._selects_out(select):
            return True
        if use in {Use.SCALAR, Use.LATERAL} and self._selects_wrongly(select, use):
            return True
        if self._unnests_wrongly(query, select, use):
            return True
        if not self._joins_out(select):
            return False
        if self._comes_wrongly(select, use):
            return True
        return self._is_formed_wrongly(query, select, use)

    def _is_formed_wrongly(self, query: ast.Query, select: ast.Select, use: Use) -> bool:
        """Of one whose WHERE or FROM looks out."""
        is_one = self._is_global(select)
        is_grouped = select.group is not None
        if query.offset or any(group.kind != "simple" for group in select.group or ()):
            return True
        is_limited = bool(query.limit) and not _is_one_row(select.source)
        if use is Use.IN and (is_limited or select.is_distinct or is_grouped or is_one):
            return True
        if use is not Use.EXISTS and self._has_windows(select):
            return True
        if not self._sees_out(select.where):
            return False
        if is_one and (use is Use.QUANTIFIED or select.having is not None):
            return True
        if use in {Use.SCALAR, Use.EXISTS} and not self._is_grouped_rightly(select):
            return True
        return is_limited and not is_one and self._is_limited_wrongly(query, select, use)

    def _comes_wrongly(self, select: ast.Select, use: Use) -> bool:
        """Of one whose rows come from another subquery, which looks out."""
        source = select.source
        inner = source.relation if isinstance(source, ast.Aliased) else source
        if not isinstance(inner, ast.Derived) or not self._sees_out(inner):
            return False
        body = inner.query.body
        if self._is_global(select):
            is_one = isinstance(body, ast.Select) and self._is_global(body)
            return use is not Use.EXISTS and is_one and select.having is None
        is_plain = select.where is None and select.group is None and not select.is_distinct
        return is_plain and self.refuses(inner.query, use)

    def _is_grouped_rightly(self, select: ast.Select) -> bool:
        """What is compared, and not for equality, must be a key of the groups."""
        if select.group is not None:
            keys = [key for group in select.group for keys in group.sets for key in keys]
            known = {_key(key) for key in keys}
        elif select.is_distinct:
            known = {_key(item.expr) for item in select.items}
        else:
            return True
        return all(
            name.parts[-1].key in known
            for term in self._unequal_terms(select)
            for name in self._own_names(term)
        )

    def _is_limited_wrongly(self, query: ast.Query, select: ast.Select, use: Use) -> bool:
        """LIMIT is one per value of what equality compares with."""
        fixed = set(self._equal_columns(select))
        if self._unequal_terms(select):
            return True
        if not fixed:
            return query.limit == 1 and not query.order
        if query.limit != 1 or query.order:
            return False
        if select.group is not None:
            keys = [key for group in select.group for keys in group.sets for key in keys]
            return use is Use.EXISTS or any(_key(key) not in fixed for key in keys)
        if use is Use.EXISTS:
            return False
        return any(_key(item.expr) not in fixed for item in select.items)

    # --- what is selected -------------------------------------------------------------------

    def _selects_out(self, select: ast.Select) -> bool:
        return any(self._sees_out(item.expr) for item in select.items)

    def _selects_wrongly(self, select: ast.Select, use: Use) -> bool:
        """A value of the outer query as a column of rows that may not be there."""
        if self._is_global(select):
            inside = [call for item in select.items for call in self._calls(item.expr)]
            return any(self._sees_out(call) for call in inside)
        is_there = _is_true(select.where) and (select.source is None or _is_one_row(select.source))
        inner = select.source.relation if isinstance(select.source, ast.Aliased) else select.source
        is_unnested = isinstance(inner, ast.Unnest) and self._sees_out(inner)
        if is_there or is_unnested or (use is Use.LATERAL and select.group is not None):
            return False
        return self._selects_out(select)

    def _calls(self, expr: ast.Expr | ast.Star) -> Iterator[ast.Call]:
        if not isinstance(expr, ast.Star):
            yield from aggregates_in(expr, self.aggregates)

    def _is_global(self, select: ast.Select) -> bool:
        if select.group is not None:
            return False
        called = (call for item in select.items for call in self._calls(item.expr))
        return select.having is not None or any(call.over is None for call in called)

    def _has_windows(self, select: ast.Select) -> bool:
        called = (call for item in select.items for call in self._calls(item.expr))
        return any(call.over is not None for call in called)

    # --- what is compared -------------------------------------------------------------------

    def _joins_out(self, term: ast.Body) -> bool:
        if isinstance(term, ast.Select):
            return self._sees_out(term.where) or self._sees_out(term.source)
        return self._sees_out(term)

    def _unequal_terms(self, select: ast.Select) -> list[ast.Expr]:
        """The terms of WHERE that compare values of both queries, and not for equality."""
        terms = [term for term in _terms(select.where) if self._sees_out(term)]
        return [
            term
            for term in terms
            if self._equal_column(term) is None and any(self._own_names(term))
        ]

    def _equal_columns(self, select: ast.Select) -> Iterator[str]:
        found = map(self._equal_column, _terms(select.where))
        return (column for column in found if column is not None)

    def _equal_column(self, term: ast.Expr) -> str | None:
        """The column that must equal a value of the outer query: its name, empty for a cast."""
        if not isinstance(term, ast.Binary) or term.op != "=":
            return None
        for column, other in ((term.left, term.right), (term.right, term.left)):
            if self._are_same(column, other):
                return _key(column)
        return None

    def _are_same(self, column: ast.Expr, other: ast.Expr) -> bool:
        """A column of the subquery, and a value of the outer query that needs no cast."""
        if self._sees_out(column) or not self._sees_out(other):
            return False
        if isinstance(column, ast.Cast):
            return isinstance(column.operand, ast.Name)
        inner = self.names.get(id(column))
        outer = self.names.get(id(other))
        if inner is None or inner.type is None:
            return False
        return outer is None or outer.type is None or _keeps(inner.type, outer.type)

    def _own_names(self, node: ast.Expr) -> Iterator[ast.Name]:
        """The columns of the subquery itself."""
        for item in records(node):
            if isinstance(item, ast.Name):
                found = self.names.get(id(item))
                if found is not None and id(found.scope) not in self.outer:
                    yield item

    # --- where it is looked from ------------------------------------------------------------

    def _spans_two_levels(self, select: ast.Select, use: Use) -> bool:
        """A subquery in this one that looks beyond this one."""
        if select.source is None:  # one row, of which nothing has to be joined
            return False
        if use is Use.EXISTS and self._is_global(select) and select.having is None:
            return False
        parts = [select.where, select.having]
        if use is not Use.EXISTS:
            parts += [item.expr for item in select.items if not isinstance(item.expr, ast.Star)]
        return any(self._sees_out(inner.query) for part in parts for inner in _subqueries(part))

    def _unnests_wrongly(self, query: ast.Query, select: ast.Select, use: Use) -> bool:
        """UNNEST of a value of the outer query, of which rows are chosen."""
        source = select.source
        inner = source.relation if isinstance(source, ast.Aliased) else source
        if not isinstance(inner, ast.Unnest) or not self._sees_out(inner):
            return False
        is_one = self._is_global(select)
        if select.where is not None:
            return use is not Use.EXISTS or not is_one
        if use is Use.EXISTS:
            return bool(query.limit)
        filtered = (call.filter for item in select.items for call in self._calls(item.expr))
        return is_one and all(one is not None for one in filtered)

    def _sees_out(self, node: object) -> bool:
        """Whether a name in there was found around the subquery."""
        for item in records(node):
            if isinstance(item, ast.Name):
                found = self.names.get(id(item))
                if found is not None and id(found.scope) in self.outer:
                    return True
        return False


def _keeps(given: Type, other: Type) -> bool:
    """Whether a value is the same one after it has been brought to the other type."""
    return is_floating(given) == is_floating(other)


def _terms(node: ast.Expr | None) -> Iterator[ast.Expr]:
    pending = [] if node is None else [node]
    while pending:
        one = pending.pop()
        if isinstance(one, ast.Logical) and one.op == "AND":
            pending.extend(one.terms)
        else:
            yield one


def _is_true(node: ast.Expr | None) -> bool:
    if isinstance(node, ast.Binary) and node.op == "=":
        left, right = node.left, node.right
        if isinstance(left, ast.Literal) and isinstance(right, ast.Literal):
            return left.text == right.text
        return False
    return node is None or (isinstance(node, ast.Literal) and node.text.lower() == "true")


def _is_one_row(source: ast.Relation | None) -> bool:
    """Whether a FROM clause has one row, as can be seen: `(VALUES 1)`, `(SELECT 1)`."""
    inner = source.relation if isinstance(source, ast.Aliased) else source
    if not isinstance(inner, ast.Derived) or inner.query.order or inner.query.offset:
        return False
    match inner.query.body:
        case ast.Values(rows=rows):
            return len(rows) == 1 and inner.query.limit is None
        case ast.Select(source=None, where=where):
            return _is_true(where) and inner.query.limit is None
    return False


def _key(expr: ast.Expr | ast.Star) -> str:
    """A column by its own name; nothing of what is no column."""
    return expr.parts[-1].key if isinstance(expr, ast.Name) else ""


def _subqueries(
    node: object,
) -> Iterator[ast.InQuery | ast.Quantified | ast.Exists | ast.ScalarQuery]:
    return (item for item in records(node) if isinstance(item, _PREDICATES))

"""Operators and predicates: which types go together, and what becomes of them."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Sequence

from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.comparisons import NESTED, negated
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.correlated import Use
from queryrun.sql.compile.interval_texts import WHOLE_DAYS
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast

_HARMLESS = re.compile(r"(?:(?<!\w)\(|[\w\s.\"'<>=!,)])*")
"""What cannot fail: columns and literals, compared."""
MAX_CHAIN = 900
"""Operators in a row: DuckDB's trees are at most 1,000 deep."""


class OperatorCompiler(Compiler):
    """Compiles operators and predicates."""

    # --- arithmetic -------------------------------------------------------------------------

    def binary(self, node: ast.Binary) -> Typed:
        """Chains of the same precedence lean to the left, however long: no recursion on them."""
        chain = []
        left: ast.Expr = node
        while isinstance(left, ast.Binary):
            chain.append(left)
            left = left.left
        if len(chain) > MAX_CHAIN:
            self.refuse(f"A chain of more than {MAX_CHAIN} operators", node.at)
        value = self.expr(left)
        for link in reversed(chain):
            value = self.operate(link.op, value, self.expr(link.right), link.at)
        return value

    def operate(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        """One binary operator."""
        if op == "||":
            return self._concat(left, right, at)
        if op not in {"+", "-", "*", "/", "%"}:
            return Typed(self.compare(op, left, right, at), t.BOOLEAN)
        if left.type.name == "unknown" and right.type.name == "unknown":
            self.mismatch(f"Cannot apply operator: unknown {op} unknown", at)
        if left.type.name == "unknown" or right.type.name == "unknown":
            left = self.cast_to(left, right.type) if left.type.name == "unknown" else left
            right = self.cast_to(right, left.type) if right.type.name == "unknown" else right
        if t.is_number(left.type) and t.is_number(right.type):
            return self.calculate(op, left, right)
        return self._shift(op, left, right, at)

    def _shift(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        """Dates and times with intervals."""
        spans = {t.DAYS, t.MONTHS}
        if op in {"+", "-"} and t.is_moment(left.type) and right.type in spans:
            return self.shifted(left, op, right)
        if op == "+" and left.type in spans and t.is_moment(right.type):
            return self.shifted(right, "+", left)
        if op in {"+", "-"} and left.type in spans and left.type == right.type:
            return Typed(f"({left.sql} {op} {right.sql})", left.type)
        if {"time", t.TIMETZ} & {left.type.name, right.type.name}:
            return self.shift_clock(op, left, right, at)
        if op == "*" and right.type in spans and left.type not in spans:
            left, right = right, left
        if op in {"*", "/"} and left.type in spans and t.is_number(right.type):
            return self.scaled_span(op, left, right)
        if op == "-" and left.type == right.type == t.DATE:
            return self.days_apart(left, right)
        if op == "-" and t.is_moment(left.type) and t.is_moment(right.type):
            kind = t.common(left.type, right.type)
            if kind is not None and left.type.name != right.type.name:
                left, right = self.cast_to(left, kind), self.cast_to(right, kind)
            if left.type.name == right.type.name:
                return self.moments_apart(left, right)
        self.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)

    def shifted(self, moment: Typed, op: str, interval: Typed) -> Typed:
        """A moment and an interval. A day is 24 hours for moments with a zone."""
        if interval.type == t.DAYS and moment.type != t.DATE:
            return self.shifted_by_days(moment, op, interval)
        if interval.type == t.DAYS and interval.constant != WHOLE_DAYS:
            sides = [moment, interval]
            return self.once_each(sides, lambda v: self._by_whole_days(v[0], op, v[1]))
        return self.moved(moment, f"{op} {interval.sql}")

    def _by_whole_days(self, day: Typed, op: str, interval: Typed) -> Typed:
        done = "subtract {} from" if op == "-" else "add {} to"
        message = f"Cannot {done.format('hour, minutes or seconds')} a date"
        moved = self.moved(day, f"{op} {interval.sql}").sql
        is_whole = f"{moved} = {day.sql} {op} {interval.sql}"
        fails = self.fails(message, t.DATE, [day, interval]).sql
        return Typed(f"(CASE WHEN {is_whole} THEN {moved} ELSE {fails} END)", t.DATE)

    def _concat(self, left: Typed, right: Typed, at: int) -> Typed:
        arrays = [v.type for v in (left, right) if v.type.name == "array"]
        if arrays and "unknown" in {left.type.name, right.type.name}:
            message = "Could not choose a best candidate operator"
            self.mismatch(f"{message}. Explicit type casts must be added.", at)
        if arrays:
            return self.concat_arrays(left, right, at)
        kinds = {left.type.name, right.type.name} - {"unknown"}
        if "char" in kinds and kinds <= {"varchar", "char"}:
            return self._concat_chars(left, right, at)
        if kinds <= {"varchar"}:
            return Typed(f"({left.sql} || {right.sql})", t.VARCHAR)
        if kinds <= {"varbinary"}:
            return Typed(f"({left.sql} || {right.sql})", t.VARBINARY)
        self.mismatch(f"Cannot apply operator: {left.type} || {right.type}", at)

    def _concat_chars(self, left: Typed, right: Typed, at: int) -> Typed:
        """Both with their spaces; two chars make one, whose last spaces go."""
        a, b = self.cast_to(left, t.VARCHAR), self.cast_to(right, t.VARCHAR)
        if left.type.name == right.type.name:
            length = left.type.params[0] + right.type.params[0]
            if length > t.MAX_CHAR:
                self.mismatch(f"Unknown type: char({length})", at)
            return Typed(self.without_spaces(f"{a.sql} || {b.sql}"), t.char(length))
        return Typed(f"({a.sql} || {b.sql})", t.VARCHAR)

    # --- comparisons ------------------------------------------------------------------------

    def compare(self, op: str, left: Typed, right: Typed, at: int) -> str:
        """A comparison. For DuckDB NaN is equal to itself and greater than all, not for Trino."""
        kind = t.common(left.type, right.type)
        if kind is None:
            self.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)
        if kind.name in NESTED:
            return self.compare_nested(op, left, right, at)
        if _may_be_nan(left) or _may_be_nan(right):
            numbers = [left, right]
            return self.once_each(
                numbers, lambda v: Typed(self._compare_floating(op, v[0], v[1], kind), t.BOOLEAN)
            ).sql
        if kind.name == "char" and op not in {"=", "<>"}:
            a, b = (f"rpad({self.compared(v, kind)}, {t.MAX_CHAR}, ' ')" for v in (left, right))
            return f"({a} {op} {b})"
        return f"({self.compared(left, kind)} {op} {self.compared(right, kind)})"

    def _compare_floating(self, op: str, left: Typed, right: Typed, kind: Type) -> str:
        a, b = self.compared(left, kind), self.compared(right, kind)
        sql = f"({a} {op} {b})"
        left_nan, right_nan = _may_be_nan(left), _may_be_nan(right)
        if op == "=" and left_nan and right_nan:
            return f"({sql} AND (NOT isnan({a}) OR {b} IS NULL))"
        if op == "<>" and left_nan and right_nan:
            return f"({sql} OR (isnan({a}) AND {b} IS NOT NULL))"
        if op in {"<", "<="} and right_nan:
            return f"({sql} AND (NOT isnan({b}) OR {a} IS NULL))"
        if op in {">", ">="} and left_nan:
            return f"({sql} AND (NOT isnan({a}) OR {b} IS NULL))"
        return sql

    def logical(self, node: ast.Logical) -> Typed:
        """A row of a condition is passed by as soon as it is decided; a value is computed whole by
        the engine, so that what is decided is left alone explicitly."""
        if id(node) in self.selecting:
            self.selecting.update(map(id, node.terms))
        terms = [self.condition(term, f"A term of {node.op}") for term in node.terms]
        if self.guard and node.op == "AND":
            terms = [
                self.after_joins(sql) if id(term) in self.filtering else sql
                for term, sql in zip(node.terms, terms, strict=True)
            ]
        decisive = "false" if node.op == "AND" else "true"
        if self.decides and decisive in terms:
            return Typed(decisive, t.BOOLEAN)
        joined = "(" + f" {node.op} ".join(terms) + ")"
        if id(node) in self.selecting or all(map(_HARMLESS.fullmatch, terms[1:])):
            return Typed(joined, t.BOOLEAN)
        return self.decided(node.op, terms)

    def negation(self, node: ast.Not) -> Typed:
        return Typed(f"(NOT {self.condition(node.operand, 'What NOT applies to')})", t.BOOLEAN)

    def between(self, node: ast.Between) -> Typed:
        value, low, high = self.expr(node.operand), self.expr(node.low), self.expr(node.high)

        def within(value: Typed) -> Typed:
            if _is_null(node.low) or _is_null(node.high):
                op, bound = (">", high) if _is_null(node.low) else ("<", low)
                beyond = self.compare(op, value, bound, node.at)
                # in one comparison, as Trino does: so NaN, which is beyond nothing, gives NULL
                return negated(f"(CASE WHEN {beyond} THEN false END)", is_negated=node.is_negated)
            lower = self.compare(">=", value, low, node.at)
            upper = self.compare("<=", value, high, node.at)
            return negated(f"({lower} AND {upper})", is_negated=node.is_negated)

        return self.once(value, within)

    def in_list(self, node: ast.InList) -> Typed:
        value = self.expr(node.operand)
        items = [self.expr(item) for item in node.items]
        kind = self.unified([value, *items], node.at, "IN")
        if kind.name in NESTED:
            return self.once(value, lambda one: self._in_nested(one, items, node))
        if _may_be_nan(value) and any(_may_be_nan(item) for item in items):

            def one_of(value: Typed) -> Typed:
                equal = [self.compare("=", value, item, node.at) for item in items]
                return negated("(" + " OR ".join(equal) + ")", is_negated=node.is_negated)

            return self.once(value, one_of)
        listed = ", ".join(self.compared(item, kind) for item in items)
        return negated(
            f"({self.cast_to(value, kind).sql} IN ({listed}))", is_negated=node.is_negated
        )

    def _in_nested(self, value: Typed, items: Sequence[Typed], node: ast.InList) -> Typed:
        equal = [self.compare("=", value, item, node.at) for item in items]
        return negated("(" + " OR ".join(equal) + ")", is_negated=node.is_negated)

    def in_query(self, node: ast.InQuery) -> Typed:
        value = self.expr(node.operand)
        if value.type.name == "row":
            sql = self.row_in_query(value, "IN", node.query, node.at)
            if id(node) in self.filtering and not node.is_negated:  # Trino joins, by equality
                fields = [self.row_item(value, n).sql for n in range(len(value.type.parts))]
                sql = f"({sql} AND {' AND '.join(f'{one} IS NOT NULL' for one in fields)})"
            return negated(sql, is_negated=node.is_negated)
        sql, kind = self._one_column(node.query, Use.IN, node.at)
        both = self._comparable(value.type, kind, "IN", node.at)
        inner = self._as_type(sql, kind, both)
        sought = self.canonical(self.cast_to(value, both)).sql
        sql = f"({sought} IN ({inner}))"
        if t.is_floating(both) and id(node) in self.filtering and not node.is_negated:
            sql = f"({sql} AND NOT isnan({sought}))"  # Trino joins, by equality
        return negated(sql, is_negated=node.is_negated)

    def _one_column(self, query: ast.Query, use: Use, at: int) -> tuple[str, Type]:
        sql, outputs = self.subquery(query, use, at)
        if len(outputs) != 1:
            self.refuse("Comparing with a subquery of several columns", at)
        return sql, outputs[0].type

    def _comparable(self, a: Type, b: Type, op: str, at: int) -> Type:
        both = t.common(a, b)
        if both is None:
            self.mismatch(f"Cannot apply operator: {a} {op} {b}", at)
        if both.name == "json" or (both.name in NESTED and t.bare(a) != t.bare(b)):
            self.refuse(f"Comparing values of types {a} and {b}", at)
        return both

    def _as_type(self, query: str, given: Type, target: Type) -> str:
        if t.bare(given) == t.bare(target) and not t.has_map(target):
            return query
        alias = self.fresh("q")
        value = self.canonical(self.cast_to(Typed(f"{alias}.c1", given), target))
        return f"SELECT {value.sql} FROM ({query}) AS {alias}(c1)"

    def is_null(self, node: ast.IsNull) -> Typed:
        word = "IS NOT NULL" if node.is_negated else "IS NULL"
        return Typed(f"({self.expr(node.operand).sql} {word})", t.BOOLEAN)

    def is_distinct(self, node: ast.IsDistinct) -> Typed:
        left, right = self.expr(node.left), self.expr(node.right)
        kind = t.common(left.type, right.type)
        if kind is not None and kind.name in NESTED - {"json"} and not t.has_map(kind):
            left, right = (self.cast_as(s, kind, None, CastSite(), node.at) for s in (left, right))
        kind = self._comparable(left.type, right.type, "IS DISTINCT FROM", node.at)
        word = "IS NOT DISTINCT FROM" if node.is_negated else "IS DISTINCT FROM"
        one, other = (self.canonical(self.cast_to(side, kind)).sql for side in (left, right))
        return Typed(f"({one} {word} {other})", t.BOOLEAN)

    def exists(self, node: ast.Exists) -> Typed:
        sql, _ = self.subquery(node.query, Use.EXISTS, node.at)
        return Typed(f"(EXISTS ({sql}))", t.BOOLEAN)

    def scalar_query(self, node: ast.ScalarQuery) -> Typed:
        sql, outputs = self.subquery(node.query, Use.SCALAR, node.at)
        if len(outputs) != 1:
            return self.row_query(sql, outputs, node.at)
        return Typed(f"({sql})", outputs[0].type)


def _is_null(node: ast.Expr) -> bool:
    if isinstance(node, ast.Cast):
        return _is_null(node.operand)
    return isinstance(node, ast.Literal) and node.kind == "null"


def _may_be_nan(value: Typed) -> bool:
    """A constant says so itself: `DOUBLE 'NaN'`."""
    if not t.is_floating(value.type):
        return False
    return value.constant is None or "nan" in str(value.constant).lower()

"""Arithmetic, comparisons and predicates in Spark's SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.correlated import Use
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.spark import (
    comparisons,
    decimals,
    fine,
    intervals,
    moments,
)
from queryrun.sql.spark.moving import shift_clock
from queryrun.sql.spark.spelling import SparkSpelling
from queryrun.sql.spark.types import spark_name, text
from queryrun.sql.trino.records import ast

_TRIED = {"+": "try_add", "-": "try_subtract", "*": "try_multiply", "%": "try_mod"}


class SparkOperators(SparkSpelling):
    """Arithmetic, comparisons and predicates."""

    def unary(self, node: ast.Unary) -> Typed:
        found = super().unary(node)
        if self.in_try and node.op == "-" and t.is_integer(found.type) and found.constant is None:
            self.excused += 1
            zero = f"CAST(0 AS {spark_name(found.type)})"
            return Typed(f"try_subtract({zero}, {found.sql[2:-1]})", found.type)
        return found

    def signed(self, op: str, value: Typed) -> Typed:
        if op == "-" and value.type.name == "decimal":
            return Typed(decimals.negated(value), value.type)
        return Typed(f"({op}{self.exact(value)})", value.type)

    def calculate(self, op: str, left: Typed, right: Typed) -> Typed:
        kind = t.common_number(left.type, right.type)
        if kind.name == "decimal":
            return self._calculate_decimal(op, left, right)
        a, b = self.cast_to(left, kind), self.cast_to(right, kind)
        if op == "/":
            sql = self._divided(a.sql, b.sql, kind, right)
        elif op == "%" and t.is_floating(kind):
            nan = f"CAST('NaN' AS {spark_name(kind)})"
            sql = f"(CASE WHEN {b.sql} = 0 THEN {a.sql} * {nan} ELSE {a.sql} % {b.sql} END)"
        else:
            sql = self._operated(op, a.sql, b.sql, can_fail=t.is_integer(kind))
        return Typed(sql, kind)

    def _operated(self, op: str, a: str, b: str, *, can_fail: bool) -> str:
        if self.in_try and can_fail:
            self.excused += 1
            return f"{_TRIED[op]}({a}, {b})"
        return f"({a} {op} {b})"

    def _divided(self, a: str, b: str, kind: Type, right: Typed) -> str:
        name = spark_name(kind)
        if t.is_floating(kind):
            divided = f"CAST({a} / {b} AS {name})" if kind == t.REAL else f"({a} / {b})"
            if right.constant is not None and re.search("[1-9]", str(right.constant)):
                return divided
            # zero has a sign, and so has what dividing by it gives
            by_zero = f"CAST({a} * power(CAST({b} AS DOUBLE), -1D) AS {name})"
            return f"(CASE WHEN {b} = 0 THEN {by_zero} ELSE {divided} END)"
        if not self.in_try:
            return f"CAST({a} div {b} AS {name})"
        self.excused += 1
        negated = f"try_subtract(CAST(0 AS {name}), {a})"
        divided = f"CAST({a} div nullif({b}, 0) AS {name})"
        return f"(CASE WHEN {b} = -1 THEN {negated} ELSE {divided} END)"

    def _calculate_decimal(self, op: str, left: Typed, right: Typed) -> Typed:
        a = self.cast_to(left, t.as_decimal(left.type))
        b = self.cast_to(right, t.as_decimal(right.type))
        (p1, s1), (p2, s2) = a.type.params, b.type.params
        scale = max(s1, s2)
        if op == "/":
            return self.divide_decimals(a, b)
        if op == "*":
            if s1 + s2 > 38:
                raise UnsupportedCastError("Decimals with more than 38 digits after the point")
            kind = t.decimal(p1 + p2, s1 + s2)
        elif op == "%":
            kind = t.decimal(min(p2 - s2, p1 - s1) + scale, scale)
        else:
            kind = t.decimal(max(p1 - s1, p2 - s2) + scale + 1, scale)
        sql = self._operated(op, a.sql, b.sql, can_fail=True)
        word = "TRY_CAST" if self.in_try else "CAST"
        return Typed(f"{word}({sql} AS {spark_name(kind)})", kind)

    def divide_decimals(self, left: Typed, right: Typed) -> Typed:
        """Trino's division of decimals, rounded half away from zero."""
        (p1, s1), (_, s2) = left.type.params, right.type.params
        kind = t.decimal(p1 + s2 + max(0, s2 - s1), max(s1, s2))
        if self.in_try:
            self.excused += 1
            right = Typed(f"nullif({right.sql}, 0)", right.type)
        return Typed(decimals.quotient(left, right, kind), kind)

    def days_apart(self, left: Typed, right: Typed) -> Typed:
        return Typed(f"make_dt_interval(datediff({left.sql}, {right.sql}))", t.DAYS)

    def moments_apart(self, left: Typed, right: Typed) -> Typed:
        if t.is_fine(left.type) or t.is_fine(right.type):
            return intervals.of_amount(fine.millis_between(left, right), t.DAYS)
        ends = [f"unix_micros(CAST({value.sql} AS TIMESTAMP))" for value in (left, right)]
        return intervals.between(f"{ends[0]} - {ends[1]}")

    def shift_clock(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        return shift_clock(self, op, left, right, at)

    def scaled_span(self, op: str, span: Typed, factor: Typed) -> Typed:
        if not t.is_integer(factor.type):
            return intervals.scaled(span, op, self.cast_to(factor, t.DOUBLE).sql)
        number = f"CAST({factor.sql} AS BIGINT)"
        word = "*" if op == "*" else "div"
        found = intervals.of_amount(f"({intervals.amount(span)} {word} {number})", span.type)
        return Typed(found.sql, found.type, span.constant if op == "*" else None)

    def shifted_by_days(self, moment: Typed, op: str, interval: Typed) -> Typed:
        if t.is_fine(moment.type):
            return fine.shifted(moment, op, intervals.amount(interval))
        kind = replace(moment.type, params=(max(moment.type.params[0], 3),))
        return Typed(f"({moment.sql} {op} {interval.sql})", kind)

    def moved(self, moment: Typed, shift: str) -> Typed:
        if moment.type.name == "date":
            return Typed(f"CAST({moment.sql} {shift} AS DATE)", t.DATE)
        whole = fine.coarse(moment)
        if moment.type.name == t.TSTZ:
            local = moments.wall_clock(whole, self.zone)
            zone = moment.type.zone or self.zone
            found = Typed(moments.moment_at(f"({local} {shift})", zone), whole.type)
        else:
            found = Typed(f"({whole.sql} {shift})", whole.type)
        return fine.refined(found, fine.below(moment), moment.type)

    def concat_arrays(self, left: Typed, right: Typed, at: int) -> Typed:
        sides = []
        for value, other in ((left, right), (right, left)):
            is_item = value.type.name != "array" or value.type in other.type.parts
            sides.append(self.array_of([value]) if is_item else value)
        kind = t.common(sides[0].type, sides[1].type)
        if kind is None:
            self.mismatch(f"Cannot apply operator: {left.type} || {right.type}", at)
        a, b = (self.cast_to(side, kind).sql for side in sides)
        return Typed(f"concat({a}, {b})", kind)

    def decided(self, op: str, terms: Sequence[str]) -> Typed:
        """Spark's own operators pass by what comes after a decisive term."""
        return Typed("(" + f" {op} ".join(terms) + ")", t.BOOLEAN)

    def compare_nested(self, op: str, left: Typed, right: Typed, at: int) -> str:
        return comparisons.compared(self, op, left, right, at)

    def canonical(self, value: Typed) -> Typed:
        """As it is: Spark refuses to group by maps, or to compare them."""
        return value

    def row_in_query(self, value: Typed, op: str, query: ast.Query, at: int) -> str:
        if op != "IN":
            self.refuse(f"Comparing values of type {value.type}", at)
        sql, outputs = self.subquery(query, Use.IN, at)
        given = [output.type for output in outputs]
        if len(given) != len(value.type.parts):
            self.mismatch(f"Cannot apply operator: {value.type} {op} {len(given)} columns", at)
        pairs = zip(value.type.parts, given, strict=True)
        kinds = [self._comparable(one, other, op, at) for one, other in pairs]
        return comparisons.row_among(self, value, sql, kinds, given)

    def row_query(self, sql: str, outputs: Sequence[Output], at: int) -> Typed:
        """The subquery as one row; of NULLs where it has none."""
        del at
        alias = self.fresh("q")
        kind = t.row([o.type for o in outputs], [o.heading for o in outputs])
        names = [f"c{n}" for n in range(1, len(outputs) + 1)]
        pairs = zip(t.field_names(kind), names, strict=True)
        fields = ", ".join(f"{text(field)}, {alias}.{name}" for field, name in pairs)
        found = f"(SELECT named_struct({fields}) FROM ({sql}) AS {alias}({', '.join(names)}))"
        nothing = ", ".join(f"{text(field)}, NULL" for field in t.field_names(kind))
        empty = f"CAST(named_struct({nothing}) AS {spark_name(kind)})"
        return Typed(f"coalesce({found}, {empty})", kind)

    def quantified(self, node: ast.Quantified) -> Typed:
        """`= ANY` is IN, `<> ALL` is NOT IN; of the others, one row decides and NULLs may."""
        is_in = node.op == "=" and node.quantifier in {"ANY", "SOME"}
        if is_in or (node.op == "<>" and node.quantifier == "ALL"):
            inside = ast.InQuery(node.operand, node.query, not is_in, node.at)
            return self.in_query(inside)
        value = self.expr(node.operand)
        if value.type.name == "row":
            self.refuse(f"{node.op} {node.quantifier} of rows", node.at)
        sql, kind = self._one_column(node.query, Use.QUANTIFIED, node.at)
        self._comparable(value.type, kind, node.op, node.at)
        alias = self.fresh("r")
        test = self.compare(node.op, value, Typed(f"{alias}.c1", kind), node.at)
        rows = f"EXISTS (SELECT 1 FROM ({sql}) AS {alias}(c1) WHERE"
        is_all = node.quantifier == "ALL"
        deciding = f"(NOT {test})" if is_all else test
        found, otherwise = ("false", "true") if is_all else ("true", "false")
        unknown = f"{rows} {test} IS NULL) THEN CAST(NULL AS BOOLEAN)"
        return Typed(
            f"(CASE WHEN {rows} {deciding}) THEN {found} WHEN {unknown} ELSE {otherwise} END)",
            t.BOOLEAN,
        )

    def like(self, node: ast.Like) -> Typed:
        """Spark takes a backslash for an escape where none is named."""
        value, pattern = (
            self.cast_to(one, t.VARCHAR) if one.type.name == "char" else one
            for one in (self.expr(node.operand), self.expr(node.pattern))
        )
        if {value.type.name, pattern.type.name} - {"varchar", "unknown"}:
            self.mismatch(f"LIKE needs varchar, not {value.type} and {pattern.type}", node.at)
        if node.escape is not None:
            written = self.expr(node.escape).constant
            if not isinstance(written, str) or len(written) != 1:
                self.refuse("LIKE with such an escape", node.at)
            sql = f"{value.sql} LIKE {pattern.sql} ESCAPE {text(written)}"
        elif isinstance(pattern.constant, str):
            sql = f"{value.sql} LIKE {text(pattern.constant.replace(chr(92), chr(92) * 2))}"
        else:
            doubled = f"replace({pattern.sql}, {text(chr(92))}, {text(chr(92) * 2)})"
            sql = f"{value.sql} LIKE {doubled}"
        return Typed(f"(NOT ({sql}))" if node.is_negated else f"({sql})", t.BOOLEAN)

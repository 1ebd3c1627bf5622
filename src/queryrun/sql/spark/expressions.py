"""Expressions in Spark's SQL: what the compiler for DuckDB would spell otherwise."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from queryrun.sql.compile import types as t
from queryrun.sql.compile.calls import DUCKDB, CallCompiler, Handler
from queryrun.sql.compile.correlated import Use
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb.cast_checks import CastSite
from queryrun.sql.duckdb.fine import read_moment
from queryrun.sql.duckdb.intervals import second_millis, span_millis
from queryrun.sql.spark import (
    casts,
    clocks,
    comparisons,
    decimals,
    fine,
    intervals,
    json_made,
    moments,
    sql_json,
)
from queryrun.sql.spark.functions.plain import CANNOT_FAIL
from queryrun.sql.spark.functions.table import SPARK
from queryrun.sql.spark.moving import WHOLE_DAYS, shift_clock
from queryrun.sql.spark.types import missing_type, quoted, spark_name, text
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json

_DAY_UNITS = {"DAY": 0, "HOUR": 1, "MINUTE": 2, "SECOND": 3}
_TRIED = {"+": "try_add", "-": "try_subtract", "*": "try_multiply", "%": "try_mod"}
_STRICT = (
    ast.Literal, ast.TypedLiteral, ast.IntervalLiteral, ast.Name, ast.FieldOf, ast.Subscript,
    ast.Unary, ast.Binary, ast.Not, ast.Like, ast.Cast, ast.Extract, ast.AtZone,
)  # fmt: skip
"""What is NULL when a part of it is."""


_RICHER_ON_DUCKDB = frozenset(
    [
        "array_sort", "avg", "concat_ws", "current_timestamp", "date_add", "date_diff",
        "date_trunc", "day", "greatest", "hour", "least", "localtimestamp", "map_concat", "max",
        "millisecond", "min", "minute", "month", "repeat", "second", "sum", "year",
    ]
)  # fmt: skip
"""Functions that take more types on DuckDB than here."""


class SparkExpressions(CallCompiler):
    """Compiles expressions. The session runs in ANSI mode and in UTC (`session.SETTINGS`)."""

    functions = SPARK
    excused = 0
    """How many parts of a TRY have been made to give NULL where they would fail."""

    def text(self, value: str) -> str:
        return text(value)

    def quoted(self, value: str) -> str:
        if "${" in value:
            self.refuse("A name with ${ in it", 0)
        return quoted(value)

    def type_name(self, kind: Type) -> str:
        return spark_name(kind)

    def cast_to(self, value: Typed, target: Type) -> Typed:
        return casts.implicit(value, target, self.zone)

    def coarse(self, value: Typed, target: Type) -> Typed:
        return fine.coarse(self.cast_to(value, target))

    def exact(self, value: Typed) -> str:
        return "CAST(NULL AS INT)" if value.type.name == "unknown" else value.sql

    def compared(self, value: Typed, kind: Type) -> str:
        return self.cast_to(value, kind).sql

    def fresh(self, prefix: str) -> str:
        """Longer than a table of the source is likely to be called: these names come first."""
        return super().fresh(f"q_{prefix}")

    def with_arguments_once(self, node: ast.Call, handler: Handler) -> Typed:
        """Each of Spark's handlers sees to it."""
        return handler(self, node)

    def after_joins(self, term: str) -> str:
        """Not for Spark, which has no cheap expression that it keeps above a join."""
        return term

    def named_alike(self, sql: str, before: int, alike: dict[str, str]) -> str:  # noqa: ARG002 - DuckDB's
        """Spark compares lambdas and subqueries whatever their names."""
        return sql

    def failing(self, message: str) -> str:
        if self.in_try:
            self.excused += 1
            return "NULL"
        return f"raise_error({text(message)})"

    # --- SQL/JSON ---------------------------------------------------------------------------

    def json_exists(self, node: ast_json.JsonExists) -> Typed:
        return sql_json.exists(self, node)

    def json_value(self, node: ast_json.JsonValue) -> Typed:
        return sql_json.value(self, node)

    def json_query(self, node: ast_json.JsonQuery) -> Typed:
        return sql_json.query(self, node)

    def json_made(self, node: ast_json.JsonMade) -> Typed:
        return json_made.made(self, node)

    # --- TRY --------------------------------------------------------------------------------

    def expr(self, node: ast.Expr) -> Typed:
        """Spark has no TRY: a part that fails becomes NULL, and so does all that it is part of.

        That is the same only where nothing on the way up takes a NULL for an answer.
        """
        before = self.excused
        found = super().expr(node)
        if (missing := missing_type(found.type)) is not None:
            self.refuse(f"Type {missing}", node.at)
        if self.in_try and self.excused != before and not self._passes_null_on(node):
            self.refuse(f"TRY around such an expression ({type(node).__name__})", node.at)
        return found

    def _passes_null_on(self, node: ast.Expr) -> bool:
        return isinstance(node, _STRICT) or (isinstance(node, ast.Call) and node.name != "repeat")

    def call(self, node: ast.Call) -> Typed:
        allowed = CANNOT_FAIL | {"try", "if", "coalesce", "nullif", "element_at", "date_parse"}
        if not self.in_try:
            return super().call(node)
        if node.name in self.functions.names() and node.name not in allowed:
            self.refuse(f"TRY around {node.name}", node.at)
        before = self.excused
        found = super().call(node)
        if node.name in {"if", "coalesce", "nullif"} and self.excused != before:
            self.refuse(f"TRY around {node.name} of what may fail", node.at)
        return found

    # --- literals ---------------------------------------------------------------------------

    def _timestamp_literal(self, node: ast.TypedLiteral) -> Typed:
        found = moments.zoned_literal(node.text, self.zone)
        if found is None:
            self.invalid(f"'{node.text}' is not a valid TIMESTAMP literal", node.at)
        if found.type.zone:
            return Typed(found.sql, found.type, node.text)
        written = read_moment(node.text.strip())
        if written is None:
            self.refuse("Such a timestamp", node.at)
        moment = moments.written_out(written, node.text.strip())
        return Typed(moment.sql, moment.type, node.text)

    def typed_literal(self, node: ast.TypedLiteral) -> Typed:
        if node.type == "json":
            return Typed(f"to_json(parse_json({text(node.text)}))", t.JSON)
        return super().typed_literal(node)

    def interval_literal(self, node: ast.IntervalLiteral) -> Typed:
        sign = "-" if node.is_negative else ""
        if node.to_unit:
            return self._span(node)
        unit = node.unit.removesuffix("S")
        if unit == "SECOND" and (millis := second_millis(node.text)) is not None:
            return intervals.literal(-millis if node.is_negative else millis)
        if not re.fullmatch(r"[+-]?\d+", node.text):
            self.invalid(f"Invalid INTERVAL literal: {node.text}", node.at)
        number = int(sign + node.text) if not sign else -int(node.text)
        if unit == "WEEK":
            return Typed(f"make_dt_interval({number * 7})", t.DAYS, WHOLE_DAYS)
        if unit in _DAY_UNITS:
            numbers = ["0"] * _DAY_UNITS[unit] + [str(number)]
            whole = WHOLE_DAYS if unit == "DAY" else None
            return Typed(f"make_dt_interval({', '.join(numbers)})", t.DAYS, whole)
        if unit in {"YEAR", "MONTH"}:
            numbers = [str(number)] if unit == "YEAR" else ["0", str(number)]
            return Typed(f"make_ym_interval({', '.join(numbers)})", t.MONTHS)
        self.refuse(f"INTERVAL … {node.unit}", node.at)

    def _span(self, node: ast.IntervalLiteral) -> Typed:
        match = re.fullmatch(r"(-?)(\d+)(?:-(\d+))?", node.text)
        if (node.unit, node.to_unit) == ("YEAR", "MONTH") and match:
            months = int(match[2]) * 12 + int(match[3] or 0)
            is_negative = node.is_negative != bool(match[1])
            sign = "-" if is_negative else ""
            return Typed(f"make_ym_interval(0, {sign}{months})", t.MONTHS)
        millis = span_millis(node.text, node.unit, node.to_unit)
        if millis is not None:
            return intervals.literal(-millis if node.is_negative else millis)
        self.refuse(f"INTERVAL … {node.unit} TO {node.to_unit}", node.at)

    # --- subscripts -------------------------------------------------------------------------

    def subscript(self, node: ast.Subscript) -> Typed:
        base, index = self.expr(node.base), self.expr(node.index)
        if base.type.name == "map":
            return self._map_subscript(base, index, node.at)
        if base.type.name == "row":
            return self._row_subscript(base, index, node.at)
        if base.type.name != "array" or not t.is_integer(index.type):
            self.mismatch(f"Cannot use {index.type} for subscript of {base.type}", node.at)
        b, i = base.sql, f"CAST({index.sql} AS INT)"
        beyond = self.failing("Array subscript must be less than or equal to array length")
        sql = (
            f"(CASE WHEN {b} IS NULL THEN NULL "
            f"WHEN {i} = 0 THEN {self.failing('SQL array indices start at 1')} "
            f"WHEN {i} < 0 THEN {self.failing('Array subscript is negative')} "
            f"WHEN {i} > size({b}) THEN {beyond} "
            f"ELSE try_element_at({b}, {i}) END)"
        )
        return Typed(sql, base.type.parts[0])

    def _map_subscript(self, base: Typed, key: Typed, at: int) -> Typed:
        if not t.can_become(key.type, base.type.parts[0]):
            self.mismatch(f"Cannot use {key.type} for subscript of {base.type}", at)
        k = self.cast_to(key, base.type.parts[0]).sql
        missing = self.failing("Key not present in map")
        sql = (
            f"(CASE WHEN NOT map_contains_key({base.sql}, {k}) THEN {missing} "
            f"ELSE try_element_at({base.sql}, {k}) END)"
        )
        return Typed(sql, base.type.parts[1])

    def _row_subscript(self, base: Typed, index: Typed, at: int) -> Typed:
        if not isinstance(index.constant, int) or not 0 < index.constant <= len(base.type.parts):
            self.mismatch("Subscript of a row must be a constant within its fields", at)
        return self.row_field(base, index.constant - 1)

    def row_field(self, base: Typed, number: int) -> Typed:
        field = t.field_names(base.type)[number]
        return Typed(f"({base.sql}).{self.quoted(field)}", base.type.parts[number])

    # --- arithmetic -------------------------------------------------------------------------

    def unary(self, node: ast.Unary) -> Typed:
        found = super().unary(node)
        if self.in_try and node.op == "-" and t.is_integer(found.type) and found.constant is None:
            self.excused += 1
            zero = f"CAST(0 AS {spark_name(found.type)})"
            return Typed(f"try_subtract({zero}, {found.sql[2:-1]})", found.type)
        return found

    def _calculate(self, op: str, left: Typed, right: Typed) -> Typed:
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

    def _shift(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        if op == "-" and left.type == right.type == t.DATE:
            return Typed(f"make_dt_interval(datediff({left.sql}, {right.sql}))", t.DAYS)
        if op == "-" and left.type.name == right.type.name and t.is_moment(left.type):
            if t.is_fine(left.type) or t.is_fine(right.type):
                return intervals.of_amount(fine.millis_between(left, right), t.DAYS)
            ends = [f"unix_micros(CAST({value.sql} AS TIMESTAMP))" for value in (left, right)]
            return intervals.between(f"{ends[0]} - {ends[1]}")
        if {"time", t.TIMETZ} & {left.type.name, right.type.name}:
            return shift_clock(self, op, left, right, at)
        spans = {t.DAYS, t.MONTHS}
        if op == "*" and right.type in spans and t.is_number(left.type):
            left, right = right, left
        if op in {"*", "/"} and left.type in spans and t.is_number(right.type):
            return self._scaled(op, left, right)
        return super()._shift(op, left, right, at)

    def _scaled(self, op: str, span: Typed, factor: Typed) -> Typed:
        if not t.is_integer(factor.type):
            return intervals.scaled(span, op, self.cast_to(factor, t.DOUBLE).sql)
        number = f"CAST({factor.sql} AS BIGINT)"
        word = "*" if op == "*" else "div"
        found = intervals.of_amount(f"({intervals.amount(span)} {word} {number})", span.type)
        return Typed(found.sql, found.type, span.constant if op == "*" else None)

    def shifted(self, moment: Typed, op: str, interval: Typed, at: int) -> Typed:
        if moment.type == t.DATE or interval.type != t.DAYS:
            return super().shifted(moment, op, interval, at)
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

    def _concat_chars(self, left: Typed, right: Typed, at: int) -> Typed:
        found = super()._concat_chars(left, right, at)
        if found.type.name != "char":
            return found
        a, b = self.cast_to(left, t.VARCHAR), self.cast_to(right, t.VARCHAR)
        return Typed(casts.without_spaces(f"{a.sql} || {b.sql}"), found.type)

    def _concat_arrays(self, left: Typed, right: Typed, at: int) -> Typed:
        sides = []
        for value, other in ((left, right), (right, left)):
            is_item = value.type.name != "array" or value.type in other.type.parts
            sides.append(self.array_of([value]) if is_item else value)
        kind = t.common(sides[0].type, sides[1].type)
        if kind is None:
            self.mismatch(f"Cannot apply operator: {left.type} || {right.type}", at)
        a, b = (self.cast_to(side, kind).sql for side in sides)
        return Typed(f"concat({a}, {b})", kind)

    def wrong_arguments(self, node: ast.Call, args: Sequence[Typed]) -> NoReturn:
        """Where DuckDB has more overloads than Spark, what is lacking may be one of these."""
        more = len(DUCKDB.plain.get(node.name, ())) > len(self.functions.plain.get(node.name, ()))
        if more or node.name in _RICHER_ON_DUCKDB:
            given = ", ".join(str(arg.type) for arg in args)
            self.refuse(f"Function {node.name}({given})", node.at)
        super().wrong_arguments(node, args)

    def _json_literal(self, node: ast.TypedLiteral) -> Typed:
        return Typed(self.text(node.text), t.JSON)

    def _time_literal(self, node: ast.TypedLiteral) -> Typed:
        found = clocks.literal(node.text)
        if found is None:
            self.invalid(f"'{node.text}' is not a valid TIME literal", node.at)
        return found

    # --- nested values ---------------------------------------------------------------------

    def compare_nested(self, op: str, left: Typed, right: Typed, at: int) -> str:
        return comparisons.compared(self, op, left, right, at)

    def signed(self, op: str, value: Typed) -> Typed:
        return Typed(f"({op}{self.exact(value)})", value.type)

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
        del sql, outputs
        self.refuse("A subquery of several columns as one value", at)

    # --- comparisons ------------------------------------------------------------------------

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

    # --- casts, constructors ----------------------------------------------------------------

    def cast(self, node: ast.Cast) -> Typed:
        if not self.in_try or node.is_safe:
            return super().cast(node)
        found = super().cast(ast.Cast(node.operand, node.type, True, node.at))
        self.excused += 1
        return found

    def _cast(self, value: Typed, kind: Type, length: int | None, site: CastSite, at: int) -> Typed:
        try:
            return casts.explicit(value, kind, length, site)
        except UnsupportedCastError as error:
            self._cannot(error, at)

    def row_of(self, node: ast.RowOf) -> Typed:
        return self.row_from([self.expr(item) for item in node.items])

    def row_from(self, items: Sequence[Typed]) -> Typed:
        """A row without names, whose fields are called by their numbers in Spark."""
        fields = ", ".join(f"'field{n}', {self.exact(item)}" for n, item in enumerate(items))
        kind = t.row([item.type for item in items], [""] * len(items))
        return Typed(f"named_struct({fields})", kind, fields=tuple(items))

    def array_of(self, items: Sequence[Typed], at: int = 0) -> Typed:
        kind = self.unified(items, at, "ARRAY")
        listed = ", ".join(self.exact(self.cast_to(item, kind)) for item in items)
        if not items:
            return Typed(f"CAST(array() AS ARRAY<{spark_name(kind)}>)", t.array(kind))
        return Typed(f"array({listed})", t.array(kind))

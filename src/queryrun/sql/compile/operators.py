"""Arithmetic and comparisons in DuckDB's SQL, with Trino's types."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import MAX_REPEATED_CHARS
from queryrun.sql.compile.correlated import Use
from queryrun.sql.compile.names import WHOLE_DAYS, NameCompiler
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.typed import Typed, picos
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import casts_time, clocks, fine, predicates
from queryrun.sql.duckdb.cast_checks import CastSite
from queryrun.sql.duckdb.casts import explicit
from queryrun.sql.duckdb.comparisons import NESTED, as_row_of, canonical, compared, field, row_of
from queryrun.sql.duckdb.decimals import scaled, unscaled
from queryrun.sql.duckdb.intervals import amount, millis, of_amount, of_millis
from queryrun.sql.duckdb.intervals import scaled as scaled_interval
from queryrun.sql.duckdb.predicates import negated
from queryrun.sql.trino.records import ast

MAX_DIGITS = 38
_CLOCKS = frozenset(["time", t.TIMETZ])
_INTERVAL_DIGITS = 3
"""Of a second: those of an interval."""
_HARMLESS = re.compile(r"(?:(?<!\w)\(|[\w\s.\"'<>=!,)])*")
"""What cannot fail: columns and literals, compared."""
MAX_CHAIN = 900
"""Operators in a row: DuckDB's trees are at most 1,000 deep."""


class OperatorCompiler(NameCompiler):
    """Compiles operators and predicates."""

    # --- arithmetic -------------------------------------------------------------------------

    def unary(self, node: ast.Unary) -> Typed:
        operand = node.operand
        if node.op == "-" and isinstance(operand, ast.Literal):
            if operand.kind == "integer":
                return self.integer(-int(operand.text), node.at)
            if operand.kind == "decimal":
                return self.decimal_literal(f"-{operand.text}", node.at)
        value = self.expr(operand)
        if not t.is_number(value.type) and value.type not in {t.DAYS, t.MONTHS}:
            self.mismatch(f"Cannot negate {value.type}", node.at)
        return self.signed(node.op, value)

    def signed(self, op: str, value: Typed) -> Typed:
        """A number with a sign in front. DuckDB's type of a constant with one may be wider."""
        sql = f"({op}{self.exact(value)})"
        if t.is_integer(value.type):
            sql = f"CAST({sql} AS {self.type_name(value.type)})"
        return Typed(sql, value.type)

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
            return self._calculate(op, left, right)
        return self._shift(op, left, right, at)

    def _calculate(self, op: str, left: Typed, right: Typed) -> Typed:
        kind = t.common_number(left.type, right.type)
        if kind.name == "decimal":
            return self._calculate_decimal(op, left, right)
        a, b = self.exact(self.cast_to(left, kind)), self.exact(self.cast_to(right, kind))
        if op == "/" and t.is_integer(kind):
            op = "//"
        return Typed(f"({a} {op} {b})", kind)

    def _calculate_decimal(self, op: str, left: Typed, right: Typed) -> Typed:
        left, right = (
            self.cast_to(left, t.as_decimal(left.type)),
            self.cast_to(right, t.as_decimal(right.type)),
        )
        (p1, s1), (p2, s2) = left.type.params, right.type.params
        a, b = left.sql, right.sql
        if op in {"+", "-"}:
            scale = max(s1, s2)
            kind = t.decimal(max(p1 - s1, p2 - s2) + scale + 1, scale)
            if max(p1 - s1, p2 - s2) + scale > MAX_DIGITS:
                return self.add_wide(op, left, right, kind)
            wide = self.type_name(kind)
            if kind.params[0] == 38 or kind.params[0] > 18 >= max(p1, p2):
                a, b = f"CAST({a} AS {wide})", f"CAST({b} AS {wide})"
                return Typed(f"CAST(({a} {op} {b}) AS {wide})", kind)
            return Typed(self._in_type(f"({a} {op} {b})", left, right, kind), kind)
        if op == "*":
            kind = t.decimal(p1 + p2, s1 + s2)
            if p1 + p2 > 18 >= max(p1, p2):  # DuckDB would stay with 18 digits
                wide = f"CAST({a} AS DECIMAL({p1 + p2},{s1}))"
                return Typed(f"CAST(({wide} * {b}) AS {self.type_name(kind)})", kind)
            return Typed(self._in_type(f"({a} * {b})", left, right, kind), kind)
        if op == "%":
            scale = max(s1, s2)
            kind = t.decimal(min(p2 - s2, p1 - s1) + scale, scale)
            if max(p1 - s1, p2 - s2) + scale > MAX_DIGITS:
                return self._wide_remainder(left, right, kind)
            return Typed(f"CAST(({a} % {b}) AS {self.type_name(kind)})", kind)
        return self.divide_decimals(left, right)

    def add_wide(self, op: str, left: Typed, right: Typed, kind: Type) -> Typed:
        """A sum of operands that have no common type: of whole numbers where they do not fit."""
        return self.once_each([left, right], lambda v: self._added_wide(op, v[0], v[1], kind))

    def _added_wide(self, op: str, left: Typed, right: Typed, kind: Type) -> Typed:
        scale, wide = kind.params[1], self.type_name(kind)
        limit = f"{10 ** (MAX_DIGITS - scale)}::HUGEINT::DOUBLE"
        fits = " AND ".join(f"abs(CAST({v.sql} AS DOUBLE)) < {limit}" for v in (left, right))
        digits = [
            f"({unscaled(v)} * {10 ** (scale - v.type.params[1])}::HUGEINT)" for v in (left, right)
        ]
        added = f"({digits[0]} {op} {digits[1]})"
        over = self.failing("Decimal overflow")
        is_over = f"abs({added}) >= {10**MAX_DIGITS}::HUGEINT"
        whole = f"CASE WHEN {is_over} THEN {over} ELSE {scaled(added, kind)} END"
        quick = f"CAST((CAST({left.sql} AS {wide}) {op} CAST({right.sql} AS {wide})) AS {wide})"
        null = f"{left.sql} IS NULL OR {right.sql} IS NULL"
        return Typed(
            f"(CASE WHEN {null} THEN NULL WHEN {fits} THEN {quick} ELSE {whole} END)", kind
        )

    def _wide_remainder(self, left: Typed, right: Typed, kind: Type) -> Typed:
        """Of operands that have no common type: DuckDB would compute with doubles."""
        wide = t.decimal(MAX_DIGITS, kind.params[1])
        limit = "1" + "0" * (MAX_DIGITS - wide.params[1])
        far = " OR ".join(f"abs(CAST({v.sql} AS DOUBLE)) >= {limit}::DOUBLE" for v in (left, right))
        a, b = (f"CAST({v.sql} AS {self.type_name(wide)})" for v in (left, right))
        what = self.failing("The remainder of a decimal of so many digits is not supported")
        sql = f"CAST(({a} % {b}) AS {self.type_name(kind)})"
        return Typed(f"(CASE WHEN {far} THEN {what} ELSE {sql} END)", kind)

    def _in_type(self, sql: str, left: Typed, right: Typed, kind: Type) -> str:
        """The result in its type, where an operand has a digit more in DuckDB than in Trino."""
        has_more = any(v.type.params[0] == v.type.params[1] for v in (left, right))
        return f"CAST({sql} AS {self.type_name(kind)})" if has_more else sql

    def divide_decimals(self, left: Typed, right: Typed) -> Typed:
        """Trino's division of decimals: on whole numbers, rounded half away from zero."""
        return self.once_each([left, right], lambda v: self._divide_decimals(v[0], v[1]))

    def _divide_decimals(self, left: Typed, right: Typed) -> Typed:
        (p1, s1), (_, s2) = left.type.params, right.type.params
        scale = max(s1, s2)
        kind = t.decimal(p1 + s2 + max(0, s2 - s1), scale)
        if scale - s1 + s2 > MAX_DIGITS:  # Trino has no such power of ten
            return Typed(self.failing("Decimal overflow"), kind)
        up = 10 ** (scale - s1 + s2)
        a = f"({unscaled(left)} * {up})"
        b = unscaled(right)
        half = f"((abs({a}) + abs({b}) // 2) // abs({b}))"
        signed = f"({half} * CAST(sign({a}) * sign({b}) AS HUGEINT))"
        quick = scaled(signed, kind)
        limit = MAX_DIGITS - (scale - s1 + s2)
        if p1 <= limit:
            return Typed(quick, kind)
        texts = ", ".join(f"CAST({value.sql} AS VARCHAR)" for value in (left, right))
        exact = f"CAST(qr_decimal_divide({texts}, {scale}) AS {self.type_name(kind)})"
        is_small = f"abs(CAST({left.sql} AS DOUBLE)) < 1e{limit - s1 - 1}::DOUBLE"
        return Typed(f"(CASE WHEN {is_small} THEN {quick} ELSE {exact} END)", kind)

    def _shift(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        """Dates and times with intervals."""
        intervals = {t.DAYS, t.MONTHS}
        if op in {"+", "-"} and t.is_moment(left.type) and right.type in intervals:
            return self.shifted(left, op, right, at)
        if op == "+" and left.type in intervals and t.is_moment(right.type):
            return self.shifted(right, "+", left, at)
        if op in {"+", "-"} and left.type in intervals and left.type == right.type:
            return Typed(f"({left.sql} {op} {right.sql})", left.type)
        if {"time", t.TIMETZ} & {left.type.name, right.type.name}:
            return self._shift_time(op, left, right, at)
        if op in {"*", "/"} and left.type in intervals and t.is_floating(right.type):
            return scaled_interval(left, op, right.sql)
        if op in {"*", "/"} and left.type in intervals and right.type.name == "decimal":
            return scaled_interval(left, op, f"CAST({right.sql} AS DOUBLE)")
        if op == "*" and right.type in intervals and not t.is_integer(left.type):
            return self._shift(op, right, left, at)
        if op == "/" and left.type in intervals and t.is_integer(right.type):
            return of_amount(f"{amount(left)} // {right.sql}", left.type)
        if op == "*" and left.type in intervals and t.is_integer(right.type):
            sql = f"({left.sql} * CAST({right.sql} AS BIGINT))"
            return Typed(sql, left.type, left.constant)
        if op == "*" and right.type in intervals and t.is_integer(left.type):
            sql = f"({right.sql} * CAST({left.sql} AS BIGINT))"
            return Typed(sql, right.type, right.constant)
        if op == "-" and left.type == right.type == t.DATE:
            return Typed(f"to_days(CAST({left.sql} - {right.sql} AS INTEGER))", t.DAYS)
        if op == "-" and t.is_moment(left.type) and t.is_moment(right.type):
            return self._moments_apart(left, right, at)
        self.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)

    def _moments_apart(self, left: Typed, right: Typed, at: int) -> Typed:
        """Two moments, as the one type that both can have."""
        kind = t.common(left.type, right.type)
        if kind is not None and left.type.name != right.type.name:
            left, right = self.cast_to(left, kind), self.cast_to(right, kind)
        if left.type.name == right.type.name:
            if t.is_fine(left.type) or t.is_fine(right.type):
                return _between_picos(left, right)
            between = f"epoch_us({left.sql}) - epoch_us({right.sql})"
            if max(left.type.params[0], right.type.params[0]) <= 3:
                return Typed(f"to_microseconds({between})", t.DAYS)
            return _between(between)
        self.mismatch(f"Cannot apply operator: {left.type} - {right.type}", at)

    def _shift_time(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        """A time and an interval, which wraps around midnight; or two times."""
        if op == "+" and left.type == t.DAYS:
            left, right = right, left
        if op in {"+", "-"} and left.type.name in _CLOCKS and right.type == t.DAYS:
            return self._clock_moved(left, op, right)
        if op == "-" and left.type.name in _CLOCKS and right.type.name in _CLOCKS:
            if left.type.name != right.type.name:
                zone = left.type.zone or right.type.zone
                left, right = (self.cast_to(v, t.time_tz(12, zone)) for v in (left, right))
            if left.type.name == t.TIMETZ or t.is_fine(left.type) or t.is_fine(right.type):
                return _between_picos(left, right)
            return _between(f"{clocks.micros(left.sql)} - {clocks.micros(right.sql)}")
        self.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)

    def _clock_moved(self, clock: Typed, op: str, interval: Typed) -> Typed:
        """A time and an interval, which wraps around midnight."""
        precision = clock.type.params[0]
        if interval.constant != WHOLE_DAYS:
            precision = max(precision, 3)
        kind = replace(clock.type, params=(precision,))
        if clock.type.name == "time" and precision <= 6:
            return Typed(f"({clock.sql} {op} {interval.sql})", kind)
        moved = f"({millis(interval.sql)} % 86400000 * 1000000000)"
        return Typed(f"(({picos(clock)} {op} {moved} + {fine.DAY}) % {fine.DAY})", kind)

    def shifted(self, moment: Typed, op: str, interval: Typed, at: int) -> Typed:
        """A moment and an interval. A day is 24 hours for moments with a zone."""
        is_days = interval.type == t.DAYS
        if moment.type == t.DATE and is_days and interval.constant != WHOLE_DAYS:
            self.invalid("Cannot add hour, minutes or seconds to a date", at)
        kind = moment.type
        if is_days and kind.params and kind.params[0] < _INTERVAL_DIGITS:
            moment = replace(moment, type=replace(kind, params=(_INTERVAL_DIGITS,)))
        if t.is_fine(kind) and is_days:
            return Typed(f"({moment.sql} {op} {millis(interval.sql)} * 1000000000)", kind)
        if moment.type.name == t.TSTZ and is_days:
            sql = f"timezone('UTC', timezone('UTC', {moment.sql}) {op} {interval.sql})"
            return Typed(sql, moment.type)
        return self.moved(moment, f"{op} {interval.sql}")

    def moved(self, moment: Typed, shift: str) -> Typed:
        """A date or time moved by an interval. With a zone the wall clock of that zone counts."""
        if moment.type.name == "date":
            return Typed(f"CAST({moment.sql} {shift} AS DATE)", t.DATE)
        if t.is_fine(moment.type):
            whole = self.moved(fine.coarse(moment), shift)
            return fine.refined(whole, fine.below(moment), moment.type)
        if moment.type.name == t.TSTZ and moment.type.zone:
            return self.once(moment, lambda one: self._moved_in_zone(one, shift))
        return Typed(f"({moment.sql} {shift})", moment.type)

    def _moved_in_zone(self, moment: Typed, shift: str) -> Typed:
        """What the zone's clock shows then; of an hour that comes twice the one with the offset
        that the moment had, as in Java."""
        wall = casts_time.local(moment)
        moved = Typed(f"({wall} {shift})", t.timestamp(moment.type.params[0]))
        found = casts_time.in_zone(moved, moment.type.zone, self.zone)
        if len(shift) > MAX_REPEATED_CHARS:
            return found
        same = f"timezone('UTC', timezone('UTC', {moment.sql}) + ({moved.sql} - {wall}))"
        reads = casts_time.local(Typed(same, moment.type))
        sql = f"(CASE WHEN {reads} = {moved.sql} THEN {same} ELSE {found.sql} END)"
        return Typed(sql, found.type)

    def _concat(self, left: Typed, right: Typed, at: int) -> Typed:
        arrays = [v.type for v in (left, right) if v.type.name == "array"]
        if arrays and "unknown" in {left.type.name, right.type.name}:
            message = "Could not choose a best candidate operator"
            self.mismatch(f"{message}. Explicit type casts must be added.", at)
        if arrays:
            return self._concat_arrays(left, right, at)
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
            return Typed(f"rtrim({a.sql} || {b.sql}, ' ')", t.char(length))
        return Typed(f"({a.sql} || {b.sql})", t.VARCHAR)

    def _concat_arrays(self, left: Typed, right: Typed, at: int) -> Typed:
        """NULL where a side is, a lone item too."""
        pairs = ((left, right), (right, left))
        are_items = [v.type.name != "array" or v.type in o.type.parts for v, o in pairs]
        kinds = [
            t.array(v.type) if is_item else v.type
            for (v, _), is_item in zip(pairs, are_items, strict=True)
        ]
        kind = t.common(kinds[0], kinds[1])
        if kind is None:
            self.mismatch(f"Cannot apply operator: {left.type} || {right.type}", at)

        def joined(values: list[Typed]) -> Typed:
            sides = [
                self.cast_to(self.array_of([value]) if is_item else value, kind).sql
                for value, is_item in zip(values, are_items, strict=True)
            ]
            missing = " OR ".join(f"{self.exact(value)} IS NULL" for value in values)
            whole = f"list_concat({', '.join(sides)})"
            return Typed(f"(CASE WHEN {missing} THEN NULL ELSE {whole} END)", kind)

        return self.once_each([left, right], joined)

    def array_of(self, items: Sequence[Typed], at: int = 0) -> Typed:
        """An array of these values."""
        kind = self.unified(items, at, "ARRAY")
        listed = ", ".join(self.exact(self.cast_to(item, kind)) for item in items)
        if kind.name == "unknown":
            return Typed(f"CAST([{listed}] AS INTEGER[])", t.array(kind))
        return Typed(f"[{listed}]", t.array(kind))

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

    def compare_nested(self, op: str, left: Typed, right: Typed, at: int) -> str:
        """A comparison of arrays, rows, maps or JSON."""
        return compared(self, op, left, right, at)

    def canonical(self, value: Typed) -> Typed:
        """With the keys of maps in order."""
        return canonical(self, value)

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

    def decided(self, op: str, terms: Sequence[str]) -> Typed:
        """The terms from the left: what comes after a decisive one is not computed."""
        negation, decisive = ("NOT ", "false") if op == "AND" else ("", "true")

        def rest(values: list[Typed]) -> Typed:
            tests = [f"WHEN {negation}{value.sql} THEN {decisive}" for value in values]
            joined = f" {op} ".join([*(value.sql for value in values), terms[-1]])
            return Typed(f"(CASE {' '.join(tests)} ELSE {joined} END)", t.BOOLEAN)

        return self.once_each([Typed(term, t.BOOLEAN) for term in terms[:-1]], rest)

    def negation(self, node: ast.Not) -> Typed:
        return Typed(f"(NOT {self.condition(node.operand, 'What NOT applies to')})", t.BOOLEAN)

    def between(self, node: ast.Between) -> Typed:
        value, low, high = self.expr(node.operand), self.expr(node.low), self.expr(node.high)

        def within(value: Typed) -> Typed:
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
                fields = [field(value, n).sql for n in range(len(value.type.parts))]
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

    def row_in_query(self, value: Typed, op: str, query: ast.Query, at: int) -> str:
        """A row compared with the rows of a subquery, where a NULL inside is like any value."""
        use = Use.IN if op == "IN" else Use.QUANTIFIED
        sql, outputs = self.subquery(query, use, at)
        if len(outputs) != len(value.type.parts):
            self.mismatch(f"Cannot apply operator: {value.type} {op} {len(outputs)} columns", at)
        pairs = zip(value.type.parts, outputs, strict=True)
        kinds = [self._comparable(given, output.type, op, at) for given, output in pairs]
        alias = self.fresh("q")
        names = [f"c{n + 1}" for n in range(len(outputs))]
        columns = [Typed(f"{alias}.{n}", o.type) for n, o in zip(names, outputs, strict=True)]
        pairs_of = zip(columns, kinds, strict=True)
        cast = [self.exact(self.canonical(self.cast_to(c, k))) for c, k in pairs_of]
        rows = f"SELECT {row_of(cast)} FROM ({sql}) AS {alias}({', '.join(names)})"
        return f"({as_row_of(self, value, kinds, at)} {op} ({rows}))"

    def quantified(self, node: ast.Quantified) -> Typed:
        value = self.expr(node.operand)
        if value.type.name == "row":
            if node.op not in {"=", "<>"}:
                self.refuse(f"Ordering values of type {value.type}", node.at)
            op = f"{node.op} {node.quantifier}"
            return Typed(self.row_in_query(value, op, node.query, node.at), t.BOOLEAN)
        sql, kind = self._one_column(node.query, Use.QUANTIFIED, node.at)
        both = self._comparable(value.type, kind, node.op, node.at)
        inner = self._as_type(sql, kind, both)
        sought = self.cast_to(value, both).sql
        if t.is_floating(both) and node.op not in {"=", "<>"}:
            return Typed(predicates.quantified_number(self, sought, node, inner), t.BOOLEAN)
        return Typed(f"({sought} {node.op} {node.quantifier} ({inner}))", t.BOOLEAN)

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

    def like(self, node: ast.Like) -> Typed:
        return predicates.like(self, node)

    def is_null(self, node: ast.IsNull) -> Typed:
        word = "IS NOT NULL" if node.is_negated else "IS NULL"
        return Typed(f"({self.expr(node.operand).sql} {word})", t.BOOLEAN)

    def is_distinct(self, node: ast.IsDistinct) -> Typed:
        left, right = self.expr(node.left), self.expr(node.right)
        kind = t.common(left.type, right.type)
        if kind is not None and kind.name in NESTED - {"json"} and not t.has_map(kind):
            left, right = (explicit(side, kind, None, CastSite()) for side in (left, right))
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

    def row_query(self, sql: str, outputs: Sequence[Output], at: int) -> Typed:
        """A subquery of several columns as one row."""
        del at
        alias = self.fresh("q")
        names = [f"c{n + 1}" for n in range(len(outputs))]
        kind = t.row([o.type for o in outputs], [o.heading for o in outputs])
        row = f"row({', '.join(f'{alias}.{name}' for name in names)})"
        row = f"CAST({row} AS {self.type_name(kind)})"
        empty = f"CAST(row({', '.join(['NULL'] * len(names))}) AS {self.type_name(kind)})"
        found = f"(SELECT {row} FROM ({sql}) AS {alias}({', '.join(names)}))"
        return Typed(f"coalesce({found}, {empty})", kind)


def _between(micros: str) -> Typed:
    """An interval of microseconds, rounded half up to milliseconds."""
    return of_millis(f"floor(CAST({micros} + 500 AS DOUBLE) / 1000)")


def _between_picos(left: Typed, right: Typed) -> Typed:
    """The same of values that are finer."""
    unit, far = 10**9, 10**26
    between = f"({picos(left)} - {picos(right)})"
    return of_millis(f"(({between} + {far + unit // 2}) // {unit} - {far // unit})")


def _may_be_nan(value: Typed) -> bool:
    """A constant says so itself: `DOUBLE 'NaN'`."""
    if not t.is_floating(value.type):
        return False
    return value.constant is None or "nan" in str(value.constant).lower()

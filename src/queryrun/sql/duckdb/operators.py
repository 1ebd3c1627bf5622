"""Arithmetic, comparisons and predicates in DuckDB's SQL."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from queryrun.sql.compile import moments
from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import MAX_REPEATED_CHARS
from queryrun.sql.compile.correlated import Use
from queryrun.sql.compile.interval_texts import WHOLE_DAYS
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.statement import StatementCompiler
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import casts_time, clocks, fine, predicates
from queryrun.sql.duckdb.comparisons import as_row_of, canonical, compared, field, row_of
from queryrun.sql.duckdb.decimals import scaled, unscaled
from queryrun.sql.duckdb.intervals import amount, millis, of_amount, of_millis
from queryrun.sql.duckdb.intervals import scaled as scaled_interval
from queryrun.sql.duckdb.values import picos
from queryrun.sql.trino.records import ast

MAX_DIGITS = 38
_CLOCKS = frozenset(["time", t.TIMETZ])
_INTERVAL_DIGITS = 3
"""Of a second: those of an interval."""


class DuckDBOperators(StatementCompiler):
    """Arithmetic, comparisons and predicates."""

    def signed(self, op: str, value: Typed) -> Typed:
        """A number with a sign in front. DuckDB's type of a constant with one may be wider."""
        sql = f"({op}{self.exact(value)})"
        if t.is_integer(value.type):
            sql = f"CAST({sql} AS {self.type_name(value.type)})"
        return Typed(sql, value.type)

    def calculate(self, op: str, left: Typed, right: Typed) -> Typed:
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
        what = self.unsupported("The remainder of a decimal of so many digits")
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

    def concat_arrays(self, left: Typed, right: Typed, at: int) -> Typed:
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

    def compare_nested(self, op: str, left: Typed, right: Typed, at: int) -> str:
        """A comparison of arrays, rows, maps or JSON."""
        return compared(self, op, left, right, at)

    def canonical(self, value: Typed) -> Typed:
        """With the keys of maps in order."""
        return canonical(self, value)

    def decided(self, op: str, terms: Sequence[str]) -> Typed:
        """The terms from the left: what comes after a decisive one is not computed."""
        negation, decisive = ("NOT ", "false") if op == "AND" else ("", "true")

        def rest(values: list[Typed]) -> Typed:
            tests = [f"WHEN {negation}{value.sql} THEN {decisive}" for value in values]
            joined = f" {op} ".join([*(value.sql for value in values), terms[-1]])
            return Typed(f"(CASE {' '.join(tests)} ELSE {joined} END)", t.BOOLEAN)

        return self.once_each([Typed(term, t.BOOLEAN) for term in terms[:-1]], rest)

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

    def like(self, node: ast.Like) -> Typed:
        return predicates.like(self, node)

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

    # --- dates, times and intervals ---------------------------------------------------------

    def scaled_span(self, op: str, span: Typed, factor: Typed) -> Typed:
        if t.is_floating(factor.type):
            return scaled_interval(span, op, factor.sql)
        if factor.type.name == "decimal":
            return scaled_interval(span, op, f"CAST({factor.sql} AS DOUBLE)")
        if op == "/":
            return of_amount(f"{amount(span)} // {factor.sql}", span.type)
        return Typed(f"({span.sql} * CAST({factor.sql} AS BIGINT))", span.type, span.constant)

    def days_apart(self, left: Typed, right: Typed) -> Typed:
        return Typed(f"to_days(CAST({left.sql} - {right.sql} AS INTEGER))", t.DAYS)

    def moments_apart(self, left: Typed, right: Typed) -> Typed:
        if t.is_fine(left.type) or t.is_fine(right.type):
            return _between_picos(left, right)
        between = f"epoch_us({left.sql}) - epoch_us({right.sql})"
        if max(left.type.params[0], right.type.params[0]) <= 3:
            return Typed(f"to_microseconds({between})", t.DAYS)
        return _between(between)

    def shift_clock(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
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
        return Typed(f"(({picos(clock)} {op} {moved} + {moments.DAY}) % {moments.DAY})", kind)

    def shifted_by_days(self, moment: Typed, op: str, interval: Typed) -> Typed:
        kind = moment.type
        if kind.params[0] < _INTERVAL_DIGITS:
            moment = replace(moment, type=replace(kind, params=(_INTERVAL_DIGITS,)))
        if t.is_fine(kind):
            return Typed(f"({moment.sql} {op} {millis(interval.sql)} * 1000000000)", kind)
        if kind.name == t.TSTZ:
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

    def without_spaces(self, sql: str) -> str:
        return f"rtrim({sql}, ' ')"

    def row_item(self, value: Typed, number: int) -> Typed:
        return field(value, number)


def _between(micros: str) -> Typed:
    """An interval of microseconds, rounded half up to milliseconds."""
    return of_millis(f"floor(CAST({micros} + 500 AS DOUBLE) / 1000)")


def _between_picos(left: Typed, right: Typed) -> Typed:
    """The same of values that are finer."""
    unit, far = 10**9, 10**26
    between = f"({picos(left)} - {picos(right)})"
    return of_millis(f"(({between} + {far + unit // 2}) // {unit} - {far // unit})")

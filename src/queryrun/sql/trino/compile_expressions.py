"""Trino's expressions as DuckDB's SQL: every kind of expression that is not a call."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from queryrun.errors import FailureCode
from queryrun.sql.trino import ast, casts
from queryrun.sql.trino import types as t
from queryrun.sql.trino.casts import CastSite, UnsupportedCastError
from queryrun.sql.trino.scope import Column, Output, Scope, did_you_mean
from queryrun.sql.trino.tokens import failure_at
from queryrun.sql.trino.typed import Typed, cast, exact, name, text
from queryrun.sql.trino.types import Type

MAX_SQL_CHARS = 4_000_000
"""An expression in DuckDB's SQL. Templates repeat their arguments, so nested calls grow fast."""
MAX_CHAIN = 900
"""Operators in a row: DuckDB's trees are at most 1,000 deep."""
_INT_MAX, _BIGINT_MAX = 2**31 - 1, 2**63 - 1
_DAY_UNITS = {"DAY": "to_days", "HOUR": "to_hours", "MINUTE": "to_minutes", "SECOND": "to_seconds"}
_MONTH_UNITS = {"YEAR": "to_years", "MONTH": "to_months"}
_WHOLE_DAYS = "whole days"
"""What is known of an interval that may be added to a date."""
_NESTED = {"array", "map", "row", "json"}


class ExpressionCompiler:
    """Compiles expressions of one statement. `scope` is where names are looked up at the moment."""

    def __init__(self, statement: str, zone: str) -> None:
        self.statement = statement
        self.zone = zone
        self.scope = Scope()
        self.lambdas: list[dict[str, Typed]] = []
        self.in_try = False
        self.in_number_cast = False
        """What is compiled at the moment becomes a number at once: its spelling is no matter."""
        self._numbers = 0

    # --- how DuckDB spells things; the compiler for another engine has its own ---------------

    def text(self, value: str) -> str:
        """A string literal."""
        return text(value)

    def quoted(self, value: str) -> str:
        """A quoted name."""
        return name(value)

    def type_name(self, kind: Type) -> str:
        """The engine's type that carries it."""
        return t.duckdb_name(kind)

    def cast_to(self, value: Typed, wanted: Type) -> Typed:
        """The value in another type that Trino brings it to without being told."""
        return cast(value, wanted)

    def exact(self, value: Typed) -> str:
        """The SQL of a value whose type must be the Trino type's even if it is a literal."""
        return exact(value)

    def compared(self, value: Typed, kind: Type) -> str:
        """A value to compare as `kind`."""
        return _compared(value, kind)

    # --- saying no --------------------------------------------------------------------------

    def mismatch(self, message: str, at: int) -> NoReturn:
        """Types that do not go together."""
        raise failure_at(FailureCode.TYPE_MISMATCH, message, self.statement, at)

    def refuse(self, what: str, at: int) -> NoReturn:
        """A construct that has no faithful form in DuckDB's SQL, or not yet."""
        raise failure_at(FailureCode.NOT_SUPPORTED, f"{what} is not supported", self.statement, at)

    def not_found(self, message: str, at: int) -> NoReturn:
        """A name that means nothing here."""
        raise failure_at(FailureCode.NAME_NOT_FOUND, message, self.statement, at)

    def invalid(self, message: str, at: int) -> NoReturn:
        """A literal that cannot be."""
        raise failure_at(FailureCode.INVALID_VALUE, message, self.statement, at)

    def failing(self, message: str) -> str:
        """SQL that fails when it is reached. TRY takes no volatile function, which error() is."""
        if self.in_try:
            return f"CASE WHEN CAST({self.text(message)} AS INTEGER) = 0 THEN NULL END"
        return f"error({self.text(message)})"

    def fresh(self, prefix: str) -> str:
        """A name that nothing else in the translated statement has."""
        self._numbers += 1
        return f"{prefix}{self._numbers}"

    # --- entry ------------------------------------------------------------------------------

    def expr(self, node: ast.Expr) -> Typed:
        """Any expression."""
        try:
            found: Typed = getattr(self, _METHODS[type(node)])(node)
        except UnsupportedCastError as error:
            self._cannot(error, node.at)
        if len(found.sql) > MAX_SQL_CHARS:
            self.refuse("So complex an expression", node.at)
        return found

    def query(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        """A subquery; `QueryCompiler` knows how."""
        raise NotImplementedError

    def call(self, node: ast.Call) -> Typed:
        """A function call; `CallCompiler` knows how."""
        raise NotImplementedError

    def condition(self, node: ast.Expr, clause: str) -> str:
        """A boolean expression."""
        value = self.expr(node)
        if value.type not in {t.BOOLEAN, t.UNKNOWN}:
            self.mismatch(f"{clause} must be a boolean, not {value.type}", node.at)
        return value.sql if value.type == t.BOOLEAN else "CAST(NULL AS BOOLEAN)"

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[None]:
        """Look names up in `scope` for a while."""
        before, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = before

    # --- literals ---------------------------------------------------------------------------

    def literal(self, node: ast.Literal) -> Typed:
        match node.kind:
            case "integer":
                return self.integer(int(node.text), node.at)
            case "decimal":
                return self.decimal_literal(node.text, node.at)
            case "double":
                return Typed(f"CAST({node.text} AS DOUBLE)", t.DOUBLE, node.text)
            case "string":
                return Typed(self.text(node.text), t.VARCHAR, node.text)
            case "boolean":
                return Typed(node.text, t.BOOLEAN)
            case "binary":
                if len(node.text) % 2 or re.search(r"[^0-9a-fA-F]", node.text):
                    self.invalid("Binary literals have pairs of hexadecimal digits", node.at)
                return Typed(f"unhex('{node.text}')", t.VARBINARY)
        return Typed("NULL", t.UNKNOWN)

    def integer(self, number: int, at: int) -> Typed:
        if not -_BIGINT_MAX - 1 <= number <= _BIGINT_MAX:
            self.invalid(f"Invalid numeric literal: {number}", at)
        kind = t.INTEGER if -_INT_MAX - 1 <= number <= _INT_MAX else t.BIGINT
        return Typed(str(number) if number >= 0 else f"({number})", kind, number)

    def decimal_literal(self, written: str, at: int) -> Typed:
        whole, _, fraction = written.partition(".")
        sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
        digits = len(whole.lstrip("0")) + len(fraction)
        precision = max(digits, 1)
        if precision > 38:
            self.invalid(f"Invalid decimal literal: {written}", at)
        kind = t.decimal(precision, len(fraction))
        sql = f"CAST('{sign}{whole or 0}.{fraction or 0}' AS {self.type_name(kind)})"
        return Typed(sql, kind, written)

    def typed_literal(self, node: ast.TypedLiteral) -> Typed:
        if node.type == "timestamp":
            return self._timestamp_literal(node)
        written = Typed(self.text(node.text), t.VARCHAR, node.text)
        if node.type == "decimal":
            if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", node.text):
                self.invalid(f"Invalid decimal literal: {node.text}", node.at)
            return self.decimal_literal(node.text.lstrip("+"), node.at)
        if node.type in {"time", "char", "ipaddress"}:
            self.refuse(f"Type {node.type}", node.at)
        if node.type == "json":
            return Typed(f"json({written.sql})", t.JSON)
        kind, _ = casts.type_of(ast.TypeName(node.type, [], [], node.at))
        found = self._cast(written, kind, None, CastSite(zone=self.zone), node.at)
        return Typed(found.sql, found.type, node.text)

    def _timestamp_literal(self, node: ast.TypedLiteral) -> Typed:
        found = casts.zoned_literal(node.text, self.zone)
        if found is None:
            self.invalid(f"'{node.text}' is not a valid TIMESTAMP literal", node.at)
        if found.type.zone:
            return Typed(found.sql, found.type, node.text)
        sql = f"TIMESTAMP {self.text(node.text.strip())}"
        return Typed(sql, t.timestamp(found.type.params[0]), node.text)

    def interval_literal(self, node: ast.IntervalLiteral) -> Typed:
        sign = "-" if node.is_negative else ""
        if node.to_unit:
            return self._interval_span(node, sign)
        unit = node.unit.rstrip("S") if node.unit.endswith("S") else node.unit
        if unit == "SECOND" and re.fullmatch(r"\d+(\.\d+)?", node.text):
            return Typed(f"to_seconds({sign}{node.text})", t.DAYS)
        if not re.fullmatch(r"[+-]?\d+", node.text):
            self.invalid(f"Invalid INTERVAL literal: {node.text}", node.at)
        if unit == "WEEK":
            return Typed(f"to_days({sign}{int(node.text) * 7})", t.DAYS, _WHOLE_DAYS)
        if unit in _DAY_UNITS:
            whole = _WHOLE_DAYS if unit == "DAY" else None
            return Typed(f"{_DAY_UNITS[unit]}({sign}{int(node.text)})", t.DAYS, whole)
        if unit in _MONTH_UNITS:
            return Typed(f"{_MONTH_UNITS[unit]}({sign}{int(node.text)})", t.MONTHS)
        self.refuse(f"INTERVAL … {node.unit}", node.at)

    def _interval_span(self, node: ast.IntervalLiteral, sign: str) -> Typed:
        match = re.fullmatch(r"(\d+)-(\d+)", node.text)
        if (node.unit, node.to_unit) == ("YEAR", "MONTH") and match:
            return Typed(f"to_months({sign}{int(match[1]) * 12 + int(match[2])})", t.MONTHS)
        self.refuse(f"INTERVAL … {node.unit} TO {node.to_unit}", node.at)

    # --- names ------------------------------------------------------------------------------

    def name(self, node: ast.Name) -> Typed:
        first = node.parts[0]
        if len(node.parts) == 1:
            for params in reversed(self.lambdas):
                if first.key in params:
                    return params[first.key]
        elif any(first.key in params for params in self.lambdas):
            params = next(p for p in reversed(self.lambdas) if first.key in p)
            return self._fields(params[first.key], node.parts[1:])
        for scope in self.scope.outward():
            found = self._in_scope(node, scope)
            if found is not None:
                return found
        shown = ".".join(part.text for part in node.parts)
        known = self.scope.known_names()
        guess = did_you_mean(node.parts[-1].text, known)
        self.not_found(f"Column '{shown}' cannot be resolved{guess}", node.at)

    def _in_scope(self, node: ast.Name, scope: Scope) -> Typed | None:
        parts = node.parts
        for qualifiers in range(min(len(parts) - 1, 3), 0, -1):
            found = scope.matching(parts[qualifiers].key, parts[qualifiers - 1].key)
            if found:
                return self._fields(self._one(found, node), parts[qualifiers + 1 :])
        found = scope.matching(parts[0].key)
        if found:
            return self._fields(self._one(found, node), parts[1:])
        return None

    def _one(self, found: Sequence[Column], node: ast.Name) -> Typed:
        if len(found) > 1:
            shown = ".".join(part.text for part in node.parts)
            self.mismatch(f"Column '{shown}' is ambiguous", node.at)
        return self.usable(found[0], node.at)

    def usable(self, column: Column, at: int) -> Typed:
        """A column's value, if Trino has a type for it."""
        if column.type.name == t.UNSUPPORTED:
            self.refuse(f"Column '{column.heading}' of type {column.type.names[0]}", at)
        return Typed(column.sql, column.type)

    def _fields(self, base: Typed, fields: Sequence[ast.Ident]) -> Typed:
        for ident in fields:
            base = self._field(base, ident)
        return base

    def _field(self, base: Typed, ident: ast.Ident) -> Typed:
        if base.type.name != "row":
            self.mismatch(f"Expression is not of type row: {base.type}", ident.at)
        names = [field.lower() for field in base.type.names]
        if ident.key not in names:
            guess = did_you_mean(ident.text, names)
            self.not_found(f"Column '{ident.text}' cannot be resolved{guess}", ident.at)
        index = names.index(ident.key)
        field = t.field_names(base.type)[index]
        return Typed(f"({base.sql}).{self.quoted(field)}", base.type.parts[index])

    def field_of(self, node: ast.FieldOf) -> Typed:
        return self._field(self.expr(node.base), node.name)

    def subscript(self, node: ast.Subscript) -> Typed:
        base, index = self.expr(node.base), self.expr(node.index)
        if base.type.name == "map":
            return self._map_subscript(base, index, node.at)
        if base.type.name == "row":
            return self._row_subscript(base, index, node.at)
        if base.type.name != "array" or not t.is_integer(index.type):
            self.mismatch(f"Cannot use {index.type} for subscript of {base.type}", node.at)
        b, i = base.sql, index.sql
        beyond = self.failing("Array subscript must be less than or equal to array length")
        sql = (
            f"(CASE WHEN {b} IS NULL THEN NULL "
            f"WHEN {i} = 0 THEN {self.failing('SQL array indices start at 1')} "
            f"WHEN {i} < 0 THEN {self.failing('Array subscript is negative')} "
            f"WHEN {i} > len({b}) THEN {beyond} "
            f"ELSE ({b})[{i}] END)"
        )
        return Typed(sql, base.type.parts[0])

    def _map_subscript(self, base: Typed, key: Typed, at: int) -> Typed:
        if not t.can_become(key.type, base.type.parts[0]):
            self.mismatch(f"Cannot use {key.type} for subscript of {base.type}", at)
        k = self.cast_to(key, base.type.parts[0]).sql
        missing = self.failing("Key not present in map")
        sql = (
            f"(CASE WHEN NOT map_contains({base.sql}, {k}) THEN {missing} "
            f"ELSE map_extract_value({base.sql}, {k}) END)"
        )
        return Typed(sql, base.type.parts[1])

    def _row_subscript(self, base: Typed, index: Typed, at: int) -> Typed:
        if not isinstance(index.constant, int) or not 0 < index.constant <= len(base.type.parts):
            self.mismatch("Subscript of a row must be a constant within its fields", at)
        number = index.constant - 1
        if not any(base.type.names):
            return Typed(f"({base.sql})[{index.constant}]", base.type.parts[number])
        field = t.field_names(base.type)[number]
        return Typed(f"({base.sql}).{self.quoted(field)}", base.type.parts[number])

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
        return Typed(f"({node.op}{self.exact(value)})", value.type)

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
        if op == "%" and t.is_floating(kind):
            return Typed(f"fmod({a}, {b})" if kind == t.DOUBLE else f"({a} % {b})", kind)
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
            wide = self.type_name(kind)
            if kind.params[0] == 38 or kind.params[0] > 18 >= max(p1, p2):
                a, b = f"CAST({a} AS {wide})", f"CAST({b} AS {wide})"
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
            return Typed(f"CAST(({a} % {b}) AS {self.type_name(kind)})", kind)
        return self.divide_decimals(left, right)

    def _in_type(self, sql: str, left: Typed, right: Typed, kind: Type) -> str:
        """The result in its type, where an operand has a digit more in DuckDB than in Trino."""
        has_more = any(v.type.params[0] == v.type.params[1] for v in (left, right))
        return f"CAST({sql} AS {self.type_name(kind)})" if has_more else sql

    def divide_decimals(self, left: Typed, right: Typed) -> Typed:
        """Trino's division of decimals: on whole numbers, rounded half away from zero."""
        (p1, s1), (_, s2) = left.type.params, right.type.params
        scale = max(s1, s2)
        kind = t.decimal(p1 + s2 + max(0, s2 - s1), scale)
        up = 10 ** (scale - s1 + s2)
        a = f"({unscaled(left)} * {up})"
        b = unscaled(right)
        half = f"((abs({a}) + abs({b}) // 2) // abs({b}))"
        signed = f"({half} * CAST(sign({a}) * sign({b}) AS HUGEINT))"
        return Typed(scaled(signed, kind), kind)

    def _shift(self, op: str, left: Typed, right: Typed, at: int) -> Typed:
        """Dates and times with intervals."""
        intervals = {t.DAYS, t.MONTHS}
        if op in {"+", "-"} and t.is_moment(left.type) and right.type in intervals:
            return self.shifted(left, op, right, at)
        if op == "+" and left.type in intervals and t.is_moment(right.type):
            return self.shifted(right, "+", left, at)
        if op in {"+", "-"} and left.type in intervals and left.type == right.type:
            return Typed(f"({left.sql} {op} {right.sql})", left.type)
        if op == "*" and left.type in intervals and t.is_integer(right.type):
            sql = f"({left.sql} * CAST({right.sql} AS BIGINT))"
            return Typed(sql, left.type, left.constant)
        if op == "*" and right.type in intervals and t.is_integer(left.type):
            sql = f"({right.sql} * CAST({left.sql} AS BIGINT))"
            return Typed(sql, right.type, right.constant)
        if op == "-" and left.type == right.type == t.DATE:
            return Typed(f"to_days(CAST({left.sql} - {right.sql} AS INTEGER))", t.DAYS)
        if op == "-" and left.type.name == right.type.name and t.is_moment(left.type):
            return Typed(f"to_microseconds(epoch_us({left.sql}) - epoch_us({right.sql}))", t.DAYS)
        self.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)

    def shifted(self, moment: Typed, op: str, interval: Typed, at: int) -> Typed:
        """A moment and an interval. A day is 24 hours for moments with a zone."""
        is_days = interval.type == t.DAYS
        if moment.type == t.DATE and is_days and interval.constant != _WHOLE_DAYS:
            self.invalid("Cannot add hour, minutes or seconds to a date", at)
        if moment.type.name == t.TSTZ and is_days:
            sql = f"timezone('UTC', timezone('UTC', {moment.sql}) {op} {interval.sql})"
            return Typed(sql, moment.type)
        return self.moved(moment, f"{op} {interval.sql}")

    def moved(self, moment: Typed, shift: str) -> Typed:
        """A date or time moved by an interval. With a zone the wall clock of that zone counts."""
        if moment.type.name == "date":
            return Typed(f"CAST({moment.sql} {shift} AS DATE)", t.DATE)
        if moment.type.name == t.TSTZ and moment.type.zone:
            zone = moment.type.zone
            if zone.startswith(("+", "-", t.VARIES)):
                raise UnsupportedCastError("Arithmetic on a moment in such a zone")
            sql = f"timezone({self.text(zone)}, timezone({self.text(zone)}, {moment.sql}) {shift})"
            return Typed(sql, moment.type)
        return Typed(f"({moment.sql} {shift})", moment.type)

    def _concat(self, left: Typed, right: Typed, at: int) -> Typed:
        arrays = [v.type for v in (left, right) if v.type.name == "array"]
        if arrays:
            return self._concat_arrays(left, right, at)
        kinds = {left.type.name, right.type.name} - {"unknown"}
        if kinds <= {"varchar"}:
            return Typed(f"({left.sql} || {right.sql})", t.VARCHAR)
        if kinds <= {"varbinary"}:
            return Typed(f"({left.sql} || {right.sql})", t.VARBINARY)
        self.mismatch(f"Cannot apply operator: {left.type} || {right.type}", at)

    def _concat_arrays(self, left: Typed, right: Typed, at: int) -> Typed:
        sides = []
        for value, other in ((left, right), (right, left)):
            is_item = value.type.name != "array" or value.type in other.type.parts
            sides.append(self.array_of([value]) if is_item else value)
        kind = t.common(sides[0].type, sides[1].type)
        if kind is None:
            self.mismatch(f"Cannot apply operator: {left.type} || {right.type}", at)
        a, b = (self.cast_to(side, kind).sql for side in sides)
        sql = f"(CASE WHEN {a} IS NULL OR {b} IS NULL THEN NULL ELSE list_concat({a}, {b}) END)"
        return Typed(sql, kind)

    # --- comparisons ------------------------------------------------------------------------

    def compare(self, op: str, left: Typed, right: Typed, at: int) -> str:
        """A comparison. For DuckDB NaN is equal to itself and greater than all, not for Trino."""
        kind = t.common(left.type, right.type)
        if kind is None:
            self.mismatch(f"Cannot apply operator: {left.type} {op} {right.type}", at)
        if kind.name in _NESTED:
            self.refuse(f"Comparing values of type {kind}", at)
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
        terms = [self.condition(term, f"A term of {node.op}") for term in node.terms]
        return Typed("(" + f" {node.op} ".join(terms) + ")", t.BOOLEAN)

    def negation(self, node: ast.Not) -> Typed:
        return Typed(f"(NOT {self.condition(node.operand, 'What NOT applies to')})", t.BOOLEAN)

    def between(self, node: ast.Between) -> Typed:
        value, low, high = self.expr(node.operand), self.expr(node.low), self.expr(node.high)
        lower = self.compare(">=", value, low, node.at)
        upper = self.compare("<=", value, high, node.at)
        return _negated(f"({lower} AND {upper})", is_negated=node.is_negated)

    def in_list(self, node: ast.InList) -> Typed:
        value = self.expr(node.operand)
        items = [self.expr(item) for item in node.items]
        kind = self.unified([value, *items], node.at, "IN")
        if kind.name in _NESTED:
            self.refuse(f"Comparing values of type {kind}", node.at)
        if _may_be_nan(value) and any(_may_be_nan(item) for item in items):
            equal = [self.compare("=", value, item, node.at) for item in items]
            return _negated("(" + " OR ".join(equal) + ")", is_negated=node.is_negated)
        listed = ", ".join(self.compared(item, kind) for item in items)
        return _negated(
            f"({self.cast_to(value, kind).sql} IN ({listed}))", is_negated=node.is_negated
        )

    def in_query(self, node: ast.InQuery) -> Typed:
        value = self.expr(node.operand)
        sql, kind = self._one_column(node.query, node.at)
        both = self._comparable(value.type, kind, "IN", node.at)
        inner = self._as_type(sql, kind, both)
        return _negated(
            f"({self.cast_to(value, both).sql} IN ({inner}))", is_negated=node.is_negated
        )

    def quantified(self, node: ast.Quantified) -> Typed:
        value = self.expr(node.operand)
        sql, kind = self._one_column(node.query, node.at)
        both = self._comparable(value.type, kind, node.op, node.at)
        inner = self._as_type(sql, kind, both)
        return Typed(
            f"({self.cast_to(value, both).sql} {node.op} {node.quantifier} ({inner}))", t.BOOLEAN
        )

    def _one_column(self, query: ast.Query, at: int) -> tuple[str, Type]:
        sql, outputs = self.query(query, self.scope)
        if len(outputs) != 1:
            self.refuse("Comparing with a subquery of several columns", at)
        return sql, outputs[0].type

    def _comparable(self, a: Type, b: Type, op: str, at: int) -> Type:
        both = t.common(a, b)
        if both is None:
            self.mismatch(f"Cannot apply operator: {a} {op} {b}", at)
        if both.name in _NESTED:
            self.refuse(f"Comparing values of type {both}", at)
        return both

    def _as_type(self, query: str, given: Type, wanted: Type) -> str:
        if t.bare(given) == t.bare(wanted):
            return query
        alias = self.fresh("q")
        value = self.cast_to(Typed(f"{alias}.c1", given), wanted)
        return f"SELECT {value.sql} FROM ({query}) AS {alias}(c1)"

    def like(self, node: ast.Like) -> Typed:
        value, pattern = self.expr(node.operand), self.expr(node.pattern)
        if {value.type.name, pattern.type.name} - {"varchar", "unknown"}:
            self.mismatch(f"LIKE needs varchar, not {value.type} and {pattern.type}", node.at)
        escape = ""
        if node.escape is not None:
            escape = f" ESCAPE {self.expr(node.escape).sql}"
        return _negated(f"({value.sql} LIKE {pattern.sql}{escape})", is_negated=node.is_negated)

    def is_null(self, node: ast.IsNull) -> Typed:
        word = "IS NOT NULL" if node.is_negated else "IS NULL"
        return Typed(f"({self.expr(node.operand).sql} {word})", t.BOOLEAN)

    def is_distinct(self, node: ast.IsDistinct) -> Typed:
        left, right = self.expr(node.left), self.expr(node.right)
        kind = self._comparable(left.type, right.type, "IS DISTINCT FROM", node.at)
        word = "IS NOT DISTINCT FROM" if node.is_negated else "IS DISTINCT FROM"
        return Typed(
            f"({self.cast_to(left, kind).sql} {word} {self.cast_to(right, kind).sql})", t.BOOLEAN
        )

    def exists(self, node: ast.Exists) -> Typed:
        sql, _ = self.query(node.query, self.scope)
        return Typed(f"(EXISTS ({sql}))", t.BOOLEAN)

    def scalar_query(self, node: ast.ScalarQuery) -> Typed:
        sql, outputs = self.query(node.query, self.scope)
        if len(outputs) != 1:
            self.refuse("A subquery of several columns as one value", node.at)
        return Typed(f"({sql})", outputs[0].type)

    # --- choices, casts, constructors -------------------------------------------------------

    def unified(self, values: Sequence[Typed], at: int, what: str) -> Type:
        """The one type that all these values can have."""
        kind = t.UNKNOWN
        for value in values:
            both = t.common(kind, value.type)
            if both is None:
                self.mismatch(f"{what}: all values must have one type: {kind}, {value.type}", at)
            kind = both
        return kind

    def case(self, node: ast.Case) -> Typed:
        results = [self.expr(result) for _, result in node.whens]
        if node.otherwise is not None:
            results.append(self.expr(node.otherwise))
        kind = self.unified(results, node.at, "CASE")
        values = [self.exact(self.cast_to(result, kind)) for result in results]
        operand = self.expr(node.operand) if node.operand is not None else None
        parts = []
        for (condition, _), value in zip(node.whens, values, strict=False):
            if operand is None:
                test = self.condition(condition, "CASE WHEN")
            else:
                test = self.compare("=", operand, self.expr(condition), condition.at)
            parts.append(f"WHEN {test} THEN {value}")
        otherwise = f" ELSE {values[-1]}" if node.otherwise is not None else ""
        return Typed(f"(CASE {' '.join(parts)}{otherwise} END)", kind)

    def cast(self, node: ast.Cast) -> Typed:
        try:
            kind, length = casts.type_of(node.type)
        except UnsupportedCastError as error:
            self._cannot(error, node.at)
        self.in_number_cast = t.is_number(kind) and isinstance(node.operand, ast.Call)
        value = self.expr(node.operand)
        self.in_number_cast = False
        site = CastSite(is_safe=node.is_safe, in_try=self.in_try, zone=self.zone)
        return self._cast(value, kind, length, site, node.at)

    def _cast(self, value: Typed, kind: Type, length: int | None, site: CastSite, at: int) -> Typed:
        try:
            return casts.explicit(value, kind, length, site)
        except UnsupportedCastError as error:
            self._cannot(error, at)

    def _cannot(self, error: UnsupportedCastError, at: int) -> NoReturn:
        if error.is_mismatch:
            self.mismatch(f"{error}: not possible", at)
        self.refuse(str(error), at)

    def extract(self, node: ast.Extract) -> Typed:
        return self.call(ast.Call(node.field, [node.operand], node.at))

    def at_zone(self, node: ast.AtZone) -> Typed:
        return self.call(ast.Call("at_timezone", [node.operand, node.zone], node.at))

    def row_of(self, node: ast.RowOf) -> Typed:
        items = [self.expr(item) for item in node.items]
        sql = "row(" + ", ".join(self.exact(item) for item in items) + ")"
        return Typed(sql, t.row([item.type for item in items], [""] * len(items)))

    def array_literal(self, node: ast.ArrayOf) -> Typed:
        return self.array_of([self.expr(item) for item in node.items], node.at)

    def array_of(self, items: Sequence[Typed], at: int = 0) -> Typed:
        """An array of these values."""
        kind = self.unified(items, at, "ARRAY")
        listed = ", ".join(self.exact(self.cast_to(item, kind)) for item in items)
        if kind.name == "unknown":
            return Typed(f"CAST([{listed}] AS INTEGER[])", t.array(kind))
        return Typed(f"[{listed}]", t.array(kind))

    def lone_lambda(self, node: ast.Lambda) -> Typed:
        self.mismatch("A lambda can only be an argument of a function that takes one", node.at)


def unscaled(value: Typed) -> str:
    """A decimal's digits as a whole number."""
    precision, scale = value.type.params
    if scale == 0:
        return f"CAST({value.sql} AS HUGEINT)"
    if max(precision, 19) + scale < 38:
        wide = f"CAST({value.sql} AS DECIMAL({max(precision, 19)},{scale}))"
        return f"CAST({wide} * CAST({10**scale} AS DECIMAL({scale + 1},0)) AS HUGEINT)"
    digits = f"replace(CAST({value.sql} AS VARCHAR), '.', '')"
    return f"CAST({digits} AS HUGEINT)"


def scaled(sql: str, kind: Type) -> str:
    """A whole number's digits as a decimal."""
    scale = kind.params[1]
    if scale == 0:
        return f"CAST({sql} AS {t.duckdb_name(kind)})"
    plain = f"CAST(abs({sql}) AS VARCHAR)"
    digits = f"lpad({plain}, greatest({scale + 1}, length({plain})::INTEGER), '0')"
    sign = f"CASE WHEN {sql} < 0 THEN '-' ELSE '' END"
    written = f"{sign} || left({digits}, -{scale}) || '.' || right({digits}, {scale})"
    return f"CAST(({written}) AS {t.duckdb_name(kind)})"


def _compared(value: Typed, kind: Type) -> str:
    """A value to compare as `kind`. DuckDB fits integer literals by itself, many of them faster."""
    if isinstance(value.constant, int) and t.is_integer(value.type) and t.is_integer(kind):
        return value.sql
    return cast(value, kind).sql


def _may_be_nan(value: Typed) -> bool:
    return t.is_floating(value.type) and value.constant is None


def _negated(sql: str, *, is_negated: bool) -> Typed:
    return Typed(f"(NOT {sql})" if is_negated else sql, t.BOOLEAN)


_METHODS: dict[type, str] = {
    ast.Literal: "literal",
    ast.TypedLiteral: "typed_literal",
    ast.IntervalLiteral: "interval_literal",
    ast.Name: "name",
    ast.FieldOf: "field_of",
    ast.Subscript: "subscript",
    ast.Unary: "unary",
    ast.Binary: "binary",
    ast.Logical: "logical",
    ast.Not: "negation",
    ast.Between: "between",
    ast.InList: "in_list",
    ast.InQuery: "in_query",
    ast.Like: "like",
    ast.IsNull: "is_null",
    ast.IsDistinct: "is_distinct",
    ast.Quantified: "quantified",
    ast.Exists: "exists",
    ast.ScalarQuery: "scalar_query",
    ast.Case: "case",
    ast.Cast: "cast",
    ast.Call: "call",
    ast.Extract: "extract",
    ast.AtZone: "at_zone",
    ast.RowOf: "row_of",
    ast.ArrayOf: "array_literal",
    ast.Lambda: "lone_lambda",
}

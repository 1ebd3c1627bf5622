"""Literals, names, and what is inside of values, in DuckDB's SQL."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from queryrun.errors import FailureCode
from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.correlated import Resolved
from queryrun.sql.compile.scope import Column, Scope, did_you_mean
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import casts, casts_time, clocks, fine, intervals
from queryrun.sql.duckdb.cast_checks import CastSite
from queryrun.sql.json_text import NotJsonError, canonical, parsed
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at

_DECIMAL = re.compile(r"[+-]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)")
_INT_MAX, _BIGINT_MAX = 2**31 - 1, 2**63 - 1
_DAY_UNITS = {"DAY": "to_days", "HOUR": "to_hours", "MINUTE": "to_minutes", "SECOND": "to_seconds"}
_MONTH_UNITS = {"YEAR": "to_years", "MONTH": "to_months"}
WHOLE_DAYS = "whole days"
"""What is known of an interval that may be added to a date."""


class NameCompiler(Compiler):
    """Compiles literals, names, fields and subscripts."""

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
            if not _DECIMAL.fullmatch(node.text):
                self.invalid(f"Invalid decimal literal: {node.text}", node.at)
            return self.decimal_literal(node.text.lstrip("+").replace("_", ""), node.at)
        if node.type == "time":
            return self._time_literal(node)
        if node.type == "char":
            bare = node.text.rstrip(" ")
            return Typed(self.text(bare), t.char(len(node.text)), bare)
        if node.type == "json":
            return self._json_literal(node)
        kind, _ = casts.type_of(ast.TypeName(node.type, [], [], node.at))
        found = self._cast(written, kind, None, CastSite(zone=self.zone), node.at)
        return Typed(found.sql, found.type, node.text)

    def _timestamp_literal(self, node: ast.TypedLiteral) -> Typed:
        found = casts_time.zoned_literal(node.text, self.zone)
        if found is None:
            self.invalid(f"'{node.text}' is not a valid TIMESTAMP literal", node.at)
        if found.type.zone:
            if casts_time.is_skipped(node.text):  # a cast of the same text is taken
                self.invalid(f"'{node.text}' is not a valid TIMESTAMP literal", node.at)
            return Typed(found.sql, found.type, node.text)
        moment = Typed(self.text(node.text), t.VARCHAR, node.text)
        kind = t.timestamp(found.type.params[0])
        return Typed(casts.explicit(moment, kind, None, CastSite()).sql, kind, node.text)

    def _json_literal(self, node: ast.TypedLiteral) -> Typed:
        try:
            document = canonical(parsed(node.text))
        except NotJsonError:
            self.invalid(f"Cannot convert value to JSON: '{node.text}'", node.at)
        return Typed(f"CAST({self.text(document)} AS JSON)", t.JSON)

    def _time_literal(self, node: ast.TypedLiteral) -> Typed:
        found = clocks.literal(node.text)
        if found is not None:
            return found
        zoned = fine.zone_literal(node.text)
        if zoned is not None:
            return zoned
        total = fine.clock_picos(node.text)
        if total is not None:
            kind = t.time(len(node.text.partition(".")[2]))
            return Typed(f"CAST({total} AS BIGINT)", kind, node.text)
        self.invalid(f"'{node.text}' is not a valid TIME literal", node.at)

    def interval_literal(self, node: ast.IntervalLiteral) -> Typed:
        sign = "-" if node.is_negative else ""
        if node.to_unit:
            return self._interval_span(node, sign)
        unit = node.unit.rstrip("S") if node.unit.endswith("S") else node.unit
        if unit == "SECOND" and (millis := intervals.second_millis(node.text)) is not None:
            return Typed(f"to_milliseconds({-millis if node.is_negative else millis})", t.DAYS)
        if not re.fullmatch(r"[+-]?\d+", node.text):
            self.invalid(f"Invalid INTERVAL literal: {node.text}", node.at)
        if unit in _DAY_UNITS:
            whole = WHOLE_DAYS if unit == "DAY" else None
            return Typed(f"{_DAY_UNITS[unit]}({sign}{int(node.text)})", t.DAYS, whole)
        if unit in _MONTH_UNITS:
            return Typed(f"{_MONTH_UNITS[unit]}({sign}{int(node.text)})", t.MONTHS)
        self.refuse(f"INTERVAL … {node.unit}", node.at)

    def _interval_span(self, node: ast.IntervalLiteral, sign: str) -> Typed:
        match = re.fullmatch(r"(-?)(\d+)(?:-(\d+))?", node.text)
        if (node.unit, node.to_unit) == ("YEAR", "MONTH") and match:
            months = int(match[2]) * 12 + int(match[3] or 0)
            is_negative = node.is_negative != bool(match[1])
            return Typed(f"to_months({-months if is_negative else months})", t.MONTHS)
        millis = intervals.span_millis(node.text, node.unit, node.to_unit)
        if millis is not None:
            return Typed(f"to_milliseconds({sign}{millis})".replace("--", ""), t.DAYS)
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
                if scope is not self.scope and id(scope) in self.closed:
                    self._closed(node)
                self.names[id(node)] = Resolved(node, scope, found.type)
                return found
        path = ".".join(part.text for part in node.parts)
        known = self.scope.known_names()
        guess = did_you_mean(node.parts[-1].text, known)
        self.not_found(f"Column '{path}' cannot be resolved{guess}", node.at)

    def _closed(self, node: ast.Name) -> NoReturn:
        """A condition of an outer join whose subquery looks at what is joined: not in Trino."""
        path = ".".join(part.text for part in node.parts)
        message = f"Reference to column '{path}' from outer scope not allowed in this context"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, self.statement, node.at)

    def _in_scope(self, node: ast.Name, scope: Scope) -> Typed | None:
        parts = node.parts
        for qualifiers in range(min(len(parts) - 1, 3), 0, -1):
            found = scope.matching(parts[qualifiers].key, [p.key for p in parts[:qualifiers]])
            if found:
                return self._fields(self._one(found, node), parts[qualifiers + 1 :])
        found = scope.matching(parts[0].key)
        if found:
            return self._fields(self._one(found, node), parts[1:])
        return None

    def _one(self, found: Sequence[Column], node: ast.Name) -> Typed:
        if len(found) > 1:
            path = ".".join(part.text for part in node.parts)
            self.ambiguous(f"Column '{path}' is ambiguous", node.at)
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
        if names.count(ident.key) > 1:
            self.ambiguous(f"Ambiguous row field reference: {ident.key}", ident.at)
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
        return self.once_each([base, index], lambda v: self._item(v[0], v[1]))

    def _item(self, base: Typed, index: Typed) -> Typed:
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
        key = self.cast_to(key, base.type.parts[0])
        return self.once_each([base, key], lambda v: self._value_at(v[0], v[1].sql))

    def _value_at(self, base: Typed, k: str) -> Typed:
        missing = self.failing("Key not present in map")
        sql = (
            f"(CASE WHEN NOT map_contains({base.sql}, {k}) THEN {missing} "
            f"ELSE map_extract_value({base.sql}, {k}) END)"
        )
        return Typed(sql, base.type.parts[1])

    def _row_subscript(self, base: Typed, index: Typed, at: int) -> Typed:
        if not isinstance(index.constant, int) or not 0 < index.constant <= len(base.type.parts):
            self.mismatch("Subscript of a row must be a constant within its fields", at)
        return self.row_field(base, index.constant - 1)

    def row_field(self, base: Typed, number: int) -> Typed:
        """One field of a row by its position, from 0."""
        if not any(base.type.names):
            return Typed(f"({base.sql})[{number + 1}]", base.type.parts[number])
        field = t.field_names(base.type)[number]
        return Typed(f"({base.sql}).{self.quoted(field)}", base.type.parts[number])

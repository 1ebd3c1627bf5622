"""Literals, subscripts and constructors in DuckDB's SQL."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Sequence

from queryrun.sql.compile import interval_texts, moments
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.interval_texts import WHOLE_DAYS
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import casts, casts_time, clocks
from queryrun.sql.json_text import NotJsonError, canonical, parsed
from queryrun.sql.trino.records import ast

_DAY_UNITS = {"DAY": "to_days", "HOUR": "to_hours", "MINUTE": "to_minutes", "SECOND": "to_seconds"}
_MONTH_UNITS = {"YEAR": "to_years", "MONTH": "to_months"}


class DuckDBExpressions(Compiler):
    """Literals, subscripts, constructors."""

    def timestamp_literal(self, node: ast.TypedLiteral) -> Typed:
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

    def json_literal(self, node: ast.TypedLiteral) -> Typed:
        try:
            document = canonical(parsed(node.text))
        except NotJsonError:
            self.invalid(f"'{node.text}' is not a valid JSON literal", node.at)
        return Typed(f"CAST({self.text(document)} AS JSON)", t.JSON)

    def time_literal(self, node: ast.TypedLiteral) -> Typed:
        found = clocks.literal(node.text)
        if found is not None:
            return found
        zoned = moments.zone_literal(node.text)
        if zoned is not None:
            return zoned
        total = moments.clock_picos(node.text)
        if total is not None:
            kind = t.time(len(node.text.partition(".")[2]))
            return Typed(f"CAST({total} AS BIGINT)", kind, node.text)
        self.invalid(f"'{node.text}' is not a valid TIME literal", node.at)

    def interval_literal(self, node: ast.IntervalLiteral) -> Typed:
        sign = "-" if node.is_negative else ""
        if node.to_unit:
            return self._interval_span(node, sign)
        unit = node.unit.rstrip("S") if node.unit.endswith("S") else node.unit
        if not interval_texts.is_amount(node.text, unit):
            self.invalid(f"Invalid INTERVAL {unit} value: {node.text}", node.at)
        if unit == "SECOND" and (millis := interval_texts.second_millis(node.text)) is not None:
            return Typed(f"to_milliseconds({-millis if node.is_negative else millis})", t.DAYS)
        number = -int(node.text) if node.is_negative else int(node.text)
        if unit in _DAY_UNITS:
            whole = WHOLE_DAYS if unit == "DAY" else None
            return Typed(f"{_DAY_UNITS[unit]}({number})", t.DAYS, whole)
        if unit in _MONTH_UNITS:
            return Typed(f"{_MONTH_UNITS[unit]}({number})", t.MONTHS)
        self.refuse(f"INTERVAL … {node.unit}", node.at)

    def _interval_span(self, node: ast.IntervalLiteral, sign: str) -> Typed:
        match = re.fullmatch(r"(-?)(\d+)(?:-(\d+))?", node.text)
        if (node.unit, node.to_unit) == ("YEAR", "MONTH") and match:
            months = int(match[2]) * 12 + int(match[3] or 0)
            is_negative = node.is_negative != bool(match[1])
            return Typed(f"to_months({-months if is_negative else months})", t.MONTHS)
        millis = interval_texts.span_millis(node.text, node.unit, node.to_unit)
        if millis is not None:
            return Typed(f"to_milliseconds({sign}{millis})".replace("--", ""), t.DAYS)
        self.refuse(f"INTERVAL … {node.unit} TO {node.to_unit}", node.at)

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

    def row_of(self, node: ast.RowOf) -> Typed:
        items = [self.expr(item) for item in node.items]
        sql = "row(" + ", ".join(self.exact(item) for item in items) + ")"
        kind = t.row([item.type for item in items], [""] * len(items))
        return Typed(sql, kind, fields=tuple(items))

    def array_of(self, items: Sequence[Typed], at: int = 0) -> Typed:
        """An array of these values."""
        kind = self.unified(items, at, "ARRAY")
        listed = ", ".join(self.exact(self.cast_to(item, kind)) for item in items)
        if kind.name == "unknown":
            return Typed(f"CAST([{listed}] AS INTEGER[])", t.array(kind))
        return Typed(f"[{listed}]", t.array(kind))

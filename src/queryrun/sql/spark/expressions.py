"""Literals, subscripts, casts and constructors in Spark's SQL."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

import re
from collections.abc import Sequence

from queryrun.sql.compile import types as t
from queryrun.sql.compile.interval_texts import WHOLE_DAYS, is_amount, second_millis, span_millis
from queryrun.sql.compile.moments import read_moment
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import (
    clocks,
    intervals,
    moments,
)
from queryrun.sql.spark.spelling import SparkSpelling
from queryrun.sql.spark.types import spark_name, text
from queryrun.sql.trino.records import ast

_DAY_UNITS = {"DAY": 0, "HOUR": 1, "MINUTE": 2, "SECOND": 3}


class SparkExpressions(SparkSpelling):
    """Literals, subscripts, constructors."""

    # --- literals ---------------------------------------------------------------------------

    def timestamp_literal(self, node: ast.TypedLiteral) -> Typed:
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
        if not is_amount(node.text, unit):
            self.invalid(f"Invalid INTERVAL {unit} value: {node.text}", node.at)
        if unit == "SECOND" and (millis := second_millis(node.text)) is not None:
            return intervals.literal(-millis if node.is_negative else millis)
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

    def row_item(self, value: Typed, number: int) -> Typed:
        return value.fields[number] if value.fields else self.row_field(value, number)

    def json_literal(self, node: ast.TypedLiteral) -> Typed:
        return Typed(self.text(node.text), t.JSON)

    def time_literal(self, node: ast.TypedLiteral) -> Typed:
        found = clocks.literal(node.text)
        if found is None:
            self.invalid(f"'{node.text}' is not a valid TIME literal", node.at)
        return found

    # --- casts, constructors ----------------------------------------------------------------

    def cast(self, node: ast.Cast) -> Typed:
        if not self.in_try or node.is_safe:
            return super().cast(node)
        found = super().cast(ast.Cast(node.operand, node.type, True, node.at))
        self.excused += 1
        return found

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

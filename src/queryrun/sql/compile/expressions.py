"""Choices, casts and constructors: the rest of what is no call."""

from __future__ import annotations

from queryrun.errors import FailureCode
from queryrun.sql.compile import type_names
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.given import Given
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at

EXTRACTED = (
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAY_OF_MONTH", "DAY_OF_WEEK", "DOW",
    "DAY_OF_YEAR", "DOY", "YEAR_OF_WEEK", "YOW", "HOUR", "MINUTE", "SECOND", "TIMEZONE_MINUTE",
    "TIMEZONE_HOUR",
)  # fmt: skip
"""What EXTRACT takes, in the order in which Trino lists it."""


class ExpressionCompiler(Compiler):
    """Compiles every expression that is no call."""

    # --- choices, casts, constructors -------------------------------------------------------

    def case(self, node: ast.Case) -> Typed:
        results = [self.expr(result) for _, result in node.whens]
        if node.otherwise is not None:
            results.append(self.expr(node.otherwise))
        kind = self.unified(results, node.at, "CASE")
        values = [self.exact(self.cast_to(result, kind)) for result in results]

        def chosen(operand: Typed | None) -> Typed:
            parts = []
            for (condition, _), value in zip(node.whens, values, strict=False):
                if operand is None:
                    test = self.condition(condition, "CASE WHEN")
                else:
                    test = self.compare("=", operand, self.expr(condition), condition.at)
                parts.append(f"WHEN {test} THEN {value}")
            otherwise = f" ELSE {values[-1]}" if node.otherwise is not None else ""
            return Typed(f"(CASE {' '.join(parts)}{otherwise} END)", kind)

        if node.operand is None or len(node.whens) == 1:
            return chosen(None if node.operand is None else self.expr(node.operand))
        return self.once(self.expr(node.operand), chosen)

    def cast(self, node: ast.Cast) -> Typed:
        try:
            kind, length = type_names.type_of(node.type)
        except UnsupportedCastError as error:
            self._cannot(error, node.at)
        self.in_number_cast = t.is_number(kind) and isinstance(node.operand, ast.Call)
        value = self.expr(node.operand)
        self.in_number_cast = False
        if node.is_safe and value.type.parts:
            return self._tried_cast(value, kind, length, node.at)
        site = CastSite(is_safe=node.is_safe, in_try=self.in_try, zone=self.zone)
        if isinstance(value.constant, str) or kind.zone:
            return self.cast_as(value, kind, length, site, node.at)
        return self.once(value, lambda one: self.cast_as(one, kind, length, site, node.at))

    def _tried_cast(self, value: Typed, kind: Type, length: int | None, at: int) -> Typed:
        """One part that cannot be cast makes all of it NULL."""
        name, site = self.fresh("once_"), CastSite(in_try=True, zone=self.zone)
        made = self.cast_as(Typed(name, value.type), kind, length, site, at)
        return Typed(self.bound(name, self.exact(value), f"TRY({made.sql})"), made.type)

    def extract(self, node: ast.Extract) -> Typed:
        if node.field.upper() not in EXTRACTED:
            message = f"Invalid EXTRACT field {node.field.upper()}"
            message += f", valid fields are: {', '.join(EXTRACTED)}"
            raise failure_at(FailureCode.SYNTAX_ERROR, message, self.statement, node.at)
        value = self.expr(node.operand)
        if node.field in {"hour", "minute", "second"} and value.type == t.DATE:
            self.mismatch(f"Cannot extract {node.field.upper()} from date", node.operand.at)
        operand = Given(value, node.operand.at)
        return self.call(ast.Call(node.field, [operand], node.at))

    def at_zone(self, node: ast.AtZone) -> Typed:
        return self.call(ast.Call("at_timezone", [node.operand, node.zone], node.at))

    def array_literal(self, node: ast.ArrayOf) -> Typed:
        return self.array_of([self.expr(item) for item in node.items], node.at)

    def lone_lambda(self, node: ast.Lambda) -> Typed:
        self.mismatch("A lambda can only be an argument of a function that takes one", node.at)

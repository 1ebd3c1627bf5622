"""How Spark's SQL spells literals, names, casts and errors, and values that are used twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.statement import StatementCompiler
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.spark import (
    casts,
    fine,
)
from queryrun.sql.spark.functions.table import SPARK
from queryrun.sql.spark.types import missing_type, quoted, spark_name, text
from queryrun.sql.trino.records import ast

_ROUND = 100
"""So many steps of a function with loops are taken before it is asked whether it is done."""
_STRICT = (
    ast.Literal, ast.TypedLiteral, ast.IntervalLiteral, ast.Name, ast.FieldOf, ast.Subscript,
    ast.Unary, ast.Binary, ast.Not, ast.Like, ast.Cast, ast.Extract, ast.AtZone,
)  # fmt: skip
"""What is NULL when a part of it is."""


class SparkSpelling(StatementCompiler):
    """How Spark spells what every expression is made of. Its session is in ANSI mode and in UTC."""

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

    def without_spaces(self, sql: str) -> str:
        return casts.without_spaces(sql)

    def cast_as(
        self, value: Typed, kind: Type, length: int | None, site: CastSite, at: int
    ) -> Typed:
        try:
            return casts.explicit(value, kind, length, site)
        except UnsupportedCastError as error:
            self._cannot(error, at)

    def fresh(self, prefix: str) -> str:
        """Longer than a table of the source is likely to be called: these names come first."""
        return super().fresh(f"q_{prefix}")

    def failing(self, message: str) -> str:
        if self.in_try:
            self.excused += 1
            return "NULL"
        return f"raise_error({text(message)})"

    def failing_as(self, message: str, kind: Type) -> str:
        return f"CAST({self.failing(message)} AS {spark_name(kind)})"

    def once(self, value: Typed, use: Callable[[Typed], Typed]) -> Typed:
        """Spark computes what is repeated once, but for values by chance: these get a name."""
        return super().once(value, use) if "rand(" in value.sql else use(value)

    def bound(self, name: str, value: str, body: str) -> str:
        return f"transform(array({value}), {name} -> {body})[0]"

    def after_joins(self, term: str) -> str:
        """Not for Spark, which has no cheap expression that it keeps above a join."""
        return term

    def named_alike(self, sql: str, before: int, alike: dict[str, str]) -> str:  # noqa: ARG002 - DuckDB's
        """Spark compares lambdas and subqueries whatever their names."""
        return sql

    def state_name(self, call: str) -> str:  # noqa: ARG002 - DuckDB knows the same call again by it
        return self.fresh("s")

    def state(self, parts: Sequence[tuple[str, str]]) -> str:
        listed = ", ".join(f"'{name}', {sql}" for name, sql in parts)
        return f"named_struct({listed})"

    def folded(self, steps: int, state: str, next_state: str, first: str) -> str:
        body = f"({state}, {self.fresh('n')}) -> {next_state}"
        return f"aggregate(sequence(1, {steps}), {first}, {body})"

    def walked(self, state: str, next_state: str, first: str, limit: int, at: int) -> str:  # noqa: ARG002 - DuckDB's needs it
        """In rounds of steps, so that what is done soon passes few: a state that is done stays."""
        inner, outer = self.fresh("n"), self.fresh("n")
        steps = f"aggregate(sequence(1, {_ROUND}), {state}, ({state}, {inner}) -> {next_state})"
        step = f"CASE WHEN {state}.pc < 0 THEN {state} ELSE {steps} END"
        over = self.failing(f"A function took more than {limit} steps")
        result = f"CASE WHEN {state}.pc < 0 THEN {state}.r ELSE {over} END"
        rounds = f"sequence(1, {limit // _ROUND})"
        return f"aggregate({rounds}, {first}, ({state}, {outer}) -> {step}, {state} -> {result})"

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

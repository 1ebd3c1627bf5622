"""The compiler of a whole statement, short of its target: every kind of expression and query."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from queryrun.sql.compile import types as t
from queryrun.sql.compile.expressions import ExpressionCompiler
from queryrun.sql.compile.given import Given
from queryrun.sql.compile.names import NameCompiler
from queryrun.sql.compile.operators import OperatorCompiler
from queryrun.sql.compile.queries import QueryCompiler
from queryrun.sql.compile.typed import Typed
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns


class StatementCompiler(NameCompiler, OperatorCompiler, ExpressionCompiler, QueryCompiler):
    """All parts together. An engine's compiler adds what `Target` asks for."""

    def compiled(self, node: ast.Expr) -> Typed:
        """What the engine computes for it. The most frequent kinds come first."""
        match node:
            case ast.Name():
                return self.name(node)
            case ast.Literal():
                return self.literal(node)
            case ast.Call():
                return self.call(node)
            case ast.Binary():
                return self.binary(node)
            case Given():
                return node.value
            case ast.Cast():
                return self.cast(node)
            case ast.TypedLiteral():
                return self.typed_literal(node)
            case ast.Logical():
                return self.logical(node)
            case ast.Case():
                return self.case(node)
            case ast.ArrayOf():
                return self.array_literal(node)
            case ast.RowOf():
                return self.row_of(node)
            case ast.Unary():
                return self.unary(node)
            case ast.Not():
                return self.negation(node)
            case ast.IsNull():
                return self.is_null(node)
            case ast.Like():
                return self.like(node)
            case ast.Between():
                return self.between(node)
            case ast.InList():
                return self.in_list(node)
            case ast.IntervalLiteral():
                return self.interval_literal(node)
            case ast.Subscript():
                return self.subscript(node)
            case ast.FieldOf():
                return self.field_of(node)
            case _:
                return self._rarely_compiled(node)

    def _rarely_compiled(self, node: ast.Expr) -> Typed:
        match node:
            case ast.InQuery():
                return self.in_query(node)
            case ast.ScalarQuery():
                return self.scalar_query(node)
            case ast.Exists():
                return self.exists(node)
            case ast.Quantified():
                return self.quantified(node)
            case ast.IsDistinct():
                return self.is_distinct(node)
            case ast.Extract():
                return self.extract(node)
            case ast.AtZone():
                return self.at_zone(node)
            case ast.Lambda():
                return self.lone_lambda(node)
            case ast_json.JsonExists():
                return self.json_exists(node)
            case ast_json.JsonValue():
                return self.json_value(node)
            case ast_json.JsonQuery():
                return self.json_query(node)
            case ast_json.JsonMade():
                return self.json_made(node)
            case ast_json.JsonItem():
                return Typed(node.sql, t.VARCHAR)
            case ast_patterns.Mode():
                return self.lone_mode(node)
            case ast_patterns.LabelRows():
                return self.lone_label(node)
            case _:
                self.refuse("Such an expression", node.at)

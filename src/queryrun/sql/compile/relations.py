"""FROM: tables, subqueries, joins, and what they are called."""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from queryrun.errors import FailureCode
from queryrun.sql.compile import information
from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import Compiler
from queryrun.sql.compile.correlated import REFUSAL, Correlation, Use
from queryrun.sql.compile.joined import Joined, columns_of, numbered
from queryrun.sql.compile.scope import (
    LOCATION,
    Column,
    Output,
    Scope,
    did_you_mean,
    repeated,
)
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.records.samples import Sampled
from queryrun.sql.trino.tokens import failure_at


class RelationCompiler(Compiler):
    """Compiles relations."""

    def relation(self, node: ast.Relation, outer: Scope) -> Joined:
        """A relation, for which `outer` is around its FROM clause."""
        match node:
            case ast.Table():
                return self._table(node, outer, "")
            case ast.Derived():
                return self._derived(node, outer, "", [])
            case ast.Unnest():
                return self.unnest(node, outer, Joined("", []), "", [])
            case ast_json.JsonTable():
                return self.json_table(node, outer, Joined("", []), "", [])
            case ast.Aliased():
                return self._aliased(node, outer, Joined("", []))
            case ast.Join():
                return self._join(node, outer)
            case ast_patterns.Matched():
                return self.matched(node, outer, "", [])
            case Sampled():
                return self.sampled(node, outer)
            case _:
                self.refuse("Such a relation", node.at)

    def _aliased(self, node: ast.Aliased, outer: Scope, left: Joined) -> Joined:
        alias = node.alias.key
        inner = node.relation
        match inner:
            case ast.Table():
                found = self._table(inner, outer, alias)
            case ast.Derived():
                scope = Scope(left.columns + left.hidden, outer) if inner.is_lateral else outer
                return self._derived(inner, scope, alias, node.columns)
            case ast.Unnest():
                return self.unnest(inner, outer, left, alias, node.columns)
            case ast_json.JsonTable():
                return self.json_table(inner, outer, left, alias, node.columns)
            case ast_patterns.Matched():
                return self.matched(inner, outer, alias, node.columns)
            case _:
                found = self.relation(inner, outer)
                columns = [replace(c, relation=alias, location=()) for c in found.columns]
                found = Joined(found.sql, columns)
        if node.columns:
            outputs = [Output(c.heading, c.type) for c in found.columns]
            for column, output in zip(
                found.columns, self._renamed(outputs, node.columns, node.at), strict=True
            ):
                column.key, column.heading = output.heading.lower(), output.heading
        return found

    def _table(self, node: ast.Table, outer: Scope, alias: str) -> Joined:
        key = node.parts[-1].key
        entry = outer.cte(key) if len(node.parts) == 1 else None
        sql_alias = self.fresh("r")
        if entry is not None:
            columns = columns_of(entry.outputs, sql_alias, alias or key)
            return Joined(f"{entry.sql} AS {sql_alias}", columns)
        if self.location and (wrong := information.misplaced(node, self.location)):
            self.not_found(wrong, node.at)
        if information.is_information(node):
            return self._information(node, outer, alias)
        table = self.schema.get(key)
        if table is None:
            path = ".".join(part.text for part in node.parts)
            guess = did_you_mean(node.parts[-1].text, self.schema)
            self.not_found(f"Table '{path}' does not exist{guess}", node.at)
        sql = self.scan(key, table, alias)
        columns = [
            Column(
                c.name.lower(), c.name.lower(), f"{sql_alias}.{self.quoted(c.name)}",
                c.type or Type(t.UNSUPPORTED, names=(c.engine_type,)), alias or key,
                () if alias else tuple(part.key for part in node.parts[:-1]),
            )
            for c in table
        ]  # fmt: skip
        return Joined(f"{sql} AS {sql_alias}", columns)

    def _information(self, node: ast.Table, outer: Scope, alias: str) -> Joined:
        key = node.parts[-1].key
        known = information.tables_of(node.parts[-2].key)
        if key not in known:
            path = ".".join(part.text for part in node.parts)
            guess = did_you_mean(node.parts[-1].text, known)
            self.not_found(f"Table '{path}' does not exist{guess}", node.at)
        query = information.query_of(node, self.schema, self.location or LOCATION)
        return self._derived(ast.Derived(query, False, node.at), outer, alias or key, [])

    def _derived(
        self, node: ast.Derived, scope: Scope, alias: str, columns: Sequence[ast.Ident]
    ) -> Joined:
        sql, outputs = self.query(node.query, scope)
        if node.is_lateral and self._selects_all[-1:] == [True]:
            self.refuse_correlated(node.query, Use.LATERAL, scope, node.at)
        renamed = self._renamed(outputs, columns, node.at)
        sql_alias = self.fresh("r")
        lateral = "LATERAL " if node.is_lateral else ""
        found = columns_of(renamed, sql_alias, alias)
        return Joined(f"{lateral}({sql}) AS {sql_alias}({numbered(renamed)})", found)

    def subquery(self, node: ast.Query, use: Use, at: int) -> tuple[str, list[Output]]:
        found = self.query(node, self.scope)
        self.refuse_correlated(node, use, self.scope, at)
        return found

    def refuse_correlated(self, node: ast.Query, use: Use, around: Scope, at: int) -> None:
        """Refuse what Trino cannot turn into a join. The names in there have been looked up."""
        outer = frozenset(id(scope) for scope in around.outward())
        if Correlation(self.names, outer, self.functions.aggregates).refuses(node, use):
            raise failure_at(FailureCode.NOT_SUPPORTED, REFUSAL, self.statement, at)

    def _percentage(self, node: ast.Expr) -> str:
        negated = isinstance(node, ast.Unary) and node.op == "-"
        literal = node.operand if isinstance(node, ast.Unary) else node
        if not isinstance(literal, ast.Literal):
            self.refuse("A sample's percentage that is no literal", node.at)
        if literal.kind == "null":
            self.mismatch("Sample percentage cannot be NULL", node.at)
        if literal.kind not in {"integer", "decimal", "double"}:
            self.mismatch("Sample percentage should be a numeric expression", node.at)
        if negated and float(literal.text) != 0:
            self.invalid("Sample percentage must be greater than or equal to 0", node.at)
        if float(literal.text) > 100:
            self.invalid("Sample percentage must be less than or equal to 100", node.at)
        return literal.text

    def _join(self, node: ast.Join, outer: Scope) -> Joined:
        left = self.relation(node.left, outer)
        if _is_unnest(node.right) and node.kind != "CROSS" and not _is_true(node.on):
            what = f"{node.kind} JOIN with UNNEST, but ON TRUE,"
            self.refuse(what, node.at)
        if _is_lateral(node.right) and node.kind in {"RIGHT", "FULL"}:
            self.refuse(f"{node.kind} JOIN LATERAL", node.at)  # Trino has rules of its own
        seen = left if node.kind in {"CROSS", "INNER", "LEFT"} else Joined("", [])
        right = self._right(node.right, outer, seen)
        columns, hidden = left.columns + right.columns, left.hidden + right.hidden
        if node.kind == "CROSS":
            return Joined(f"({left.sql} CROSS JOIN {right.sql})", columns, hidden)
        if node.using:
            return self._join_using(node, left, right)
        joined = Scope(columns + hidden, outer)
        if node.kind != "INNER":
            self.closed.add(id(joined))
        with self.inside(joined):
            condition = self.condition(node.on, "JOIN ON clause") if node.on else "true"
        self.closed.discard(id(joined))
        sql = f"({left.sql} {node.kind} JOIN {right.sql} ON {condition})"
        return Joined(sql, columns, hidden)

    def _right(self, node: ast.Relation, outer: Scope, left: Joined) -> Joined:
        """The right side of a join; UNNEST and LATERAL see the left one."""
        if isinstance(node, ast.Unnest):
            return self.unnest(node, outer, left, "", [])
        if isinstance(node, ast_json.JsonTable):
            return self.json_table(node, outer, left, "", [])
        if isinstance(node, ast.Derived) and node.is_lateral:
            return self._derived(node, Scope(left.columns + left.hidden, outer), "", [])
        if isinstance(node, ast.Aliased):
            return self._aliased(node, outer, left)
        return self.relation(node, outer)

    def _join_using(self, node: ast.Join, left: Joined, right: Joined) -> Joined:
        merged, hidden, conditions = [], left.hidden + right.hidden, []
        keys = {ident.key for ident in node.using}
        if name := repeated(node.using):
            message = f"Column '{name.text}' appears multiple times in USING clause"
            self.mismatch(message, name.at)
        for ident in node.using:
            a, b = self._side(ident, left, "left"), self._side(ident, right, "right")
            x, y = Typed(a.sql, a.type), Typed(b.sql, b.type)
            conditions.append(self.compare("=", x, y, ident.at))
            kind = t.common(a.type, b.type) or a.type
            value = {
                "RIGHT": self.cast_to(y, kind).sql,
                "FULL": f"coalesce({self.cast_to(x, kind).sql}, {self.cast_to(y, kind).sql})",
            }
            merged.append(
                Column(ident.key, ident.text, value.get(node.kind, self.cast_to(x, kind).sql), kind)
            )
        rest = [c for side in (left, right) for c in side.columns if c.key not in keys]
        sql = f"({left.sql} {node.kind} JOIN {right.sql} ON {' AND '.join(conditions)})"
        return Joined(sql, merged + rest, [c for c in hidden if c.key not in keys])

    def _side(self, ident: ast.Ident, side: Joined, word: str) -> Column:
        found = [column for column in side.columns if column.key == ident.key]
        if len(found) > 1:
            self.ambiguous(f"Column '{ident.text}' is ambiguous", ident.at)
        if not found:
            message = f"Column '{ident.text}' is missing from {word} side of join"
            self.not_found(message, ident.at)
        return found[0]

    def _renamed(
        self, outputs: Sequence[Output], columns: Sequence[ast.Ident], at: int
    ) -> list[Output]:
        if not columns:
            return list(outputs)
        if len(columns) != len(outputs):
            count = f"{len(columns)} entries but the relation has {len(outputs)} columns"
            self.mismatch(f"Column alias list has {count}", at)
        pairs = zip(columns, outputs, strict=True)
        return [Output(ident.text, output.type) for ident, output in pairs]


def _is_unnest(node: ast.Relation) -> bool:
    return isinstance(node.relation if isinstance(node, ast.Aliased) else node, ast.Unnest)


def _is_lateral(node: ast.Relation) -> bool:
    inner = node.relation if isinstance(node, ast.Aliased) else node
    return isinstance(inner, ast.Derived) and inner.is_lateral


def _is_true(node: ast.Expr | None) -> bool:
    return isinstance(node, ast.Literal) and node.text.lower() == "true"

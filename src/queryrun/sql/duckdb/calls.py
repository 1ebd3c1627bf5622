"""What surrounds functions in DuckDB's SQL: arguments, SQL/JSON, aggregates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import BY_CHANCE, needs_a_name
from queryrun.sql.compile.functions import Handler
from queryrun.sql.compile.given import Given
from queryrun.sql.compile.grouping import names_in
from queryrun.sql.compile.scope import Scope
from queryrun.sql.compile.statement import StatementCompiler
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import fine, sql_json
from queryrun.sql.duckdb.functions.table import DUCKDB
from queryrun.sql.duckdb.values import cast
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json

_COMPUTED = (ast.Call, ast.Cast, ast.Binary, ast.Case, ast.Subscript)
"""Arguments that can be long, or by chance."""
_READ_AS_WRITTEN = frozenset(["try", "if", "coalesce", "typeof", "codepoint", "cardinality"])
"""Forms that do not evaluate their arguments as a function does, or read how they are written."""


class DuckDBCalls(StatementCompiler):
    """What surrounds the functions: arguments that are evaluated once, aggregates, windows."""

    functions = DUCKDB

    _list: tuple[str, str] | None = None
    """The list that aggregates are of at the moment, and what each of its entries is called."""
    _before: tuple[Scope, list[tuple[str, str]]] | None = None
    """The scope whose aggregates get names at the moment, and those names."""

    def json_exists(self, node: ast_json.JsonExists) -> Typed:
        return sql_json.exists(self, node)

    def json_value(self, node: ast_json.JsonValue) -> Typed:
        return sql_json.value(self, node)

    def json_query(self, node: ast_json.JsonQuery) -> Typed:
        return sql_json.query(self, node)

    def json_made(self, node: ast_json.JsonMade) -> Typed:
        return sql_json.made(self, node)

    def coarse(self, value: Typed, target: Type) -> Typed:
        """A moment finer than a microsecond, without what is finer."""
        return fine.coarse(cast(value, target))

    def with_arguments_once(self, node: ast.Call, handler: Handler) -> Typed:
        """What the handler makes of the call; an argument that it repeats has got a name.

        Arguments are compiled before it, so that none is compiled again, and stand for themselves
        where the handler has them once. One that is short is repeated as it is (`once`).
        """
        if node.name in _READ_AS_WRITTEN:
            return handler(self, node)
        named: list[tuple[str, Typed]] = []
        found = handler(self, replace(node, args=[self._argument(a, named) for a in node.args]))
        for name, value in reversed(named):
            found = replace(found, sql=self._bound_if_repeated(name, value, found.sql))
        return found

    def _argument(self, node: ast.Expr, named: list[tuple[str, Typed]]) -> ast.Expr:
        if not isinstance(node, _COMPUTED):
            return node
        value = self.expr(node)
        if not needs_a_name(value) or value.constant is not None or value.type == t.UNKNOWN:
            return Given(value, node.at)
        name = self.fresh("once_")
        named.append((name, value))
        return Given(Typed(name, value.type), node.at)

    def _bound_if_repeated(self, name: str, value: Typed, sql: str) -> str:
        uses = re.compile(rf"\b{name}\b")
        count = len(uses.findall(sql))
        if count > 1 and "SELECT " not in sql:
            return self.bound(name, self.exact(value), sql)
        if count > 1 and BY_CHANCE.search(value.sql):
            self.refuse("A subquery beside a value by chance that is used twice", 0)
        return uses.sub(lambda _: value.sql, sql)

    def aggregated(
        self, node: ast.Call, function: str, args: Sequence[str], also_where: str = ""
    ) -> str:
        """The aggregate with its DISTINCT, ORDER BY, FILTER and OVER."""
        if self._list is not None:
            return self._of_list(node, function, args, also_where)
        if node.over and node.filter is not None:
            self.refuse("FILTER together with OVER", node.at)
        args = self._of_this_query(node, args)
        distinct = "DISTINCT " if node.is_distinct else ""
        inner = distinct + ", ".join(args)
        if node.order:
            inner += f" ORDER BY {self.order(node.order)}"
        if node.nulls:
            inner += f" {node.nulls.upper()} NULLS"
        sql = f"{function}({inner})"
        conditions = [also_where] if also_where else []
        if node.filter is not None:
            conditions.append(self.condition(node.filter, "FILTER"))
        if conditions:
            sql += f" FILTER (WHERE {' AND '.join(conditions)})"
        return self._named(sql + (f" OVER ({self.over(node.over)})" if node.over else ""))

    def _named(self, sql: str) -> str:
        """An aggregate, or its name where it is computed before."""
        if self._before is None or self._before[0] is not self.scope:
            return sql
        name = self.state_name(sql)
        if (name, sql) not in self._before[1]:
            self._before[1].append((name, sql))
        return name

    def _of_this_query(self, node: ast.Call, args: Sequence[str]) -> Sequence[str]:
        """An aggregate belongs to the query where it stands, even of outer columns alone.

        DuckDB takes one for an aggregate of the outer query, unless a column of this one is in it.
        """
        named = [self.names.get(id(name)) for name in names_in(node.args)]
        own = self.scope.columns
        if not args or not named or not own:
            return args
        if any(one is None or one.scope is self.scope for one in named):
            return args
        first = f"(CASE WHEN {own[0].sql} IS NULL OR true THEN {args[0]} END)"
        return [first, *args[1:]]

    @contextmanager
    def aggregates_before(self) -> Iterator[list[tuple[str, str]]]:
        """Aggregates of this scope get names for a while, which are yielded: TRY has none in it."""
        before, self._before = self._before, (self.scope, [])
        try:
            yield self._before[1]
        finally:
            self._before = before

    @contextmanager
    def over_list(self, base: str, item: str) -> Iterator[None]:
        """Aggregates are of a list for a while, each of whose entries is called `item`."""
        before, self._list = self._list, (base, item)
        try:
            yield
        finally:
            self._list = before

    def _of_list(self, node: ast.Call, function: str, args: Sequence[str], also_where: str) -> str:
        base, item = self._list or ("", "")
        if also_where:
            base = f"list_filter({base}, lambda {item}: {also_where})"
        if list(args) == ["*"]:
            return f"len({base})"
        if function.startswith("arg_m"):
            side, rank = ("max", "-n") if "max" in function else ("min", "n")
            keyed = f"row({args[1]}, {rank}, {args[0]})"  # of equal ones the first
            keys = f"list_transform({base}, lambda {item}, n: {keyed})"
            known = f"list_filter({keys}, lambda {item}: {item}[1] IS NOT NULL)"
            return f"(list_{side}({known}))[3]"
        if len(args) > 1:
            self.refuse(f"{node.name} with several arguments in MATCH_RECOGNIZE", node.at)
        values = f"list_transform({base}, lambda {item}: {args[0]})"
        if function == "list":
            return f"CASE WHEN len({base}) > 0 THEN {values} END"
        return f"list_aggregate({values}, '{function}')"

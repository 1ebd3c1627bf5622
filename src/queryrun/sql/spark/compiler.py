"""Trino's queries as Spark's SQL: what the compiler for DuckDB would write otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.grouping import aggregates_in
from queryrun.sql.compile.joined import Joined, numbered
from queryrun.sql.compile.scope import Column, Output, Schema, Scope
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark.calls import SparkCalls
from queryrun.sql.spark.expressions import SparkExpressions
from queryrun.sql.spark.operators import SparkOperators
from queryrun.sql.spark.relations import SparkRelations
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.walk import records

MAX_LIMIT = 2**31 - 1
_TESTS = (ast.Exists, ast.InQuery, ast.Quantified)


class SparkCompiler(SparkExpressions, SparkOperators, SparkCalls, SparkRelations):
    """Compiles one statement against a schema. `table_names`: what Spark calls its tables."""

    def __init__(
        self, statement: str, zone: str, schema: Schema, table_names: Mapping[str, str]
    ) -> None:
        super().__init__(statement, zone, schema, "include")
        self.table_names = table_names

    def _tied(
        self, node: ast.Select, order: Sequence[ast.SortItem], joined: Joined, limit: int
    ) -> tuple[str, list[Output]]:
        """Spark has no QUALIFY of groups."""
        selected = [item.expr for item in node.items if not isinstance(item.expr, ast.Star)]
        exprs = [*selected, *(item.expr for item in order)]
        found = (one for expr in exprs for one in aggregates_in(expr, self.functions.aggregates))
        if node.group is not None or any(one.over is None for one in found):
            self.refuse("FETCH FIRST … WITH TIES of groups", node.at)
        return super()._tied(node, order, joined, limit)

    def query(self, node: ast.Query, scope: Scope) -> tuple[str, list[Output]]:
        if max(node.limit or 0, node.offset or 0) > MAX_LIMIT:
            self.refuse(f"LIMIT or OFFSET beyond {MAX_LIMIT}", node.at)
        return super().query(node, scope)

    def _brought_to(
        self,
        sql: str,
        outputs: Sequence[Output],
        kinds: Sequence[Type],
        at: int,
        *,
        is_compared: bool,
    ) -> str:
        """A column that is in there twice gets two names: Spark's optimizer confuses them."""
        found = super()._brought_to(sql, outputs, kinds, at, is_compared=is_compared)
        headings = [output.heading.lower() for output in outputs if output.heading]
        if len(set(headings)) == len(headings):
            return found
        alias, names = self.fresh("r"), numbered(outputs)
        columns = ", ".join(f"{alias}.c{number}" for number in range(1, len(outputs) + 1))
        return f"SELECT {columns} FROM ({found}) AS {alias}({names})"

    def _recursive_cte(self, cte: ast.Cte, scope: Scope, sql_name: str) -> str:
        body = cte.query.body
        if isinstance(body, ast.SetOperation) and not body.is_all:
            self.refuse("A recursive query with UNION (without ALL)", cte.at)
        return super()._recursive_cte(cte, scope, sql_name)

    # --- grouping by nothing ----------------------------------------------------------------

    def _select_in(
        self, node: ast.Select, order: Sequence[ast.SortItem], joined: Joined
    ) -> tuple[str, list[Output]]:
        """The grand total of no rows at all is a row for Trino, and none for Spark.

        So a row that is not there is grouped as well: aggregates pass it over (`_there`), and of
        the groups that consist of it the grand total alone is kept.
        """
        before, self._there = self._there, ""
        outer, self.groups_by_sets = self.groups_by_sets, _groups_by_sets(node.group)
        try:
            if not joined.sql or not _groups_by_nothing(node.group):
                return super()._select_in(node, order, joined)
            filled = self._never_empty(node, joined)
            scope = Scope(filled.columns + filled.hidden, self.scope.parent)
            with self.inside(scope):
                return super()._select_in(replace(node, where=None), order, filled)
        finally:
            self._there, self.groups_by_sets = before, outer

    def _never_empty(self, node: ast.Select, joined: Joined) -> Joined:
        mark = self.fresh("c")
        there, alias, one = f"{mark}_there", self.fresh("r"), self.fresh("r")
        named: list[list[Column]] = [[], []]
        items = [f"true AS {there}"]
        for found, columns in zip(named, (joined.columns, joined.hidden), strict=True):
            for column in columns:
                if column.type.name != t.UNSUPPORTED:
                    items.append(f"{column.sql} AS {mark}_{len(items)}")
                    column = replace(column, sql=f"{mark}_{len(items) - 1}")
                found.append(column)
        rows = f"SELECT {', '.join(items)} FROM {joined.sql}"
        if node.where is not None:
            rows += f" WHERE {self.condition(node.where, 'WHERE clause')}"
        self._there = there
        sql = f"(SELECT 1 AS {mark}_one) AS {one} LEFT JOIN ({rows}) AS {alias} ON true"
        return Joined(sql, *named)

    def _having(self, node: ast.Select, items: Sequence[tuple[Output, Typed]]) -> str:
        having = super()._having(node, items)
        if not node.group or all(group.kind == "simple" for group in node.group):
            return having
        found = (self._grouping_set(keys, items) for group in node.group for keys in group.sets)
        keys = {key for keys in found for key in keys}
        if node.having is not None and any(key in having for key in keys):
            self.refuse("HAVING with a key of ROLLUP, CUBE or GROUPING SETS", node.having.at)
        if not self._there or not keys:
            return having
        kept = f"(count({self._there}) > 0 OR grouping_id() = {2 ** len(keys) - 1})"
        return f"{having} AND {kept}" if having else kept

    # --- ORDER BY ---------------------------------------------------------------------------

    def _order_by(
        self,
        order: Sequence[ast.SortItem],
        items: Sequence[tuple[Output, Typed]],
        *,
        is_distinct: bool,
        by_value: bool = False,
    ) -> str:
        """Spark sorts by what a subquery says of a row only where that is selected as well."""
        for item in order:
            is_selected = self._output_number(item.expr, items) is not None
            if not is_selected and any(isinstance(one, _TESTS) for one in records(item.expr)):
                self.refuse("ORDER BY EXISTS, IN or a comparison with a subquery", item.at)
        return super()._order_by(order, items, is_distinct=is_distinct, by_value=by_value)

    # --- GROUP BY ---------------------------------------------------------------------------

    def _group_by(
        self, groups: Sequence[ast.Grouping], items: Sequence[tuple[Output, Typed]]
    ) -> str:
        """`GROUP BY ()` is one group of everything, which Spark has only among grouping sets."""
        if [group.sets for group in groups if group.kind == "simple"] == [[[]]]:
            return "GROUPING SETS (())"
        return super()._group_by(groups, items)

    def _grouping_set(
        self, keys: Sequence[ast.Expr], items: Sequence[tuple[Output, Typed]]
    ) -> list[str]:
        """A number would be the number of an output."""
        found = super()._grouping_set(keys, items)
        return [f"CAST({key} AS BIGINT)" if key.strip("()-").isdigit() else key for key in found]


def _groups_by_sets(groups: Sequence[ast.Grouping] | None) -> bool:
    return any(group.kind not in {"simple", "auto"} for group in groups or ())


def _groups_by_nothing(groups: Sequence[ast.Grouping] | None) -> bool:
    """Whether one of the grouping sets is empty."""
    if not groups:
        return False
    return all(group.kind in {"rollup", "cube"} or [] in group.sets for group in groups)

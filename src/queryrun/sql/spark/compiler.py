"""Trino's queries as Spark's SQL: what the compiler for DuckDB would write otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from queryrun.sql.compile import types as t
from queryrun.sql.compile.grouping import aggregates_in
from queryrun.sql.compile.queries import QueryCompiler
from queryrun.sql.compile.relations import Joined, columns_of, numbered
from queryrun.sql.compile.scope import Column, Output, Schema, Scope, TableColumn
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.spark.expressions import SparkExpressions
from queryrun.sql.spark.types import quoted
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.records.samples import Sampled

_ORDER_DOES_NOT_MATTER = frozenset(
    [
        "count", "count_if", "sum", "min", "max", "avg", "bool_and", "bool_or", "bit_and",
        "bit_or", "bit_xor", "approx_count_distinct", "stddev_samp", "stddev_pop", "var_samp",
        "var_pop", "max_by", "min_by", "any_value",
    ]
)  # fmt: skip
MAX_LIMIT = 2**31 - 1
_ROUND = 100
"""So many steps of a function with loops are taken before it is asked whether it is done."""


class SparkCompiler(SparkExpressions, QueryCompiler):
    """Compiles one statement against a schema. `table_names`: what Spark calls its tables."""

    def __init__(
        self, statement: str, zone: str, schema: Schema, table_names: Mapping[str, str]
    ) -> None:
        super().__init__(statement, zone, schema, "include")
        self.table_names = table_names
        self._there = ""
        """What is true in rows that are there, in a SELECT that groups one that is not."""

    def once(self, value: Typed, use: Callable[[Typed], Typed]) -> Typed:
        """Spark computes what is repeated once, but for values by chance: these get a name."""
        return super().once(value, use) if "rand(" in value.sql else use(value)

    def decided(self, op: str, terms: Sequence[str]) -> Typed:
        """Spark's own operators pass by what comes after a decisive term."""
        return Typed("(" + f" {op} ".join(terms) + ")", t.BOOLEAN)

    def bound(self, name: str, value: str, body: str) -> str:
        return f"transform(array({value}), {name} -> {body})[0]"

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

    def inline_rows(self, lines: Sequence[str]) -> str:
        """Spark computes no lambda in VALUES."""
        if not any(" -> " in line for line in lines):
            return super().inline_rows(lines)
        return " UNION ALL ".join(f"SELECT {line[1:-1]}" for line in lines)

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

    def _sampled(self, node: Sampled, outer: Scope) -> Joined:
        """Each row by chance: a sample comes before a relation's alias, and is of a query."""
        found = self.relation(node.relation, outer)
        if isinstance(node.relation, ast.Join):
            self.refuse("TABLESAMPLE of a join", node.at)
        alias = re.search(r" AS [\w`]+(\([\w, ]*\))?$", found.sql)
        if alias is None:
            self.refuse("TABLESAMPLE of such a relation", node.at)
        share = self._percentage(node.percentage)
        source = found.sql[: alias.start()]
        sample = f"(SELECT * FROM {source}) TABLESAMPLE ({float(share)} PERCENT)"
        found.sql = f"{sample}{alias[0]}"
        return found

    def matched(
        self,
        node: ast_patterns.Matched,
        outer: Scope,  # noqa: ARG002 - DuckDB's looks there
        alias: str,  # noqa: ARG002
        columns: Sequence[ast.Ident],  # noqa: ARG002
    ) -> Joined:
        self.refuse("MATCH_RECOGNIZE", node.at)

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

    def _json_table(
        self,
        node: ast_json.JsonTable,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        del outer, left, alias, columns
        self.refuse("JSON_TABLE", node.at)

    def _scan(self, key: str, table: Sequence[TableColumn], alias: str) -> str:  # noqa: ARG002
        return self.table_names.get(key) or quoted(key)

    # --- grouping by nothing ----------------------------------------------------------------

    def _select_in(
        self, node: ast.Select, order: Sequence[ast.SortItem], joined: Joined
    ) -> tuple[str, list[Output]]:
        """The grand total of no rows at all is a row for Trino, and none for Spark.

        So a row that is not there is grouped as well: aggregates pass it over (`_there`), and of
        the groups that consist of it the grand total alone is kept.
        """
        before, self._there = self._there, ""
        try:
            if not joined.sql or not _groups_by_nothing(node.group):
                return super()._select_in(node, order, joined)
            filled = self._never_empty(node, joined)
            scope = Scope(filled.columns + filled.hidden, self.scope.parent)
            with self.inside(scope):
                return super()._select_in(replace(node, where=None), order, filled)
        finally:
            self._there = before

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

    # --- UNNEST -----------------------------------------------------------------------------

    def _unnest(
        self,
        node: ast.Unnest,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        with self.inside(Scope(left.columns + left.hidden, outer)):
            values = [self.expr(arg) for arg in node.args]
        outputs: list[Output] = []
        items: list[str] = []
        for number, value in enumerate(values, 1):
            self._unnested(node, value, number, items, outputs)
        if node.with_ordinality:
            items.append("CAST(u_o + 1 AS BIGINT)")
            outputs.append(Output("", t.BIGINT))
        outputs = self._renamed(outputs, columns, node.at)
        zipped = ", ".join(_array_of(value) for value in values)
        rows = f"SELECT posexplode(arrays_zip({zipped})) AS (u_o, u_s)"
        sql_alias = self.fresh("r")
        sql = (
            f"LATERAL (SELECT {', '.join(items)} FROM ({rows})) AS {sql_alias}({numbered(outputs)})"
        )
        return Joined(sql, columns_of(outputs, sql_alias, alias))

    def _unnested(
        self, node: ast.Unnest, value: Typed, number: int, items: list[str], outputs: list[Output]
    ) -> None:
        here = f"u_s.`{number - 1}`"
        if value.type.name == "map":
            items += [f"{here}.key", f"{here}.value"]
            outputs += [Output("", part) for part in value.type.parts]
            return
        if value.type.name != "array":
            self.mismatch(f"Cannot unnest type: {value.type}", node.at)
        element = value.type.parts[0]
        if element.name != "row":
            items.append(here)
            outputs.append(Output("", element))
            return
        named = zip(element.parts, t.field_names(element), element.names, strict=True)
        for part, field, name in named:
            items.append(f"{here}.{quoted(field)}")
            outputs.append(Output(name, part))

    # --- aggregates and windows -------------------------------------------------------------

    def without_order(self, node: ast.Call) -> ast.Call:
        """The call for somebody who sees to the order himself."""
        return replace(node, order=None)

    def ranked(self, node: ast.Call, args: Sequence[str]) -> str:
        """A function that Spark wants an order for: any will do where none is given."""
        window = self._with_base(node.over) if node.over else None
        sql = self.aggregated(node, node.name, args)
        if window is not None and not window.order:
            return f"{sql[:-1].rstrip('(')}{' ' if window.partition else '('}ORDER BY NULL)"
        return sql

    def aggregated(
        self,
        node: ast.Call,
        function: str,
        args: Sequence[str],
        also_where: str = "",
        within: str = "",
    ) -> str:
        if node.over and (node.filter is not None or node.is_distinct):
            self.refuse("FILTER or DISTINCT together with OVER", node.at)
        if node.order and function not in _ORDER_DOES_NOT_MATTER:
            self.refuse(f"ORDER BY in {node.name}", node.at)
        sql = f"{function}({'DISTINCT ' if node.is_distinct else ''}{', '.join(args)}){within}"
        conditions = [also_where] if also_where else []
        if node.filter is not None:
            conditions.append(self.condition(node.filter, "FILTER"))
        if self._there and not node.over:
            conditions.append(self._there)
        if conditions:
            sql += f" FILTER (WHERE {' AND '.join(conditions)})"
        if node.nulls:
            sql += f" {node.nulls.upper()} NULLS"
        return sql + (f" OVER ({self.over(node.over)})" if node.over else "")

    def _frame(self, window: ast.Window, first: ast.Bound) -> str:
        if window.unit == "GROUPS":
            self.refuse("A window frame of GROUPS", window.at)
        bounds = [first, *([window.end] if window.end else [])]
        is_open = any(one.offset is None and one.direction != "CURRENT ROW" for one in bounds)
        if window.unit == "RANGE" and is_open and any(one.offset is not None for one in bounds):
            self.refuse("A RANGE of a number that is unbounded on the other side", window.at)
        return super()._frame(window, first)


def _groups_by_nothing(groups: Sequence[ast.Grouping] | None) -> bool:
    """Whether one of the grouping sets is empty."""
    if not groups:
        return False
    return all(group.kind in {"rollup", "cube"} or [] in group.sets for group in groups)


def _array_of(value: Typed) -> str:
    """What UNNEST goes through: entries of a map; nothing where there is NULL.

    `transform` makes it an expression without a name, and `arrays_zip` names fields by number.
    """
    if value.type.name == "map":
        return f"transform(coalesce(map_entries({value.sql}), array()), item -> item)"
    return f"transform(coalesce({value.sql}, array()), item -> item)"

"""What surrounds functions in Spark's SQL: arguments, SQL/JSON, aggregates, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from queryrun.sql.compile.functions import Handler
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark import (
    json_made,
    sql_json,
)
from queryrun.sql.spark.functions.plain import CANNOT_FAIL
from queryrun.sql.spark.spelling import SparkSpelling
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json

_ORDER_DOES_NOT_MATTER = frozenset(
    [
        "count", "count_if", "sum", "min", "max", "avg", "bool_and", "bool_or", "bit_and",
        "bit_or", "bit_xor", "approx_count_distinct", "stddev_samp", "stddev_pop", "var_samp",
        "var_pop", "max_by", "min_by", "any_value",
    ]
)  # fmt: skip
_RICHER_ON_DUCKDB = frozenset(
    [
        "array_max", "array_position", "array_remove", "array_sort", "avg", "ceil", "ceiling",
        "chr", "concat_ws", "contains", "current_date", "current_timestamp", "date_add",
        "date_diff", "date_trunc", "day", "floor", "format_number", "from_base", "from_base32",
        "from_base64", "from_base64url", "from_unixtime", "from_utf8", "greatest", "hmac_md5",
        "hmac_sha1", "hmac_sha256", "hmac_sha512", "hour", "human_readable_seconds",
        "json_array_contains", "json_format", "least", "localtimestamp", "map_concat", "max",
        "millisecond", "min", "minute", "month", "multimap_from_entries", "parse_data_size",
        "parse_presto_data_size", "rand", "random", "repeat", "round", "second", "sign",
        "split_to_map", "split_to_multimap", "sum", "truncate", "url_extract_parameter", "year",
    ]
)  # fmt: skip
"""Functions that take more types on DuckDB than here."""


class SparkCalls(SparkSpelling):
    """What surrounds the functions: what TRY takes, aggregates, windows."""

    _there = ""
    """What is true in rows that are there, in a SELECT that groups one that is not."""
    groups_by_sets = False
    """Whether the SELECT groups by ROLLUP, CUBE or GROUPING SETS."""

    def json_exists(self, node: ast_json.JsonExists) -> Typed:
        return sql_json.exists(self, node)

    def json_value(self, node: ast_json.JsonValue) -> Typed:
        return sql_json.value(self, node)

    def json_query(self, node: ast_json.JsonQuery) -> Typed:
        return sql_json.query(self, node)

    def json_made(self, node: ast_json.JsonMade) -> Typed:
        return json_made.made(self, node)

    def call(self, node: ast.Call) -> Typed:
        casts = {"date", "date_parse"}
        allowed = CANNOT_FAIL | casts | {"try", "if", "coalesce", "nullif", "element_at"}
        if not self.in_try:
            return super().call(node)
        if node.name in self.functions.names() and node.name not in allowed:
            self.refuse(f"TRY around {node.name}", node.at)
        before = self.excused
        found = super().call(node)
        if node.name in {"if", "coalesce", "nullif"} and self.excused != before:
            self.refuse(f"TRY around {node.name} of what may fail", node.at)
        return found

    def with_arguments_once(self, node: ast.Call, handler: Handler) -> Typed:
        """Each of Spark's handlers sees to it."""
        return handler(self, node)

    def wrong_arguments(self, node: ast.Call, args: Sequence[Typed]) -> NoReturn:
        """Where DuckDB has more overloads than Spark, what is lacking may be one of these."""
        if node.name in _RICHER_ON_DUCKDB:
            given = ", ".join(str(arg.type) for arg in args)
            self.refuse(f"Function {node.name}({given})", node.at)
        super().wrong_arguments(node, args)

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

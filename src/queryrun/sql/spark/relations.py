"""FROM in Spark's SQL: tables, VALUES and UNNEST."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from queryrun.sql.compile import types as t
from queryrun.sql.compile.joined import Joined, columns_of, numbered
from queryrun.sql.compile.scope import Output, Scope, TableColumn
from queryrun.sql.compile.typed import Typed
from queryrun.sql.spark.spelling import SparkSpelling
from queryrun.sql.spark.types import quoted
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.records.samples import Sampled


class SparkRelations(SparkSpelling):
    """Tables and what stands in FROM beside them."""

    table_names: Mapping[str, str]
    """What Spark calls the tables."""

    def scan(self, key: str, table: Sequence[TableColumn], alias: str) -> str:  # noqa: ARG002
        return self.table_names.get(key) or quoted(key)

    def inline_rows(self, lines: Sequence[str]) -> str:
        """Spark computes no lambda in VALUES."""
        if not any(" -> " in line for line in lines):
            return super().inline_rows(lines)
        return " UNION ALL ".join(f"SELECT {line[1:-1]}" for line in lines)

    def sampled(self, node: Sampled, outer: Scope) -> Joined:
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

    def json_table(
        self,
        node: ast_json.JsonTable,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        del outer, left, alias, columns
        self.refuse("JSON_TABLE", node.at)

    def unnest(
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


def _array_of(value: Typed) -> str:
    """What UNNEST goes through: entries of a map; nothing where there is NULL.

    `transform` makes it an expression without a name, and `arrays_zip` names fields by number.
    """
    if value.type.name == "map":
        return f"transform(coalesce(map_entries({value.sql}), array()), item -> item)"
    return f"transform(coalesce({value.sql}, array()), item -> item)"

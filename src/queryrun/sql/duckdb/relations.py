"""FROM in DuckDB's SQL: tables and the rows of them that are seen, UNNEST, JSON_TABLE, patterns."""

from __future__ import annotations

from collections.abc import Sequence

from queryrun.sql.compile import types as t
from queryrun.sql.compile.joined import Joined, columns_of, numbered
from queryrun.sql.compile.scope import (
    Output,
    Scope,
    TableColumn,
)
from queryrun.sql.compile.typed import Typed
from queryrun.sql.duckdb import sql_json
from queryrun.sql.duckdb.calls import DuckDBCalls
from queryrun.sql.duckdb.patterns import relation as patterns
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import json as ast_json
from queryrun.sql.trino.records import patterns as ast_patterns
from queryrun.sql.trino.records.samples import Sampled


class DuckDBRelations(DuckDBCalls):
    """Tables and what stands in FROM beside them."""

    def scan(self, key: str, table: Sequence[TableColumn], alias: str) -> str:
        """The table, without the rows that are not to be seen and with Trino's types."""
        converted = [c for c in table if c.is_converted and c.type is not None]
        condition = self._visible_rows(table, alias or key)
        if not converted and not condition:
            return self.quoted(key)
        items = "*"
        if converted:
            casts = ", ".join(
                f"CAST({self.quoted(c.name)} AS {self.type_name(c.type)}) AS {self.quoted(c.name)}"
                for c in converted
                if c.type is not None
            )
            items = f"* REPLACE ({casts})"
        return f"(SELECT {items} FROM {self.quoted(key)}{condition})"

    def _visible_rows(self, table: Sequence[TableColumn], known_as: str) -> str:
        """Selecting the mark of a table shows both kinds of its rows (contract F3)."""
        mark = next((c.name for c in table if c.marks_deleted and c.type == t.BOOLEAN), None)
        if mark is None or self.deleted == "include":
            return ""
        selected = self._selected[-1] if self._selected else set()
        if selected & {(None, mark.lower()), (known_as, mark.lower())}:
            return ""
        negation = "" if self.deleted == "only" else "NOT "
        return f" WHERE {negation}coalesce({self.quoted(mark)}, false)"

    def sampled(self, node: Sampled, outer: Scope) -> Joined:
        """Each row, or with SYSTEM each block of rows, by chance."""
        found = self.relation(node.relation, outer)
        if isinstance(node.relation, ast.Join):
            self.refuse("TABLESAMPLE of a join", node.at)
        share = self._percentage(node.percentage)
        found.sql += f" TABLESAMPLE {node.kind}({share} PERCENT)"
        return found

    def matched(
        self,
        node: ast_patterns.Matched,
        outer: Scope,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        """MATCH_RECOGNIZE."""
        source = self.relation(node.relation, outer)
        sql, outputs = patterns.compiled(self, node, source.sql, source.columns)
        renamed = self._renamed(outputs, columns, node.at)
        sql_alias = self.fresh("r")
        found = columns_of(renamed, sql_alias, alias)
        return Joined(f"({sql}) AS {sql_alias}({numbered(renamed)})", found)

    def json_table(
        self,
        node: ast_json.JsonTable,
        outer: Scope,
        left: Joined,
        alias: str,
        columns: Sequence[ast.Ident],
    ) -> Joined:
        with self.inside(Scope(left.columns + left.hidden, outer)):
            sql, outputs = sql_json.table(self, node)
        outputs = self._renamed(outputs, columns, node.at)
        sql_alias = self.fresh("r")
        found = columns_of(outputs, sql_alias, alias)
        return Joined(f"LATERAL ({sql}) AS {sql_alias}({numbered(outputs)})", found)

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
        inner: list[str] = []
        items: list[str] = []
        outputs: list[Output] = []
        for number, value in enumerate(values, 1):
            self._unnest_one(node, value, number, inner, items, outputs)
        if node.with_ordinality:
            lengths = ", ".join(f"coalesce({_length(value)}, 0)" for value in values)
            longest = f"greatest({lengths})" if len(values) > 1 else lengths
            inner.append(f"unnest(range(1, {longest} + 1)) AS o")
            items.append("o")
            outputs.append(Output("", t.BIGINT))
        sql_alias, rows = self.fresh("r"), self.fresh("u")
        outputs = self._renamed(outputs, columns, node.at)
        sql = (
            f"LATERAL (SELECT {', '.join(items)} FROM (SELECT {', '.join(inner)}) AS {rows}) "
            f"AS {sql_alias}({numbered(outputs)})"
        )
        return Joined(sql, columns_of(outputs, sql_alias, alias))

    def _unnest_one(
        self, node: ast.Unnest, value: Typed, number: int,
        inner: list[str], items: list[str], outputs: list[Output],
    ) -> None:  # fmt: skip
        here = f"v{number}"
        if value.type.name == "map":
            inner += [
                f"unnest(map_keys({value.sql})) AS {here}k",
                f"unnest(map_values({value.sql})) AS {here}v",
            ]
            items += [f"{here}k", f"{here}v"]
            outputs += [Output("", part) for part in value.type.parts]
            return
        if value.type.name != "array":
            self.mismatch(f"Cannot unnest type: {value.type}", node.at)
        element = value.type.parts[0]
        inner.append(f"unnest({value.sql}) AS {here}")
        if element.name != "row":
            items.append(here)
            outputs.append(Output("", element))
            return
        for index, (part, field_name) in enumerate(
            zip(element.parts, t.field_names(element), strict=True), 1
        ):
            items.append(
                f"{here}.{self.quoted(field_name)}" if any(element.names) else f"{here}[{index}]"
            )
            outputs.append(Output(element.names[index - 1], part))


def _length(value: Typed) -> str:
    function = "cardinality" if value.type.name == "map" else "len"
    return f"CAST({function}({value.sql}) AS BIGINT)"

"""How far the names in a statement may go: an entity's catalog and schema bound it.

Trino's own access rules are the defence behind this one (docs/how-to/trino.md); here it is held for
sources whose entities share a user.
"""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.errors import FailureCode
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import text
from queryrun.sql.trino.tokens import failure_at

_ABOUT_THE_ENGINE = "system"
"""The catalog with everyone's queries, sessions and nodes."""
INFORMATION = "information_schema"
_DESCRIBES_OUR_TABLES = {
    "tables": "table_schema",
    "columns": "table_schema",
    "schemata": "schema_name",
}


@dataclass(frozen=True, slots=True)
class NameScope:
    """What statements may name, by the endpoint's setting: `schema`, `catalog` or `all`.

    An endpoint without a schema, or without a catalog, has no limit there.
    """

    endpoint: TrinoEndpoint

    def condition(self, table: ast.Table, statement: str) -> str | None:
        """What restricts a description of the tables to our own; None: an ordinary table.

        Raises `RunFailed` (`not_allowed`) for what lies beyond.
        """
        self.check(table, statement)
        if _schema(table) != INFORMATION:
            return None
        column = _DESCRIBES_OUR_TABLES.get(table.parts[-1].key)
        if column is None:
            raise self._beyond(table, statement)
        return f"{column} = {text(self.schema)}" if self.schema else ""

    def check(self, table: ast.Table, statement: str) -> None:
        """Raise `RunFailed` (`not_allowed`) when the table lies beyond."""
        catalog, schema = _catalog(table), _schema(table)
        is_beyond = (
            (catalog or self.endpoint.catalog.lower()) == _ABOUT_THE_ENGINE
            or bool(catalog and self.catalog and catalog != self.catalog)
            or bool(schema and self.schema and schema not in {self.schema, INFORMATION})
        )
        if is_beyond or len(table.parts) > 3:
            raise self._beyond(table, statement)

    @property
    def catalog(self) -> str:
        """The one catalog that may be named; empty when any may."""
        return "" if self.endpoint.name_scope == "all" else self.endpoint.catalog.lower()

    @property
    def schema(self) -> str:
        """The one schema that may be named; empty when any may."""
        return self.endpoint.schema.lower() if self.endpoint.name_scope == "schema" else ""

    def _beyond(self, table: ast.Table, statement: str) -> Exception:
        path = ".".join(part.text for part in table.parts)
        message = f"Relation '{path}' is not allowed"
        return failure_at(FailureCode.NOT_ALLOWED, message, statement, table.at)


def _schema(table: ast.Table) -> str:
    return table.parts[-2].key if len(table.parts) > 1 else ""


def _catalog(table: ast.Table) -> str:
    return table.parts[-3].key if len(table.parts) > 2 else ""

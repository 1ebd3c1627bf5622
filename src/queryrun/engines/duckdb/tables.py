"""The tables that a DuckDB connection is offered: views over files, and what is in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from queryrun.engines.base import RowFilter
from queryrun.engines.directory import (
    TableFiles,
    quoted_name,
    quoted_text,
    tables_in,
    view_sql,
)
from queryrun.sql.trino.scope import TableColumn
from queryrun.sql.trino.types import from_duckdb

DELETED = "deleted"
"""The column that marks deleted rows (contract F3)."""
_VISIBLE = {
    "exclude": f"NOT coalesce({DELETED}, false)",
    "only": f"coalesce({DELETED}, false)",
}


class Tables:
    """One entity's tables as they are now: a directory's files, or an attached database's.

    A view costs a millisecond, and more for CSV, which DuckDB sniffs; so only what a statement
    names is offered.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        data_dir: Path | None,
        catalog: str,
        row_filter: RowFilter,
    ) -> None:
        self._connection = connection
        self._row_filter = row_filter
        self._catalog = catalog
        self._files: Mapping[str, TableFiles] | None = tables_in(data_dir) if data_dir else None
        self._names: list[str] | None = list(self._files) if self._files is not None else None

    def names(self) -> list[str]:
        """All tables, in lower case; empty when the engine cannot say."""
        if self._names is None:
            try:
                rows = self._connection.execute(
                    "SELECT table_name FROM duckdb_tables() UNION ALL "
                    "SELECT view_name FROM duckdb_views() WHERE NOT internal"
                ).fetchall()
            except duckdb.Error:
                return []
            self._names = [str(name).lower() for (name,) in rows]
        return self._names

    def offer(self, requested: Iterable[str]) -> None:
        """Make the tables of these names readable. Names without a table are passed over."""
        known = set(self.names()) if self._row_filter.is_by_org else set(self._files or ())
        for name in {name.lower() for name in requested} & known:
            self._create_view(name)

    def offer_all(self) -> None:
        """What cannot be read does not keep the others from being listed."""
        for name in self._files or ():
            with contextlib.suppress(duckdb.Error):
                self._create_view(name)

    def columns(self, name: str) -> list[TableColumn]:
        """The columns of a table that has been offered."""
        rows = self._connection.execute(f"DESCRIBE {quoted_name(name)}").fetchall()
        return [_column(str(column), str(kind)) for column, kind, *_ in rows]

    def schema(self, requested: Iterable[str]) -> dict[str, list[TableColumn]]:
        """All tables by name; those among `requested` are offered and have their columns."""
        known = self.names()
        found: dict[str, list[TableColumn]] = {name: [] for name in known}
        for name in sorted(set(requested) & set(known)):
            self.offer([name])
            found[name] = self.columns(name)
        return found

    def whole_schema(self) -> dict[str, list[TableColumn]]:
        """All tables with their columns; one that cannot be read has none."""
        found: dict[str, list[TableColumn]] = {name: [] for name in self.names()}
        for name in found:
            with contextlib.suppress(duckdb.Error):
                self.offer([name])
                found[name] = self.columns(name)
        return found

    def hide_deleted(self, requested: Iterable[str]) -> None:
        """Offer the tables that mark deleted rows without those that are not to be seen.

        A table that is named with its schema in front is not covered.
        """
        condition = _VISIBLE.get(self._row_filter.deleted_rows)
        if condition is None:
            return
        for name in sorted({name.lower() for name in requested} & set(self.names())):
            if any(c.name.lower() == DELETED and _is_boolean(c) for c in self.columns(name)):
                self._create_view(name, condition)

    def _create_view(self, name: str, condition: str = "") -> None:
        """The one way a table becomes readable: other orgs' rows kept out, `condition` held."""
        source = self._source(name)
        conditions = [part for part in (self._by_org(source), condition) if part]
        original_name = self._files[name].name if self._files is not None else name
        self._connection.execute(view_sql(original_name, source, " AND ".join(conditions)))

    def _by_org(self, source: str) -> str:
        """What keeps other orgs' rows out of a table, when it tells them apart at all."""
        if not self._row_filter.is_by_org:
            return ""
        described = self._connection.execute(f"DESCRIBE FROM {source}").fetchall()
        column = self._row_filter.org_column.lower()
        if column not in {str(name).lower() for name, *_ in described}:
            return ""
        ids = ", ".join(quoted_text(org) for org in self._row_filter.org_ids)
        return f"CAST({quoted_name(column)} AS VARCHAR) IN ({ids})"

    def _source(self, name: str) -> str:
        if self._files is not None:
            return self._files[name].source
        return f"{self._catalog}.main.{quoted_name(name)}"


def _is_boolean(column: TableColumn) -> bool:
    return column.engine_type == "BOOLEAN"


def _column(name: str, engine_type: str) -> TableColumn:
    found = from_duckdb(engine_type)
    if found is None:
        return TableColumn(name, None, engine_type=engine_type)
    kind, is_converted = found
    return TableColumn(name, kind, is_converted, engine_type)

"""The tables that a DuckDB connection is offered: views over files, and what is in them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from queryrun.engines.base import RowFilter, TableFacts
from queryrun.errors import RunFailed
from queryrun.sql.compile.scope import TableColumn
from queryrun.sql.duckdb.types import from_duckdb
from queryrun.tables.database_faults import problem_of_definition
from queryrun.tables.facts import describe_cost, known_rows
from queryrun.tables.formats import FORMATS
from queryrun.tables.model import displayed, table_key, unreadable
from queryrun.tables.relation import relation
from queryrun.tables.snapshot import Snapshot
from queryrun.tables.sql import quoted_name, quoted_text, view_sql
from queryrun.tables.types import readable

DELETED = "deleted"
"""The column that marks deleted rows in sources that say so (contract F3)."""
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
"""Ids that are equal to a number's text exactly when they are equal to the number."""
_TABLES_OF_DATABASE = (
    "SELECT table_name FROM duckdb_tables() WHERE database_name = $1 AND schema_name = 'main' "
    "UNION ALL SELECT view_name FROM duckdb_views() "
    "WHERE database_name = $1 AND schema_name = 'main' AND NOT internal"
)
"""Tables of other schemas are not listed: a statement cannot name them."""
_COLLATED = (
    "SELECT bool_or(contains(lower(sql), 'collate')) FROM (SELECT database_name, sql "
    "FROM duckdb_tables() UNION ALL SELECT database_name, sql FROM duckdb_views()) "
    "WHERE database_name = $1"
)
_VIEWS = "SELECT view_name FROM duckdb_views() WHERE database_name = $1 AND schema_name = 'main'"
_ABOUT_A_VIEW = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.NotSupportedError,
    duckdb.PermissionException,
    duckdb.SequenceException,
)
"""What describing a table of a database raises when its definition is to blame: nothing of the
machine's, nor of the file's."""
_TABLES_OF_OTHER_SCHEMAS = (
    "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 "
    "AND schema_name <> 'main' UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
    "WHERE database_name = $1 AND schema_name <> 'main' AND NOT internal"
)


@dataclass(frozen=True, slots=True)
class OfferedTable:
    """A table that a statement may read: what is behind its view."""

    name: str
    """As the statement spells it."""
    source: str
    """SQL that can stand after FROM, with all rows."""
    columns: Sequence[str]
    condition: str
    """Which rows may be seen; empty for all."""

    @property
    def key(self) -> str:
        """What tells it from others."""
        return table_key(self.name)


class Tables:
    """One entity's tables as they are now: a directory's files, or an attached database's.

    A view costs a millisecond, and more for text files; so only what a statement names is offered.
    A view's name is the name as the statement spells it: DuckDB folds the case of ASCII alone.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        snapshot: Snapshot | None,
        catalog: str,
        row_filter: RowFilter,
    ) -> None:
        self._connection = connection
        self._row_filter = row_filter
        self._catalog = catalog
        self._snapshot = snapshot
        self._names = snapshot.directory.candidates() if snapshot else None
        self._in_main: dict[str, list[str]] = {}
        """A database's own spellings, by `table_key`; DuckDB folds the case of ASCII alone."""
        self._sources: dict[str, str] = {}
        self._offered: dict[str, OfferedTable] = {}
        self._views: dict[str, OfferedTable] = {}
        """What the connection has, by the name as DuckDB compares it."""
        self._described: dict[str, list[TableColumn]] = {}
        """The columns of views."""

    @property
    def offered(self) -> Sequence[OfferedTable]:
        """What has been offered so far."""
        return list(self._offered.values())

    def serves(self, row_filter: RowFilter) -> bool:
        """Begin a further statement on the same connection, when all that has been read is still as
        it was. False otherwise: then `drop_views`, and make another."""
        snapshot = self._snapshot
        if snapshot is None or row_filter.is_by_org or row_filter != self._row_filter:
            return False
        if not (snapshot.is_keepable() and snapshot.is_current()):
            return False
        self._names, self._offered = snapshot.directory.candidates(), {}
        return True

    def drop_views(self) -> None:
        """Leave the connection as it was."""
        for table in self._views.values():
            self._connection.execute(f"DROP VIEW IF EXISTS temp.main.{quoted_name(table.name)}")
        self._views = {}

    def names(self) -> list[str]:
        """All names that may be tables, in lower case; empty when the engine cannot say."""
        if self._names is None:
            try:
                rows = self._connection.execute(_TABLES_OF_DATABASE, [self._catalog]).fetchall()
            except duckdb.Error:
                return []
            for (name,) in rows:
                self._in_main.setdefault(table_key(str(name)), []).append(str(name))
            self._names = list(self._in_main)
        return self._names

    def of_other_schemas(self) -> list[tuple[str, str]]:
        """Tables and views of a database that are not in `main`: schema and name."""
        try:
            return [
                (str(schema), str(name))
                for schema, name in self._connection.execute(
                    _TABLES_OF_OTHER_SCHEMAS, [self._catalog]
                ).fetchall()
            ]
        except duckdb.Error:
            return []

    def views_among(self, names: Collection[str]) -> list[str]:
        """Those of these names that are views of the database; none of a directory's tables."""
        if self._snapshot is not None:
            return []
        rows = self._connection.execute(_VIEWS, [self._catalog]).fetchall()
        keys = set(map(table_key, names))
        return [str(name) for (name,) in rows if table_key(str(name)) in keys]

    def listed(self) -> list[str]:
        """All tables, in lower case: `names` without directories that hold no data."""
        if self._snapshot is None:
            return self.names()
        return [table_key(table.name) for table in self._snapshot.directory.tables()]

    def cost(self, name: str) -> int:
        """How long a description of the table may take, for comparison."""
        table = self._snapshot.directory.find(name) if self._snapshot else None
        return describe_cost(table) if table else 0

    def facts(self, name: str) -> TableFacts:
        """What is known of the table's data, of files whose description did not fail too."""
        table = self._snapshot.directory.find(name) if self._snapshot else None
        if self._snapshot is None or table is None:
            return TableFacts()
        found = TableFacts(table.format, warnings=table.warnings)
        with contextlib.suppress(RunFailed):
            pinned = self._snapshot.table(name)
            found = replace(
                found,
                files=len(pinned.files),
                size_bytes=sum(file.identity.size_bytes for file in pinned.files),
                rows=known_rows(self._connection, pinned),
                version=pinned.version,
            )
        return found

    def offer(self, requested: Iterable[str]) -> None:
        """Make the tables of these names readable. Names without a table are passed over."""
        known = set(self.names())
        for name in sorted(set(requested)):
            if table_key(name) in known and self._needs_view(name):
                self._create_view(name)

    def _needs_view(self, name: str) -> bool:
        """A table of a database is readable as it is, unless rows or types are to be changed."""
        if self._snapshot is not None or self._row_filter.is_by_org:
            return True
        return self._source(name) != self._in_database(name)

    def offer_all(self) -> None:
        """What cannot be read does not keep the others from being listed."""
        for table in self._snapshot.directory.tables() if self._snapshot else ():
            with contextlib.suppress(duckdb.Error, RunFailed):
                self._create_view(table.name)

    def text_kinds(self, name: str) -> Mapping[str, str]:
        """How the columns of a table of text files are read (`tables.text.read.text_kinds`)."""
        snapshot = self._snapshot.table(name) if self._snapshot else None
        if snapshot is None or not FORMATS[snapshot.table.format].is_text:
            return {}
        from queryrun.tables.text.read import text_kinds  # its libraries start threads

        return text_kinds(snapshot)

    def columns(self, name: str) -> list[TableColumn]:
        """The columns of a table that has been offered."""
        key = _ascii_lower(name)
        if key in self._described:
            return self._described[key]
        rows = self._connection.execute(f"DESCRIBE {quoted_name(name)}").fetchall()
        mark = self._deleted_column(name)
        found = [_column(str(column), str(kind), mark) for column, kind, *_ in rows]
        self._require_mark(name, found)
        if key in self._views:
            self._described[key] = found
        return found

    def _require_mark(self, name: str, columns: Sequence[TableColumn]) -> None:
        """A mark that a definition names and no column is would show every deleted row."""
        table = self._snapshot.directory.find(name) if self._snapshot else None
        if table is None or not table.deleted_column:
            return
        if not any(column.marks_deleted and _is_boolean(column) for column in columns):
            mark = displayed(table.deleted_column)
            problem = f"tables.toml says deleted = '{mark}', and it has no boolean column '{mark}'"
            raise unreadable(table.name, problem)

    def schema(self, requested: Iterable[str]) -> dict[str, list[TableColumn]]:
        """All tables by name; those among `requested` are offered and have their columns."""
        known = self.names()
        found: dict[str, list[TableColumn]] = {name: [] for name in known}
        for name in sorted(set(requested) & set(known)):
            if self._exists(name):
                self.offer([name])
                found[name] = self.columns(name)
            else:
                del found[name]
        return found

    def whole_schema(self) -> dict[str, list[TableColumn]]:
        """All tables with their columns; one that cannot be read has none."""
        found: dict[str, list[TableColumn]] = {name: [] for name in self.listed()}
        for name in found:
            with contextlib.suppress(duckdb.Error, RunFailed):
                self.offer([name])
                found[name] = self.columns(name)
        return found

    def hide_deleted(self, requested: Iterable[str], selected: Collection[str]) -> None:
        """Offer the tables that mark deleted rows without those that are not to be seen.

        A statement that names the mark, among the columns `selected`, sees both kinds. A table
        that is named with its schema in front is not covered.
        """
        if self._row_filter.deleted_rows == "include":
            return
        known = set(self.names())
        negation = "" if self._row_filter.deleted_rows == "only" else "NOT "
        for name in sorted({name for name in requested if table_key(name) in known}):
            mark = self._deleted_column(name)
            if not mark or mark in selected:
                continue
            if any(c.marks_deleted and _is_boolean(c) for c in self.columns(name)):
                self._create_view(name, f"{negation}coalesce({quoted_name(mark)}, false)")

    def _deleted_column(self, name: str) -> str:
        """The column that marks deleted rows of a table, in lower case; empty for none."""
        table = self._snapshot.directory.find(name) if self._snapshot else None
        defined = table.deleted_column.lower() if table else ""
        return defined or (DELETED if self._row_filter.marks_deleted else "")

    def _create_view(self, name: str, condition: str = "") -> None:
        """The one way a table becomes readable: other orgs' rows kept out, `condition` held."""
        source = self._source(name)
        by_org, columns = "", []
        if self._row_filter.is_by_org:
            described = self._connection.execute(f"DESCRIBE FROM {source}").fetchall()
            columns = [str(column) for column, *_ in described]
            by_org = self._by_org({str(one).lower(): str(kind) for one, kind, *_ in described})
        conditions = " AND ".join(part for part in (by_org, condition) if part)
        key, table = _ascii_lower(name), OfferedTable(name, source, columns, conditions)
        if self._views.get(key) != table:
            self._connection.execute(view_sql(name, source, conditions))
            self._views[key] = table
            self._described.pop(key, None)
        self._offered[key] = table

    def _exists(self, name: str) -> bool:
        return self._snapshot is None or self._snapshot.directory.find(name) is not None

    def _by_org(self, types: Mapping[str, str]) -> str:
        """What keeps other orgs' rows out of a table, when it tells them apart at all.

        Numbers are compared as numbers, so that files are pruned by them.
        """
        column = self._row_filter.org_column.lower()
        if column not in types:
            return ""
        ids, is_number = self._row_filter.org_ids, types[column] in _INTEGERS
        if is_number:
            ids = tuple(org for org in ids if _INTEGER.fullmatch(org))
        if not ids:
            return "false"
        listed = ", ".join(ids if is_number else map(quoted_text, ids))
        column_name = quoted_name(column)
        return f"{column_name if is_number else f'CAST({column_name} AS VARCHAR)'} IN ({listed})"

    def _source(self, name: str) -> str:
        """Made once per table: two names of it read the same snapshot."""
        if self._snapshot is None:
            return self._source_in_database(name)
        key = table_key(name)
        if key not in self._sources:
            self._sources[key] = relation(self._connection, self._snapshot.table(name))
        return self._sources[key]

    def _in_database(self, name: str) -> str:
        return f"{self._catalog}.main.{quoted_name(name)}"

    def _stored_name(self, name: str) -> str:
        """The database's spelling of a name; the name itself where several could be meant."""
        self.names()
        spellings = self._in_main.get(table_key(name), [])
        is_known = _ascii_lower(name) in map(_ascii_lower, spellings)
        return spellings[0] if len(spellings) == 1 and not is_known else name

    def _source_in_database(self, name: str) -> str:
        """Types that only DuckDB has are converted as those of files are."""
        source = self._in_database(self._stored_name(name))
        try:
            return readable(self._connection, name, source, collated=self._has_collations())
        except _ABOUT_A_VIEW as error:
            raise unreadable(name, problem_of_definition(str(error))) from error

    def _has_collations(self) -> bool:
        """Only what made the tables says so. Views may hand on the collations of any table."""
        if self._is_collated is None:
            found = self._connection.execute(_COLLATED, [self._catalog]).fetchall()
            self._is_collated = bool(found[0][0])
        return self._is_collated

    _is_collated: bool | None = None


def _ascii_lower(name: str) -> str:
    """As DuckDB compares names."""
    return "".join(c.lower() if c.isascii() else c for c in name)


def _is_boolean(column: TableColumn) -> bool:
    return column.engine_type == "BOOLEAN"


def _column(name: str, engine_type: str, mark: str) -> TableColumn:
    kind, is_converted = from_duckdb(engine_type) or (None, False)
    return TableColumn(name, kind, is_converted, engine_type, name.lower() == mark)

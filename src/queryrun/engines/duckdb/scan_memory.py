"""What a planning process remembers from one statement to the next, of one entity's files.

The ends of Parquet files, by the identity of each file: a file that anybody has written to is
looked at anew. And the calls in the tables' views, their columns and the marked views, by which a
plan tells which files a scan is of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from queryrun.engines.duckdb.parquet_calls import (
    ParquetCall,
    marked,
    of_first_files,
    parquet_calls,
)
from queryrun.engines.duckdb.tables import OfferedTable
from queryrun.tables.identity import FileIdentity
from queryrun.tables.sql import quoted_name, view_sql

MAX_FILES = 1_000
"""Of one scan whose ends are remembered; of more they are read every time."""
MAX_CHUNKS = 100_000
"""Columns of row groups that are remembered, of all files together: some 20 MB."""
_COLUMNS = (
    "row_group_id, row_group_num_rows, path_in_schema, total_compressed_size, "
    "stats_min_value, stats_max_value, stats_null_count, num_values"
)
_TABLE = """CREATE OR REPLACE TEMP TABLE chunks (
    file BIGINT, row_group_id BIGINT, row_group_num_rows BIGINT, path_in_schema VARCHAR,
    total_compressed_size BIGINT, stats_min_value VARCHAR, stats_max_value VARCHAR,
    stats_null_count BIGINT, num_values BIGINT)"""


_ROWS = """SELECT file, sum(row_group_num_rows)::BIGINT FROM (
    SELECT DISTINCT file, row_group_id, row_group_num_rows FROM chunks WHERE file >= $1
) GROUP BY file"""
_SIZES = """SELECT file, list(path ORDER BY path), list(size ORDER BY path) FROM (
    SELECT file, lower(path_in_schema) AS path,
        coalesce(sum(total_compressed_size), 0)::BIGINT AS size
    FROM chunks WHERE file >= $1 GROUP BY ALL
) GROUP BY file"""


@dataclass(frozen=True, slots=True)
class WholeFile:
    """The sums over all row groups of a file that has any."""

    rows: int
    paths: tuple[str, ...]
    """Of the columns and their fields, in lower case."""
    sizes_bytes: tuple[int, ...]
    """One for each path."""


class RememberedEnds:
    """The row groups of files, in a temporary table of a connection of its own: no statement of
    anybody's sees it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._numbers: dict[FileIdentity, int] = {}
        self._types: dict[FileIdentity, Mapping[str, str]] = {}
        self._too_large: set[FileIdentity] = set()
        self._whole: dict[int, WholeFile] = {}
        self._layouts: dict[tuple[str, ...], tuple[str, ...]] = {}
        """Equal files share one."""
        self._next, self._chunks = 0, 0
        connection.execute(_TABLE)

    def numbers_of(self, files: Mapping[str, FileIdentity]) -> Mapping[str, int] | None:
        """What `file` is in the table `chunks` for each path, once their ends have been read.

        None when there are too many to be remembered. Raises `duckdb.Error`.
        """
        if len(files) > MAX_FILES or not self._too_large.isdisjoint(files.values()):
            return None
        unknown = {one: path for path, one in files.items() if one not in self._numbers}
        if unknown and not self._read(unknown):
            self._forget()
            if not self._read({one: path for path, one in files.items()}):
                self._forget()
                self._too_large = set(files.values())
                return None
        return {path: self._numbers[one] for path, one in files.items()}

    def whole_file(self, number: int) -> WholeFile | None:
        """The sums of a file by its number in `chunks`; None when it has no row group."""
        return self._whole.get(number)

    def types_of(self, file: FileIdentity | None) -> Mapping[str, str] | None:
        """The file's columns; None when they are not known."""
        return None if file is None else self._types.get(file)

    def note_types(self, file: FileIdentity | None, types: Mapping[str, str]) -> None:
        """Remember a file's columns."""
        if file is not None:
            if len(self._types) >= MAX_FILES:
                self._types.clear()
            self._types[file] = types

    def _read(self, files: Mapping[FileIdentity, str]) -> bool:
        """False when there is no room for all of it: then `_forget`, part of it may be there."""
        room, paths = MAX_CHUNKS - self._chunks, list(files.values())
        row = self.connection.execute(
            f"INSERT INTO chunks SELECT list_position($1, file_name) - 1 + $2, {_COLUMNS} "
            f"FROM parquet_metadata($1) LIMIT {room + 1}",
            [paths, self._next],
        ).fetchone()
        self._chunks += int(row[0]) if row else 0
        self._add_up(self._next)
        self._numbers |= {one: self._next + index for index, one in enumerate(files)}
        self._next += len(files)
        return self._chunks <= MAX_CHUNKS

    def _add_up(self, first: int) -> None:
        rows = dict(self.connection.execute(_ROWS, [first]).fetchall())
        for file, listed, sizes in self.connection.execute(_SIZES, [first]).fetchall():
            paths = tuple(listed)
            paths = self._layouts.setdefault(paths, paths)
            self._whole[file] = WholeFile(rows[file], paths, tuple(sizes))

    def _forget(self) -> None:
        self.connection.execute(_TABLE)
        self._numbers.clear()
        self._whole.clear()
        self._layouts.clear()
        self._chunks = 0


class KnownCalls:
    """The calls in the tables' views, and their columns: read once, as long as `files` are the
    same."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, list[ParquetCall]]] = {}
        self._columns: dict[str, frozenset[str]] = {}
        self._files: object = None

    def begin(self, files: object) -> None:
        """A statement. Other `files`: what a path stands for may have changed."""
        if files is None or files is not self._files:
            self._found, self._columns, self._files = {}, {}, files

    def of(self, table: OfferedTable) -> list[ParquetCall]:
        """The calls of a table's view."""
        source, calls = self._found.get(table.key, ("", []))
        if source != table.source:
            calls = parquet_calls(table.source)
            self._found[table.key] = table.source, calls
        return calls

    def columns(self, call: ParquetCall, connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
        """All columns that a scan of the call may have, in lower case. Raises `duckdb.Error`."""
        if call.text not in self._columns:
            rows = connection.execute(f"DESCRIBE FROM {call.text}").fetchall()
            self._columns[call.text] = frozenset(str(name).lower() for name, *_ in rows)
        return self._columns[call.text]


class NarrowViews:
    """The tables' views on a connection of their own, over the first file of each call: who only
    wants a statement's columns need not bind all files."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, calls: KnownCalls) -> None:
        self._connection = connection
        self._calls = calls
        self._made: dict[str, OfferedTable] = {}
        self._files: object = None

    def connection(
        self, files: object, tables: Iterable[OfferedTable]
    ) -> duckdb.DuckDBPyConnection | None:
        """Where these tables can be described; None when all of them are of one file. `files` as in
        `KnownCalls.begin`."""
        self._calls.begin(files)
        if files is not self._files:
            self._drop()
            self._files = files
        named = [(table, self._calls.of(table)) for table in tables]
        if all(len(call.paths) == 1 for _, calls in named for call in calls):
            return None
        for table, calls in named:
            if self._made.get(table.name) != table:
                source = of_first_files(table.source, calls)
                self._connection.execute(view_sql(table.name, source, table.condition))
                self._made[table.name] = table
        return self._connection

    def _drop(self) -> None:
        for name in self._made:
            self._connection.execute(f"DROP VIEW IF EXISTS temp.main.{quoted_name(name)}")
        self._made.clear()


class MarkedViews:
    """The tables' views on a connection of their own, each call in them marked with a number."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._made: dict[str, tuple[OfferedTable, int]] = {}
        self._next = 0
        self._files: object = None

    def of(
        self, files: object, tables: Iterable[tuple[OfferedTable, Sequence[ParquetCall]]]
    ) -> dict[str, int]:
        """Make the views that are not there yet; returns the first mark in each, by table.

        `files`: another object when what a path stands for may have changed.
        """
        if files is not self._files:
            self._made, self._files = {}, files
        return {table.key: self._first_mark(table, calls) for table, calls in tables}

    def _first_mark(self, table: OfferedTable, calls: Sequence[ParquetCall]) -> int:
        made = self._made.get(table.key)
        if made is None or made[0] != table:
            source = marked(table.source, calls, self._next)
            self.connection.execute(view_sql(table.name, source, table.condition))
            made = self._made[table.key] = (table, self._next)
            self._next += len(calls)
        return made[1]

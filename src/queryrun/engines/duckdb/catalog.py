"""The tables of an embedded source: the same that its statements see."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from queryrun.engines.base import ColumnInfo, EngineLimits, TableFacts
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.engines.duckdb.tables import Tables
from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.information import described
from queryrun.sql.compile.types import signature
from queryrun.tables.faults import ABOUT_DATA

MEMORY_BYTES = 256 * 1024**2
"""Of DuckDB's own: it reads the ends of Parquet files and the beginnings of others."""


def open_catalog(
    options: Mapping[str, str],
    secret: str | None = None,  # noqa: ARG001 - files need no secret
) -> DuckDBCatalog:
    """The tables of one entity's data, in the sandbox that its statements have.

    `options` are `duckdb.open_session`'s. Raises `RunFailed` when the data is not there.
    """
    limits = EngineLimits(MEMORY_BYTES, threads=1, spill_dir="", spill_bytes=0)
    return DuckDBCatalog(open_session(options, limits))


class DuckDBCatalog:
    """Tables of a directory's files, or of an attached database (`base.Catalog`)."""

    def __init__(self, session: DuckDBSession) -> None:
        self._session = session
        self._tables: Tables = session.offered()

    def tables(self) -> list[str]:
        """All of them; of files those first of which little has to be read."""
        return sorted(self._tables.listed(), key=lambda name: (self._tables.cost(name), name))

    def columns(self, name: str) -> list[ColumnInfo] | None:
        """Read from the files: a millisecond for Parquet, more for formats that are sniffed."""
        key = name.lower()
        if key not in self._tables.names():
            return None
        try:
            self._tables.offer([key])
            columns = self._tables.columns(key)
        except duckdb.Error as error:
            raise self._failure_of(error) from error
        return [ColumnInfo(*row) for row in described(columns, signature)]

    def _failure_of(self, error: duckdb.Error) -> RunFailed:
        """The sentence that a run on the table ends with, which names the file at fault."""
        failure = self._session.failure_of(error)
        if isinstance(failure, RunFailed) and failure.failure.code in ABOUT_DATA:
            return failure
        return RunFailed.of(FailureCode.DATA_UNREADABLE, "The table's data cannot be read")

    def facts(self, name: str) -> TableFacts:
        """Of files; nothing of a database's tables. Closes the files of the table."""
        try:
            return self._tables.facts(name.lower())
        finally:
            self._session.release_files()

    def close(self) -> None:
        """Close the session."""
        self._session.close()

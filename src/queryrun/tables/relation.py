"""A snapshot of a table as SQL."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from duckdb import DuckDBPyConnection

from queryrun.tables.formats import FORMATS
from queryrun.tables.snapshot import TableSnapshot


class Reader(Protocol):
    """Reads one format (`formats.FileFormat.reader`)."""

    def __call__(self, connection: DuckDBPyConnection, table: TableSnapshot, /) -> str:
        """As `relation`."""
        ...


def relation(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """SQL that can stand after FROM and has the rows of exactly this snapshot.

    Raises `RunFailed` that names the table, and the file where one is to blame, or
    `duckdb.Error` that means one of `table.paths`.
    """
    module, _, function = FORMATS[table.table.format].reader.partition(":")
    read: Reader = getattr(import_module(module), function)
    return read(connection, table)

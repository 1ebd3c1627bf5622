"""Text files as a relation: CSV, TSV and JSON."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from queryrun.tables.model import unreadable
from queryrun.tables.partitions import partitioned
from queryrun.tables.snapshot import SnapshotFile, TableSnapshot
from queryrun.tables.sql import quoted_text, text_list


def read_csv(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """All files of the snapshot (`relation.Reader`)."""
    return _read("read_csv", "", connection, table)


def read_tsv(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """As CSV, with tabs between values."""
    return _read("read_csv", ", delim='\t'", connection, table)


def read_json(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """One value per line, or one array per file."""
    return _read("read_json", "", connection, table)


def _read(reader: str, more: str, connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    files = _with_content(table)
    compressions = {file.found.compression for file in files}
    if len(compressions) > 1:
        raise unreadable(table.table.name, "its files are compressed in different ways")
    compression = quoted_text(compressions.pop() or "none")

    def relation(paths: list[str], options: str) -> str:
        union = ", union_by_name=true" if len(paths) > 1 else ""
        return f"{reader}({text_list(paths)}, compression={compression}{more}{union}{options})"

    return partitioned(connection, table, [file.read_path for file in files], relation)


def _with_content(table: TableSnapshot) -> list[SnapshotFile]:
    """An empty file among others has no rows and adds no column."""
    files = [file for file in table.files if file.identity.size_bytes]
    if not files:
        raise unreadable(table.table.name, "its file is empty, so it has no columns")
    return files

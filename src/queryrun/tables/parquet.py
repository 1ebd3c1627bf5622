"""Parquet files as a relation."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from queryrun.tables.partitions import partitioned
from queryrun.tables.snapshot import TableSnapshot
from queryrun.tables.sql import text_list


def read_parquet(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """All files of the snapshot, columns matched by name (`relation.Reader`)."""

    def relation(paths: list[str], options: str) -> str:
        union = ", union_by_name=true" if len(paths) > 1 else ""
        return f"read_parquet({text_list(paths)}{union}{options})"

    return partitioned(connection, table, table.paths, relation)

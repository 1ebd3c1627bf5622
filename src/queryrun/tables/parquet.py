"""Parquet files as a relation."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from queryrun.tables.partitions import partitioned
from queryrun.tables.snapshot import TableSnapshot
from queryrun.tables.sql import text_list
from queryrun.tables.types import MAX_DIGITS, readable


def read_parquet(connection: DuckDBPyConnection, table: TableSnapshot) -> str:
    """All files of the snapshot, columns matched by name (`relation.Reader`)."""

    def relation(paths: list[str], options: str) -> str:
        union = ", union_by_name=true" if len(paths) > 1 else ""
        return f"read_parquet({text_list(paths)}{union}{options})"

    made = partitioned(connection, table, table.paths, relation)
    name, paths = table.table.name, table.paths
    described = relation(paths if len(paths) <= MAX_DESCRIBED_FILES else paths[:1], "")
    return readable(connection, name, made, described, _too_wide(connection, paths[0]))


MAX_DESCRIBED_FILES = 64
"""With more, the first one says which columns need a conversion."""
_WIDE = "its decimals have more than 38 digits; write it as a decimal(38, …), a double or a text"


def _too_wide(connection: DuckDBPyConnection, path: str) -> dict[str, str]:
    """Columns with decimals that the engine would read as doubles, losing digits."""
    rows = connection.execute(
        "SELECT name, coalesce(num_children, 0), precision "
        f"FROM parquet_schema({text_list([path])})"
    ).fetchall()
    found = {}
    column, left = "", 0
    for name, children, precision in rows[1:]:
        if left == 0:
            column, left = str(name), 1
        left += int(children) - 1
        if precision is not None and int(precision) > MAX_DIGITS:
            found[column] = _WIDE
    return found

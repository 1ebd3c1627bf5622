"""What is known of a table's data without reading it."""

from __future__ import annotations

import os

import duckdb

from queryrun.tables.formats import FORMATS
from queryrun.tables.model import Table
from queryrun.tables.snapshot import TableSnapshot

MAX_COUNTED_FILES = 1_000
"""Parquet files whose ends are read to count a table's rows; with more the number stays unknown."""


def describe_cost(table: Table) -> int:
    """How long a description may take, for comparison: the bytes of text that have to be read.

    Parquet says its types at its end, and what cannot be read is quick to say.
    """
    if table.problem:
        return 0
    if not FORMATS[table.format].is_text:
        return len(table.files)
    return sum(_size(file.path) for file in table.files)


def known_rows(connection: duckdb.DuckDBPyConnection, table: TableSnapshot) -> int | None:
    """The number of rows where a log or the ends of the files say it; None where nothing does."""
    if table.table.plan is not None:
        return table.table.plan.rows
    if table.table.format != "parquet" or len(table.files) > MAX_COUNTED_FILES:
        return None
    try:
        counted = connection.execute(
            "SELECT sum(num_rows) FROM parquet_file_metadata($1)", [table.paths]
        ).fetchone()
    except duckdb.Error:
        return None
    return int(counted[0]) if counted and counted[0] is not None else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0

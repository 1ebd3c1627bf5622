"""Writing results to files without a worker: a bare DuckDB connection, or the whole pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from queryrun.engines.base import Column
from queryrun.results.encode import FileLayout, copy_sql, select_sql

Write = Callable[[str, FileLayout], bytes]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """One connection for a module's tests."""
    with duckdb.connect(":memory:") as connection:
        yield connection


@pytest.fixture
def write(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Write:
    """Writes the rows of a statement to a file and gives its bytes."""

    def write_one(statement: str, form: FileLayout) -> bytes:
        connection.execute(f"SET TimeZone = '{form.time_zone}'")
        described = connection.execute(f"DESCRIBE FROM ({statement})").fetchall()
        columns = [Column(str(name), str(kind)) for name, kind, *_ in described]
        path = tmp_path / "result"
        query = select_sql(statement, columns, form)
        connection.execute(copy_sql(query, form, str(path)).text)
        return path.read_bytes()

    return write_one

"""Sample data written once for the tests that only read it, and a connection to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from queryrun.demo import TABLES, SampleData, write_sample_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleData:
    """A hundred accounts and all flights."""
    return write_sample_data(tmp_path_factory.mktemp("sample"), factor=0.1)


@pytest.fixture
def tables(sample: SampleData) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with one view per sample table."""
    with open_tables(sample.directory) as connection:
        yield connection


def open_tables(directory: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection with one view per file that `write_sample_data` left in `directory`."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        connection.read_parquet(str(directory / f"{table}.parquet")).create_view(table)
    return connection

"""Parquet files and Arrow streams read back with pyarrow: every value, and its type."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queryrun.results.arrow import arrow_stream, batches_of
from queryrun.results.count import BatchCounter
from queryrun.results.encode import FileLayout
from queryrun.results.formats import ContentType
from tests.unit.results.conftest import Write

TYPES = {
    "s": "VARCHAR",
    "i": "BIGINT",
    "d": "DECIMAL(38,9)",
    "f": "DOUBLE",
    "b": "BOOLEAN",
    "day": "DATE",
    "moment": "TIMESTAMPTZ",
    "raw": "BLOB",
    "list": "INTEGER[]",
}
ARROW_TYPES = [
    pyarrow.string(),
    pyarrow.int64(),
    pyarrow.decimal128(38, 9),
    pyarrow.float64(),
    pyarrow.bool_(),
    pyarrow.date32(),
    pyarrow.timestamp("us", "UTC"),
    pyarrow.binary(),
]
ROWS = st.lists(
    st.tuples(
        st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.decimals("-1e28", "1e28", places=9),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.booleans(),
        st.none() | st.dates(),
        st.none()
        | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
        st.none() | st.binary(),
        st.none() | st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=3),
    ),
    max_size=6,
)
quickly = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def utc() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in UTC."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def fill(connection: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]]) -> str:
    """A table of these rows; the statement that reads it."""
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE t ({columns})")
    for row in rows:
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' for _ in row)})", row)
    return "SELECT * FROM t ORDER BY rowid"


def assert_same(table: Any, rows: list[tuple[Any, ...]]) -> None:
    """The table has these rows, and the types that the columns have."""
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert list(table.schema.types)[: len(ARROW_TYPES)] == ARROW_TYPES


@quickly
@given(rows=ROWS)
def test_an_arrow_stream_keeps_values_and_types(
    utc: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]]
) -> None:
    counter = BatchCounter()
    data = b"".join(arrow_stream(batches_of(utc, fill(utc, rows)), counter))
    assert_same(pyarrow.ipc.open_stream(data).read_all(), rows)
    assert counter.rows == len(rows)


@quickly
@given(rows=ROWS)
def test_a_parquet_file_keeps_values_and_types(
    connection: duckdb.DuckDBPyConnection, write: Write, rows: list[tuple[Any, ...]]
) -> None:
    data = write(fill(connection, rows), FileLayout(ContentType.PARQUET))
    assert_same(pyarrow.parquet.read_table(pyarrow.BufferReader(data)), rows)


def test_the_largest_decimal_and_the_first_day_survive(
    connection: duckdb.DuckDBPyConnection, write: Write
) -> None:
    largest = "9999999999999999999999999999.999999999"
    sql = f"SELECT {largest}::DECIMAL(38, 9) AS d, DATE '0001-01-01' AS day"
    table = pyarrow.parquet.read_table(
        pyarrow.BufferReader(write(sql, FileLayout(ContentType.PARQUET)))
    )
    assert table.to_pylist() == [{"d": Decimal(largest), "day": date(1, 1, 1)}]

"""Whatever is written reads back the same, with Python's own readers and with DuckDB."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queryrun.results.encode import FileLayout
from queryrun.results.formats import ContentType
from tests.unit.results.conftest import Write

AWKWARD = st.text("\"\n\r,;\t\\' a", max_size=12)
ORDINARY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TEXTS = AWKWARD | ORDINARY
ROWS = st.lists(
    st.tuples(
        st.none() | TEXTS,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.decimals("-1e28", "1e28", places=9),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.booleans(),
        st.none() | st.dates(),
        st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),
    ),
    max_size=8,
)
TYPES = {
    "s": "VARCHAR",
    "i": "BIGINT",
    "d": "DECIMAL(38,9)",
    "f": "DOUBLE",
    "b": "BOOLEAN",
    "day": "DATE",
    "moment": "TIMESTAMPTZ",
}
NAMES = list(TYPES)
quickly = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Row = tuple[Any, ...]


def _fill(connection: duckdb.DuckDBPyConnection, rows: list[Row]) -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE t ({columns})")
    for row in rows:
        *plain, at = row
        values = [*plain, None if at is None else at.replace(tzinfo=UTC)]
        connection.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return "SELECT * FROM t"


@quickly
@given(rows=ROWS)
def test_json_lines_read_back(
    connection: duckdb.DuckDBPyConnection, write: Write, rows: list[Row]
) -> None:
    data = write(_fill(connection, rows), FileLayout(ContentType.JSON))
    read = [json.loads(line, parse_float=Decimal) for line in data.decode().split("\n") if line]
    assert [list(row) for row in read] == [NAMES] * len(rows)
    assert [_from_json(row) for row in read] == [tuple(row) for row in rows]


@quickly
@given(rows=ROWS, content_type=st.sampled_from(["csv", "tsv", "dsv"]))
def test_delimited_files_read_back(
    connection: duckdb.DuckDBPyConnection, write: Write, rows: list[Row], content_type: str
) -> None:
    form = FileLayout(ContentType(content_type), ";")
    text = write(_fill(connection, rows), form).decode()
    header, *read = csv.reader(io.StringIO(text, newline=""), delimiter=form.separator)
    assert header == NAMES
    assert [_from_texts(row) for row in read] == [
        ("" if r[0] is None else r[0], *r[1:]) for r in rows
    ]


@quickly
@given(rows=ROWS)
def test_duckdb_reads_back_what_it_wrote_and_distinguishes_null_from_empty(
    connection: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path, rows: list[Row]
) -> None:
    statement = _fill(connection, rows)
    path = tmp_path / "again.csv"
    path.write_bytes(write(statement, FileLayout(ContentType.CSV)))
    columns = json.dumps(TYPES).replace('"', "'")
    read = connection.execute(
        f"SELECT * FROM read_csv('{path}', columns={columns}, header=true, delim=',', quote='\"', "
        "escape='\"', auto_detect=false, allow_quoted_nulls=false, new_line='\\n', "
        "strict_mode=true)"
    ).fetchall()
    assert read == connection.execute(statement).fetchall()


@quickly
@given(rows=ROWS, content_type=st.sampled_from(["json", "csv", "tsv"]), cut=st.integers(1, 50))
def test_rows_are_counted_as_they_pass_for_any_chunking(
    connection: duckdb.DuckDBPyConnection,
    write: Write,
    rows: list[Row],
    content_type: str,
    cut: int,
) -> None:
    data = write(_fill(connection, rows), FileLayout(ContentType(content_type)))
    counter = ContentType(content_type).spec.counter()
    for start in range(0, len(data), cut):
        before = counter.rows
        counter.feed(memoryview(data)[start : start + cut])
        assert before <= counter.rows <= len(rows)
    assert counter.rows == len(rows)


@pytest.mark.parametrize("content_type", ["parquet"])
def test_parquet_keeps_values_and_types(
    connection: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path, content_type: str
) -> None:
    row = ("ü", 1, Decimal("1.5"), 0.1, True, date(2024, 1, 1), datetime(2024, 1, 1))
    statement = _fill(connection, [row])
    path = tmp_path / "again.parquet"
    path.write_bytes(write(statement, FileLayout(ContentType(content_type))))
    read = connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()
    assert read == connection.execute(statement).fetchall()


def _from_json(row: dict[str, Any]) -> Row:
    s, i, d, f, b, day, at = row.values()
    return (
        s,
        i,
        None if d is None else Decimal(d),
        None if f is None else float(f),
        b,
        None if day is None else date.fromisoformat(day),
        None if at is None else _utc(at),
    )


def _from_texts(row: list[str]) -> Row:
    s, i, d, f, b, day, at = row
    return (
        s,
        int(i) if i else None,
        Decimal(d) if d else None,
        float(f) if f else None,
        {"true": True, "false": False, "": None}[b],
        date.fromisoformat(day) if day else None,
        _utc(at) if at else None,
    )


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    assert at.utcoffset() is not None
    return at.astimezone(UTC).replace(tzinfo=None)

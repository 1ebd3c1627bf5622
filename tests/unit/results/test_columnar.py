"""Previews of Parquet, Arrow and zstd files: rows as a JSON result has them, within bounds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import duckdb
import msgspec
import pyarrow
import pytest

from queryrun.engines.base import Column
from queryrun.results.arrow import arrow_stream, batches_of
from queryrun.results.columnar import columnar_preview
from queryrun.results.count import BatchCounter
from queryrun.results.encode import FileLayout, copy_sql, select_sql
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.preview import PreviewRequest, preview
from queryrun.results.preview_rows import NoPreviewError, RowWindow
from tests.unit.results.conftest import Write
from tests.unit.results.packing import packed

VALUES = """SELECT 1 AS i, 1.5::DECIMAL(38, 10) AS exact, DATE '2024-01-02' AS day, NULL AS nothing,
  TIMESTAMP '2024-01-02 03:04:05.678901' AS at, TIMESTAMPTZ '2024-07-01 00:00:00+00' AS moment,
  'é"x' AS text, [1, NULL] AS list, {'a': DATE '2024-01-02', 'b': 'c'} AS struct, true AS yes,
  'ab'::BLOB AS bytes, 'NaN'::DOUBLE AS nan, 0.1::FLOAT AS real, MAP {'k': 1} AS map"""
MANY = "SELECT i, 'x' || i AS t FROM range(300000) r(i)"


def file_of(
    connection: duckdb.DuckDBPyConnection, sql: str, content_type: str, location: Path
) -> bytes:
    """A result as the pipeline writes it."""
    if content_type == "arrow":
        return b"".join(arrow_stream(batches_of(connection, sql), BatchCounter()))
    form = FileLayout(ContentType(content_type))
    described = connection.execute(f"DESCRIBE {sql}").fetchall()
    columns = [Column(str(name), str(kind)) for name, kind, *_ in described]
    copy = copy_sql(select_sql(sql, columns, form), form, str(location / "file"))
    connection.execute(copy.text)
    return (location / "file").read_bytes()


def read_preview(
    data: bytes, content_type: str, encoding: str = "none", offset: int = 0, limit: int = 100
) -> tuple[list[str], list[list[object]]]:
    request = PreviewRequest(
        ContentType(content_type), ContentEncoding(encoding), RowWindow(offset, limit, ",")
    )
    found = columnar_preview(io.BytesIO(data), request)
    return found.columns, json.loads(msgspec.json.encode(found.rows))


@pytest.mark.parametrize("content_type", ["parquet", "arrow"])
def test_values_are_those_of_a_json_result(
    connection: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path, content_type: str
) -> None:
    lines = write(VALUES, FileLayout(ContentType.JSON))
    expected = preview(
        [lines], PreviewRequest(ContentType.JSON, ContentEncoding.NONE, RowWindow(0, 10, ""))
    )
    columns, rows = read_preview(file_of(connection, VALUES, content_type, tmp_path), content_type)
    assert columns == expected.columns
    assert rows == json.loads(msgspec.json.encode(expected.rows))


@pytest.mark.parametrize("content_type", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [(0, 2, [0, 1]), (2047, 3, [2047, 2048, 2049]), (299_999, 5, [299_999]), (400_000, 5, [])],
)
def test_offset_and_limit_choose_rows(
    connection: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    content_type: str,
    offset: int,
    limit: int,
    expected: list[int],
) -> None:
    data = file_of(connection, MANY, content_type, tmp_path)
    columns, rows = read_preview(data, content_type, offset=offset, limit=limit)
    assert columns == ["i", "t"]
    assert rows == [[i, f"x{i}"] for i in expected]


@pytest.mark.parametrize("content_type", ["json", "csv", "parquet", "arrow"])
@pytest.mark.parametrize("encoding", ["gzip", "zip", "zstd"])
def test_rows_are_found_in_every_packing(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, content_type: str, encoding: str
) -> None:
    data = file_of(connection, MANY, content_type, tmp_path)
    file = packed(encoding, [data])
    columns, rows = read_preview(file, content_type, encoding, offset=70_000, limit=1)
    assert columns == ["i", "t"]
    assert [str(value) for value in rows[0]] == ["70000", "x70000"]


@pytest.mark.parametrize("content_type", ["parquet", "arrow"])
def test_an_empty_result_has_columns_and_no_rows(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, content_type: str
) -> None:
    data = file_of(connection, f"{MANY} WHERE false", content_type, tmp_path)
    assert read_preview(data, content_type) == (["i", "t"], [])


def test_the_first_rows_of_a_parquet_file_are_found_without_reading_all_of_it(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    sql = "SELECT i, hash(i) AS h, md5(i::VARCHAR) AS m FROM range(500000) r(i)"
    data = file_of(connection, sql, "parquet", tmp_path)

    class Counted(io.BytesIO):
        given = 0

        def read(self, size: int | None = -1, /) -> bytes:
            chunk = super().read(size)
            self.given += len(chunk)
            return chunk

    file = Counted(data)
    found = columnar_preview(
        file, PreviewRequest(ContentType.PARQUET, ContentEncoding.NONE, RowWindow(450_000, 2, ""))
    )
    assert len(found.rows) == 2
    assert file.given < len(data) / 3


def test_arrow_rows_beyond_the_scan_limit_are_refused(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    sql = "SELECT repeat('x', 1000) AS t FROM range(50000)"
    data = b"".join(arrow_stream(batches_of(connection, sql), BatchCounter()))
    with pytest.raises(NoPreviewError, match="download the file"):
        read_preview(data, "arrow", offset=40_000)


def test_rows_read_before_the_scan_limit_are_returned() -> None:
    batch = pyarrow.record_batch({"t": ["x" * 1_000_000] * 7})
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(4):
            writer.write_batch(batch)
    assert len(read_preview(sink.getvalue(), "arrow", limit=20)[1]) == 4

"""Previews return the rows that were written, in every format, within their limits."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queryrun.results.encode import FileLayout
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.preview import PreviewRequest, is_simple, preview
from queryrun.results.preview_rows import (
    MAX_RESPONSE_BYTES,
    MAX_SCAN_BYTES,
    CorruptFileError,
    NoPreviewError,
    Preview,
    RowWindow,
)
from tests.unit.results.conftest import Write
from tests.unit.results.packing import packed

TEXTS = st.none() | st.text("\"\n\r,;|\t\\' aé€", max_size=12)


def requested(
    content_type: str = "csv",
    encoding: str = "none",
    separator: str = ",",
    offset: int = 0,
    limit: int = 100,
) -> PreviewRequest:
    return PreviewRequest(
        ContentType(content_type), ContentEncoding(encoding), RowWindow(offset, limit, separator)
    )


def cut(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def plain(found: Preview) -> list[list[object]]:
    """The rows as a client reads them."""
    rows: list[list[object]] = json.loads(msgspec.json.encode(found.rows))
    return rows


@pytest.mark.parametrize("encoding", ["none", "gzip", "zip"])
def test_rows_are_found_in_every_packing(encoding: str) -> None:
    data = b"a,b\n" + b"".join(b"%d,x%d\n" % (i, i) for i in range(1000))
    file = cut(packed(encoding, cut(data)), 500)
    found = preview(file, requested(encoding=encoding, offset=990, limit=3))
    assert found.columns == ["a", "b"]
    assert plain(found) == [["990", "x990"], ["991", "x991"], ["992", "x992"]]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=6), separator=st.sampled_from([",", "|", "€"])
)
def test_delimited_texts_round_trip(
    connection: duckdb.DuckDBPyConnection,
    write: Write,
    rows: list[tuple[str | None, str | None]],
    separator: str,
) -> None:
    """Nulls stay apart from empty texts, and line ends and separators inside values stay inside."""
    if separator == "€":
        separator = ";"
    connection.execute("CREATE OR REPLACE TEMP TABLE t (a VARCHAR, b VARCHAR)")
    for row in rows:
        connection.execute("INSERT INTO t VALUES (?, ?)", row)
    data = write("FROM t", FileLayout(ContentType.DSV, separator))
    found = preview(cut(data), requested("dsv", separator=separator))
    assert found.columns == ["a", "b"]
    assert plain(found) == [list(row) for row in rows]


def test_json_values_go_through_as_they_stand(
    connection: duckdb.DuckDBPyConnection, write: Write
) -> None:
    """A decimal of 38 digits stays one."""
    sql = "SELECT 12345678901234567890123456.123456789012 AS d, NULL AS n, [1, 2] AS l, 'é\n' AS t"
    found = preview(cut(write(sql, FileLayout(ContentType.JSON))), requested("json"))
    assert found.columns == ["d", "n", "l", "t"]
    response = msgspec.json.encode(found.rows).decode()
    assert (
        response.replace(" ", "") == '[[12345678901234567890123456.123456789012,null,[1,2],"é\\n"]]'
    )


@pytest.mark.parametrize("content_type", ["csv", "json"])
def test_an_empty_result_has_no_rows(content_type: str) -> None:
    data = b"a,b\n" if content_type == "csv" else b""
    found = preview(cut(data), requested(content_type))
    assert (found.columns, found.rows) == (["a", "b"] if data else [], [])


def test_an_offset_beyond_the_end_finds_nothing() -> None:
    assert preview([b"a\n1\n"], requested(offset=5)).rows == []


def test_one_row_with_too_many_bytes_ends_the_response() -> None:
    line = b"x" * (MAX_RESPONSE_BYTES // 2) + b"\n"
    found = preview([b"a\n", line, line, line], requested())
    assert len(found.rows) == 2


def test_rows_beyond_the_scan_limit_are_refused() -> None:
    lines = (b"x" * 65_535 + b"\n" for _ in range(MAX_SCAN_BYTES // 65_536 + 10))
    with pytest.raises(NoPreviewError, match="download the file"):
        preview(lines, requested(offset=MAX_SCAN_BYTES // 65_536 + 5))


def test_a_file_that_unpacks_to_far_more_is_not_unpacked_whole() -> None:
    """A bomb: 200 MB of nothing in 200 KB."""
    bomb = packed("gzip", (bytes(1_000_000) for _ in range(200)))
    tracemalloc.start()
    with pytest.raises(NoPreviewError):
        preview(cut(bomb, 100_000), requested(encoding="gzip"))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 3 * MAX_SCAN_BYTES


@pytest.mark.parametrize(
    ("content_type", "encoding", "expected"),
    [
        ("csv", "gzip", True),
        ("json", "none", True),
        ("csv", "zstd", False),
        ("parquet", "none", False),
        ("arrow", "gzip", False),
    ],
)
def test_binary_files_are_left_to_other_readers(
    content_type: str, encoding: str, expected: bool
) -> None:
    assert is_simple(ContentType(content_type), ContentEncoding(encoding)) is expected


@pytest.mark.parametrize("content_encoding", ["gzip", "zip"])
@pytest.mark.parametrize("content", [b"", b"no", b"PK\x03\x04" + bytes(40), b"\x1f\x8b" + bytes(9)])
@pytest.mark.parametrize("content_type", ["json", "csv"])
def test_bytes_that_are_no_file_of_ours_give_no_preview_and_no_other_error(
    content_type: str, content_encoding: str, content: bytes
) -> None:
    """A file that has not begun yet has no rows; anything else is reported as damaged."""
    request = PreviewRequest(
        ContentType(content_type), ContentEncoding(content_encoding), RowWindow(0, 2, ",")
    )
    with suppress(CorruptFileError):
        assert preview([content] if content else [], request).rows == []


def test_a_damaged_file_is_reported_as_damaged() -> None:
    with pytest.raises(CorruptFileError):
        preview(
            [b"no archive at all"],
            PreviewRequest(ContentType.CSV, ContentEncoding.ZIP, RowWindow(0, 2, ",")),
        )

"""Previews of binary files whose maker breaks, stalls or asks for too much: the node goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow
import pytest
from pyarrow import parquet

from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import MAX_READ_BYTES, NoPreviewError, RowWindow
from queryrun.services.preview.client import peek


def arrow_file(table: pyarrow.Table) -> bytes:
    """As a stream."""
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def look(data: bytes, content_type: str, encoding: str = "none") -> list[list[object]]:
    """A preview through a process of its own."""

    def read(start: int, end: int) -> Iterator[bytes]:
        return (data[at : min(at + 1000, end)] for at in range(start, end, 1000))

    found = peek(
        read,
        len(data),
        PreviewRequest(ContentType(content_type), ContentEncoding(encoding), RowWindow(0, 10, ",")),
    )
    return [list(row) for row in found.rows]


def test_rows_come_out_of_the_process() -> None:
    rows = look(arrow_file(pyarrow.table({"a": [1, None]})), "arrow")
    assert [[None if value is None else bytes(value) for value in row] for row in rows] == [  # type: ignore[call-overload]  # they are Raw
        [b"1"],
        [b"null"],
    ]


@pytest.mark.parametrize("content_type", ["parquet", "arrow"])
@pytest.mark.parametrize("data", [b"", b"PAR1", b"\xff" * 5000], ids=["empty", "short", "noise"])
def test_nonsense_is_no_preview(content_type: str, data: bytes) -> None:
    with pytest.raises(NoPreviewError):
        look(data, content_type)


def test_a_file_that_unpacks_to_far_more_ends_its_process_alone() -> None:
    """Pages of a few bytes that hold more nothing than the process may have memory."""
    sink = io.BytesIO()
    value = pyarrow.array([b"\0" * 300_000_000])
    parquet.write_table(
        pyarrow.table({f"c{n}": value for n in range(3)}),
        sink,
        compression="lz4",
        use_dictionary=False,
        write_statistics=False,
    )
    with pytest.raises(NoPreviewError):
        look(sink.getvalue(), "parquet")


def test_no_more_of_a_file_is_read_than_a_preview_may() -> None:
    read_bytes = 0

    def read(start: int, end: int) -> Iterator[bytes]:
        nonlocal read_bytes
        read_bytes += end - start
        yield bytes(end - start)

    with pytest.raises(NoPreviewError):
        peek(
            read,
            10**12,
            PreviewRequest(ContentType.CSV, ContentEncoding.ZSTD, RowWindow(0, 10, ",")),
        )
    with pytest.raises(NoPreviewError):
        peek(
            read,
            10**12,
            PreviewRequest(ContentType.PARQUET, ContentEncoding.GZIP, RowWindow(0, 10, ",")),
        )
    assert read_bytes <= 2 * MAX_READ_BYTES


def test_what_the_store_meets_with_comes_out() -> None:
    def read(start: int, end: int) -> Iterator[bytes]:
        yield from ()
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        peek(
            read,
            1000,
            PreviewRequest(ContentType.PARQUET, ContentEncoding.NONE, RowWindow(0, 10, "")),
        )

"""Previews of binary files that break, stall or overload their process: the node continues."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator

import pyarrow
import pytest
from pyarrow import parquet

from queryrun.processes.fork_client import ForkClient
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.preview import PreviewRequest
from queryrun.results.preview_rows import MAX_READ_BYTES, NoPreviewError, RowWindow
from queryrun.services.preview.client import PreviewClient
from queryrun.wiring.child_roles import CHILD_ROLES
from tests.integration.worker.pool_harness import children

pytestmark = pytest.mark.anyio


def arrow_file(table: pyarrow.Table) -> bytes:
    """As a stream."""
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.fixture
async def previews() -> AsyncIterator[PreviewClient]:
    """The client of a node; leaves no process behind."""
    fork_client = ForkClient(CHILD_ROLES)
    client = PreviewClient(fork_client)
    yield client
    await client.close()
    assert children() - {fork_client.pid} == set()
    await fork_client.close()


async def rows_of(
    previews: PreviewClient, data: bytes, content_type: str, encoding: str = "none"
) -> list[list[object]]:
    """A preview through its own process."""

    def read(start: int, end: int) -> Iterator[bytes]:
        return (data[at : min(at + 1000, end)] for at in range(start, end, 1000))

    found = await previews.preview(
        read,
        len(data),
        PreviewRequest(ContentType(content_type), ContentEncoding(encoding), RowWindow(0, 10, ",")),
    )
    return [list(row) for row in found.rows]


async def test_rows_come_out_of_the_process(previews: PreviewClient) -> None:
    rows = await rows_of(previews, arrow_file(pyarrow.table({"a": [1, None]})), "arrow")
    assert [[None if value is None else bytes(value) for value in row] for row in rows] == [  # type: ignore[call-overload]  # they are Raw
        [b"1"],
        [b"null"],
    ]


@pytest.mark.parametrize("content_type", ["parquet", "arrow"])
@pytest.mark.parametrize("data", [b"", b"PAR1", b"\xff" * 5000], ids=["empty", "short", "noise"])
async def test_a_corrupt_file_has_no_preview(
    previews: PreviewClient, content_type: str, data: bytes
) -> None:
    with pytest.raises(NoPreviewError):
        await rows_of(previews, data, content_type)


async def test_a_file_that_expands_beyond_the_memory_limit_ends_only_its_process(
    previews: PreviewClient,
) -> None:
    """Pages of a few bytes that expand to more zeros than the process may have memory."""
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
        await rows_of(previews, sink.getvalue(), "parquet")


async def test_no_more_of_a_file_is_read_than_a_preview_may(previews: PreviewClient) -> None:
    read_bytes = 0

    def read(start: int, end: int) -> Iterator[bytes]:
        nonlocal read_bytes
        read_bytes += end - start
        yield bytes(end - start)

    with pytest.raises(NoPreviewError):
        await previews.preview(
            read,
            10**12,
            PreviewRequest(ContentType.CSV, ContentEncoding.ZSTD, RowWindow(0, 10, ",")),
        )
    with pytest.raises(NoPreviewError):
        await previews.preview(
            read,
            10**12,
            PreviewRequest(ContentType.PARQUET, ContentEncoding.GZIP, RowWindow(0, 10, ",")),
        )
    assert read_bytes <= 2 * MAX_READ_BYTES


async def test_an_error_of_the_store_reaches_the_caller(previews: PreviewClient) -> None:
    def read(start: int, end: int) -> Iterator[bytes]:
        yield from ()
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        await previews.preview(
            read,
            1000,
            PreviewRequest(ContentType.PARQUET, ContentEncoding.NONE, RowWindow(0, 10, "")),
        )

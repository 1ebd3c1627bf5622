"""Compressed files open with everybody's tools."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator

import pytest
import zstandard

from queryrun.results.compress import gzip as gzip_compress
from queryrun.results.zip import ZipFile
from tests.unit.results.packing import packed

PLAIN = [b"id,name\n", b"1,a\n" * 100_000, b"", os.urandom(100_000)]


@pytest.mark.parametrize("chunks", [PLAIN, [], [b""]], ids=["data", "nothing", "empty chunk"])
def test_every_encoding_round_trips(chunks: list[bytes]) -> None:
    plain = b"".join(chunks)
    assert packed("none", chunks) == plain
    assert gzip.decompress(packed("gzip", chunks)) == plain
    assert zstandard.ZstdDecompressor().stream_reader(packed("zstd", chunks)).read() == plain
    with zipfile.ZipFile(io.BytesIO(packed("zip", chunks))) as archive:
        assert archive.testzip() is None
        assert archive.read("a_1.csv") == plain


def test_gzip_is_one_member() -> None:
    """Some readers stop after the first."""
    unpacker = zlib.decompressobj(31)
    assert unpacker.decompress(packed("gzip", PLAIN)) == b"".join(PLAIN)
    assert unpacker.eof
    assert unpacker.unused_data == b""


@pytest.mark.parametrize("encoding", ["gzip", "zip", "zstd"])
def test_compression_reads_a_buffer_that_is_used_again(encoding: str) -> None:
    """The pipe hands out views of one buffer; keeping one would keep the wrong bytes."""
    buffer = bytearray(10_000)

    def chunks() -> Iterator[memoryview]:
        for number in range(20):
            buffer[:] = bytes([number]) * len(buffer)
            yield memoryview(buffer)

    reused = packed(encoding, chunks())
    assert reused == packed(encoding, [bytes([number]) * 10_000 for number in range(20)])


@pytest.mark.parametrize("encoding", ["gzip", "zip"])
def test_memory_does_not_grow_with_the_file(encoding: str) -> None:
    chunk = os.urandom(256 * 1024)
    tracemalloc.start()
    chunks = (chunk for _ in range(200))
    for _ in ZipFile(chunks, "x.csv").body() if encoding == "zip" else gzip_compress(chunks):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024

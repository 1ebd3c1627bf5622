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

from queryrun.results.formats import ContentEncoding

PLAIN = [b"id,name\n", b"1,a\n" * 100_000, b"", os.urandom(100_000)]


def _pack(encoding: str, chunks: list[bytes]) -> bytes:
    return b"".join(
        bytes(chunk) for chunk in ContentEncoding(encoding).spec.compress(chunks, "a_1.csv")
    )


@pytest.mark.parametrize("chunks", [PLAIN, [], [b""]], ids=["data", "nothing", "empty piece"])
def test_every_encoding_round_trips(chunks: list[bytes]) -> None:
    plain = b"".join(chunks)
    assert _pack("none", chunks) == plain
    assert gzip.decompress(_pack("gzip", chunks)) == plain
    assert zstandard.ZstdDecompressor().stream_reader(_pack("zstd", chunks)).read() == plain
    with zipfile.ZipFile(io.BytesIO(_pack("zip", chunks))) as archive:
        assert archive.testzip() is None
        assert archive.read("a_1.csv") == plain


def test_gzip_is_one_member() -> None:
    """Some readers stop after the first."""
    unpacker = zlib.decompressobj(31)
    assert unpacker.decompress(_pack("gzip", PLAIN)) == b"".join(PLAIN)
    assert unpacker.eof
    assert unpacker.unused_data == b""


def test_zip_has_one_member_without_a_date_and_with_room_for_more_than_4_gb() -> None:
    data = _pack("zip", PLAIN)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (member,) = archive.infolist()
    assert (member.filename, member.date_time) == ("a_1.csv", (1980, 1, 1, 0, 0, 0))
    assert member.extract_version == 45
    assert data == _pack("zip", PLAIN)


@pytest.mark.parametrize("encoding", ["gzip", "zip", "zstd"])
def test_compression_reads_a_buffer_that_is_used_again(encoding: str) -> None:
    """The pipe hands out views of one buffer; keeping one would keep the wrong bytes."""
    buffer = bytearray(10_000)

    def chunks() -> Iterator[memoryview]:
        for number in range(20):
            buffer[:] = bytes([number]) * len(buffer)
            yield memoryview(buffer)

    reused = b"".join(
        bytes(chunk) for chunk in ContentEncoding(encoding).spec.compress(chunks(), "a_1.csv")
    )
    assert reused == _pack(encoding, [bytes([number]) * 10_000 for number in range(20)])


@pytest.mark.parametrize("encoding", ["gzip", "zip"])
def test_memory_does_not_grow_with_the_file(encoding: str) -> None:
    chunk = os.urandom(256 * 1024)
    tracemalloc.start()
    for _ in ContentEncoding(encoding).spec.compress((chunk for _ in range(200)), "x.csv"):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024

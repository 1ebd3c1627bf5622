"""Compression of a stream: chunks in, chunks out, in bounded memory (contract F5).

Level 1 of isal is faster *and* smaller than level 1 of zlib, and 34 times as fast as DuckDB's gzip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from stat import S_IFREG
from typing import Any, cast

Chunks = Iterable[bytes | bytearray | memoryview]
"""Bytes in order. A chunk may be a view of a buffer that is reused for the next one."""

_LEVEL = 1
_GZIP_WINDOW, _RAW_WINDOW = 31, -15
_MEMBER_TIME = datetime(1980, 1, 1)
"""The oldest time a zip file can hold: the same result gives the same bytes."""
_MEMBER_MODE = S_IFREG | 0o600
_ZIP_CHUNK_BYTES = 256 * 1024
_ZSTD_CHUNK_BYTES = 1024 * 1024


def gzip(chunks: Chunks, name: str) -> Iterator[bytes]:  # noqa: ARG001 - as every compression
    """One member, so that readers that stop after the first get everything."""
    compressor = _isal(_GZIP_WINDOW)
    for chunk in chunks:
        if compressed := compressor.compress(chunk):
            yield compressed
    yield compressor.flush()


def zip_archive(chunks: Chunks, name: str) -> Iterator[bytes]:
    """One member of that name, always ZIP64: the size is not known beforehand."""
    from stream_zip import ZIP_64, stream_zip

    content = cast("Iterable[bytes]", _non_empty(chunks))  # it takes any buffer
    member = (name, _MEMBER_TIME, _MEMBER_MODE, ZIP_64, content)
    archive: Iterable[bytes] = stream_zip(
        [member], chunk_size=_ZIP_CHUNK_BYTES, get_compressobj=lambda: _isal(_RAW_WINDOW)
    )
    yield from archive


def zstd(chunks: Chunks, name: str) -> Iterator[bytes]:  # noqa: ARG001 - as every compression
    """One frame, by Arrow's codec; its import costs 300 ms, only here."""
    import pyarrow

    sink = Sink()
    with pyarrow.CompressedOutputStream(pyarrow.PythonFile(sink, mode="w"), "zstd") as compressor:
        for chunk in chunks:
            compressor.write(chunk)
            if sink.size_bytes >= _ZSTD_CHUNK_BYTES:
                yield sink.drain()
    yield sink.drain()


def _non_empty(chunks: Chunks) -> Iterator[bytes | bytearray | memoryview]:
    return (chunk for chunk in chunks if len(chunk))


def _isal(window_bits: int) -> Any:
    from isal import isal_zlib

    return isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, window_bits)


class Sink:
    """A file object that keeps what is written until it is drained."""

    closed = False

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._chunks.append(chunk)
        self.size_bytes += len(chunk)
        return len(chunk)

    def flush(self) -> None:
        """Does nothing: there is no buffer behind."""

    def close(self) -> None:
        """Does nothing: what was written can still be drained."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def drain(self) -> bytes:
        """Everything written since the last call."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.size_bytes = 0
        return data

"""The first rows of Parquet, Arrow and zstd results. Runs in a separate process.

Its libraries are large and written in C++, and they do not bound what they decompress; so the
process that serves requests does not load them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import duckdb
import msgspec
import pyarrow

from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.preview import PreviewRequest, preview
from queryrun.results.preview_rows import (
    MAX_SCAN_BYTES,
    PREVIEW_TOO_FAR,
    NoPreviewError,
    Preview,
    Row,
    take_rows,
)
from queryrun.results.types import parse_type
from queryrun.results.values import ValueFormatter

_CHUNK_BYTES = 256 * 1024
_BATCH_ROWS = 1024
_PAGE_BYTES = 64 * 1024
"""How much of a column is read at a time: the first rows need its first pages only."""
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "256MB",
    "threads": 1,
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "python_enable_replacements": False,
}


def columnar_preview(file: BinaryIO, request: PreviewRequest) -> Preview:
    """The requested rows of a seekable file; see `preview.preview`.

    Values of Parquet and Arrow are formatted like those of a JSON result, instants in UTC.
    """
    if reader := READERS.get(request.content_type):
        return _preview(*reader(file, request), request.window.limit)
    plain = _decompressed(file, request.content_encoding)
    return preview(plain, replace(request, content_encoding=ContentEncoding.NONE))


# --- decompression --------------------------------------------------------------------------


def _decompressed(file: BinaryIO, encoding: ContentEncoding) -> Iterable[bytes]:
    if encoding.spec.decompress is None:
        source: Any = pyarrow.PythonFile(file, mode="r")
        return _chunks(pyarrow.CompressedInputStream(source, encoding.value))
    return encoding.spec.decompress(_chunks(file))


def _chunks(source: Any) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > MAX_SCAN_BYTES:
            raise NoPreviewError(PREVIEW_TOO_FAR)
        yield chunk


def _seekable(file: BinaryIO, encoding: ContentEncoding) -> BinaryIO:
    """Parquet has its footer at the end: a compressed file has to be decompressed whole."""
    if encoding is ContentEncoding.NONE:
        return file
    return io.BytesIO(b"".join(_bounded(_decompressed(file, encoding))))


class _Stream(io.RawIOBase):
    """Chunks as a file that is read from beginning to end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._pending = chunk
        size = min(len(buffer), len(self._pending))
        buffer[:size], self._pending = self._pending[:size], self._pending[size:]
        return size


# --- rows of the formats --------------------------------------------------------------------


def _parquet(file: BinaryIO, request: PreviewRequest) -> tuple[Any, Iterator[Any]]:
    """Schema and requested rows. Row groups before them are skipped unread."""
    from pyarrow import parquet

    seekable = _seekable(file, request.content_encoding)
    found: Any = parquet.ParquetFile(seekable, pre_buffer=False, buffer_size=_PAGE_BYTES)
    window, first, skipped = request.window, 0, 0
    while first < found.num_row_groups:
        rows = found.metadata.row_group(first).num_rows
        if skipped + rows > window.offset:
            break
        first, skipped = first + 1, skipped + rows
    groups = list(range(first, found.num_row_groups))
    batches = found.iter_batches(_BATCH_ROWS, row_groups=groups, use_threads=False)
    return found.schema_arrow, _window(batches, window.offset - skipped, window.limit)


def _arrow(file: BinaryIO, request: PreviewRequest) -> tuple[Any, Iterator[Any]]:
    plain = _decompressed(file, request.content_encoding)
    stream = io.BufferedReader(_Stream(_bounded(plain)), _CHUNK_BYTES)
    found: Any = pyarrow.ipc.open_stream(stream)
    return found.schema, _window(iter(found), request.window.offset, request.window.limit)


READERS: dict[ContentType, Callable[[BinaryIO, PreviewRequest], tuple[Any, Iterator[Any]]]] = {
    ContentType.PARQUET: _parquet,
    ContentType.ARROW: _arrow,
}
"""Schema and record batches, of every format that has no `ResultFormat.preview`."""


def _window(batches: Iterator[Any], offset: int, limit: int) -> Iterator[Any]:
    """`limit` rows from `offset` on, in slices of at most `_BATCH_ROWS`."""
    while limit > 0 and (batch := next(batches, None)) is not None:
        part = batch.slice(offset, limit)
        offset = max(offset - batch.num_rows, 0)
        limit -= part.num_rows
        if part.num_rows:
            yield part


# --- rows as JSON values --------------------------------------------------------------------


def _preview(schema: Any, batches: Iterator[Any], limit: int) -> Preview:
    with duckdb.connect(":memory:", config=_SETTINGS) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = take_rows(row for batch in batches for row in _formatted(connection, batch))
    return Preview(list(schema.names), rows[:limit])


def _formatted(connection: duckdb.DuckDBPyConnection, batch: Any) -> Iterator[tuple[Row, int]]:
    """Each row as JSON values, and how long they are."""
    fields = [f"field_{number}" for number in range(batch.num_columns)]
    connection.register("batch", pyarrow.table(batch.columns, names=fields))
    described = connection.execute("DESCRIBE FROM batch").fetchall()
    values = [_json(str(name), str(kind)) for name, kind, *_ in described]
    result = connection.execute(f"SELECT {', '.join(values)} FROM batch")
    while row := result.fetchone():
        yield _raw(row), sum(len(text or "") for text in row)


def _json(field: str, kind: str) -> str:
    return f"to_json({ValueFormatter().as_json(parse_type(kind), field) or field})"


def _raw(row: tuple[str | None, ...]) -> Row:
    return [None if text is None else msgspec.Raw(text.encode()) for text in row]

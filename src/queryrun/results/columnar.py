"""The first rows of Parquet, Arrow and zstd results. From a child process.

Its libraries are large and written in C++, and what they unpack has no bound of its own; so the
process that serves requests keeps away from them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import duckdb
import msgspec
import pyarrow

from queryrun.results.preview import (
    MAX_SCAN_BYTES,
    PREVIEW_TOO_FAR,
    NoPreviewError,
    Preview,
    PreviewRequest,
    Row,
    preview,
    taken,
    unpacked,
)
from queryrun.results.types import parse_type
from queryrun.results.values import ValueFormatter

_CHUNK_BYTES = 256 * 1024
_BATCH_ROWS = 1024
_PAGE_BYTES = 64 * 1024
"""So much of a column is read at a time: the first rows need its first pages only."""
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "256MB",
    "threads": 1,
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "python_enable_replacements": False,
}


def columnar_preview(file: BinaryIO, wanted: PreviewRequest) -> Preview:
    """The wanted rows of a file that can be read at any place; see `preview.preview`.

    Values of Parquet and Arrow are spelled like those of a JSON result, instants in UTC.
    """
    if wanted.content_type == "parquet":
        return _shown(*_parquet(_seekable(file, wanted), wanted), wanted.limit)
    plain = _plain(file, wanted.content_encoding)
    if wanted.content_type == "arrow":
        return _shown(*_arrow(plain, wanted), wanted.limit)
    return preview(plain, replace(wanted, content_encoding="none"))


# --- unpacking ------------------------------------------------------------------------------


def _plain(file: BinaryIO, content_encoding: str) -> Iterable[bytes]:
    if content_encoding == "zstd":
        packed: Any = pyarrow.PythonFile(file, mode="r")
        return _chunks(pyarrow.CompressedInputStream(packed, "zstd"))
    return unpacked(_chunks(file), content_encoding)


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


def _seekable(file: BinaryIO, wanted: PreviewRequest) -> BinaryIO:
    """Parquet begins at its end: one that was packed as well has to be unpacked whole."""
    if wanted.content_encoding == "none":
        return file
    return io.BytesIO(b"".join(_bounded(_plain(file, wanted.content_encoding))))


class _Stream(io.RawIOBase):
    """Pieces as a file that is read from beginning to end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._held = chunk
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size


# --- rows of the formats --------------------------------------------------------------------


def _parquet(file: BinaryIO, wanted: PreviewRequest) -> tuple[Any, Iterator[Any]]:
    """Schema and wanted rows. Row groups in front of them are passed over unread."""
    from pyarrow import parquet

    found: Any = parquet.ParquetFile(file, pre_buffer=False, buffer_size=_PAGE_BYTES)
    first, skipped = 0, 0
    while first < found.num_row_groups:
        rows = found.metadata.row_group(first).num_rows
        if skipped + rows > wanted.offset:
            break
        first, skipped = first + 1, skipped + rows
    groups = list(range(first, found.num_row_groups))
    batches = found.iter_batches(_BATCH_ROWS, row_groups=groups, use_threads=False)
    return found.schema_arrow, _window(batches, wanted.offset - skipped, wanted.limit)


def _arrow(plain: Iterable[bytes], wanted: PreviewRequest) -> tuple[Any, Iterator[Any]]:
    stream = io.BufferedReader(_Stream(_bounded(plain)), _CHUNK_BYTES)
    found: Any = pyarrow.ipc.open_stream(stream)
    return found.schema, _window(iter(found), wanted.offset, wanted.limit)


def _window(batches: Iterator[Any], offset: int, limit: int) -> Iterator[Any]:
    """`limit` rows from `offset` on, in slices of at most `_BATCH_ROWS`."""
    while limit > 0 and (batch := next(batches, None)) is not None:
        part = batch.slice(offset, limit)
        offset = max(offset - batch.num_rows, 0)
        limit -= part.num_rows
        if part.num_rows:
            yield part


# --- what is shown --------------------------------------------------------------------------


def _shown(schema: Any, batches: Iterator[Any], limit: int) -> Preview:
    with duckdb.connect(":memory:", config=_SETTINGS) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = taken(row for batch in batches for row in _formatted(connection, batch))
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

"""Rows of a preview and the readers of text formats.

Every step is bounded, because it runs beside other requests: the bytes that are read and
decompressed, the rows, and the bytes of the response. Values are not interpreted: JSON values pass
through unchanged, values of a delimited file are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

MAX_PREVIEW_ROWS = 1_000
MAX_SCAN_BYTES = 16 * 1024 * 1024
"""The part of the file, decompressed, that a preview covers: a tenth of a second of work."""
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
"""Rows that would make the response longer are left out."""
MAX_READ_BYTES = MAX_SCAN_BYTES + 1024 * 1024
"""The part of the stored file that is read: compressed data is shorter than its content."""
PREVIEW_TOO_FAR = "a preview does not reach so far; download the file"

Value = str | msgspec.Raw | None
Row = list[Value]


class NoPreviewError(ValueError):
    """There is no preview of these rows; the message gives the reason."""


class CorruptFileError(NoPreviewError):
    """The bytes are not a file of the expected format; no other rows can be read either."""

    def __init__(self) -> None:
        super().__init__("the file is damaged")


@dataclass(frozen=True, slots=True)
class RowWindow:
    """Which rows to read. `separator` is that of a delimited file."""

    offset: int
    limit: int
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows and the names of their columns. No rows: the window lies behind the last one."""

    columns: list[str]
    rows: list[Row]


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_json_lines(chunks: Iterable[bytes], window: RowWindow) -> Preview:
    """The rows of JSON Lines; the columns are those of the first row in the window."""
    records = islice(_records(chunks), window.offset, window.offset + window.limit)
    columns: list[str] = []

    def rows() -> Iterator[tuple[Row, int]]:
        for record in records:
            fields = _decode_object(record)
            columns[:] = columns or list(fields)
            yield list(fields.values()), len(record)

    found = take_rows(rows())  # before `Preview`: it fills `columns`
    return Preview(columns, found)


def read_delimited(chunks: Iterable[bytes], window: RowWindow) -> Preview:
    """The rows of a delimited file; the columns are in its header."""
    field = _field_pattern(window.separator.encode())
    records = _records(chunks, has_quotes=True)
    header = next(records, b"")
    columns = [str(name or "") for name in _fields(header, field)]
    selected = islice(records, window.offset, window.offset + window.limit)
    return Preview(columns, take_rows((_fields(record, field), len(record)) for record in selected))


def take_rows(rows: Iterable[tuple[Row, int]]) -> list[Row]:
    """The rows that fit into one response, and those found before the scan limit was reached.

    Each row comes with its size in bytes. Raises `NoPreviewError` when not even one was found.
    """
    taken: list[Row] = []
    total_bytes = 0
    try:
        for row, size_bytes in rows:
            total_bytes += size_bytes
            if total_bytes > MAX_RESPONSE_BYTES and taken:
                break
            taken.append(row)
    except NoPreviewError:
        if not taken:
            raise
    return taken


def _records(chunks: Iterable[bytes], *, has_quotes: bool = False) -> Iterator[bytes]:
    """Whole records without their line ends; a line end inside quotes belongs to its record.

    Raises `NoPreviewError` when the records do not end within the scan limit.
    """
    lines: list[bytes] = []
    is_inside = False
    for line in _lines(chunks):
        lines.append(line)
        is_inside ^= has_quotes and line.count(b'"') % 2 == 1
        if not is_inside:
            yield b"\n".join(lines)
            lines.clear()


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Splits by hand: a line may span chunks, and one without an end must not grow forever."""
    pending: list[bytes] = []
    scanned_bytes = 0
    for chunk in chunks:
        scanned_bytes += len(chunk)
        first, *others = chunk.split(b"\n")
        pending.append(first)
        for other in others:
            yield b"".join(pending)
            pending = [other]
        if scanned_bytes > MAX_SCAN_BYTES:
            raise NoPreviewError(PREVIEW_TOO_FAR)


def _field_pattern(separator: bytes) -> re.Pattern[bytes]:
    """One field, quoted or plain, and the separator or end that follows it."""
    quoted, plain = rb'"([^"]*(?:""[^"]*)*)"', rb"((?:(?!" + re.escape(separator) + rb").)*)"
    return re.compile(
        rb"(?:" + quoted + rb"|" + plain + rb")(" + re.escape(separator) + rb"|\Z)", re.S
    )


def _fields(record: bytes, field: re.Pattern[bytes]) -> Row:
    """The fields of a record. An empty field is null, an empty one in quotes is an empty text."""
    row: Row = []
    for match in field.finditer(record):
        quoted, plain, end = match.groups()
        text = plain if quoted is None else quoted.replace(b'""', b'"')
        row.append(None if quoted is None and not plain else text.decode("utf-8", "replace"))
        if not end:
            break
    return row

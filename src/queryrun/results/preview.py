"""The first rows of a result file, without a download: JSON Lines and delimited files here,
those of other formats and of zstd in `columnar.py`.

Every step is bounded, because it runs beside other requests: bytes that are read and unpacked,
rows, and bytes that are answered. Values are not interpreted: JSON's go through as they stand in
the file, a delimited file's are texts.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

MAX_PREVIEW_ROWS = 1_000
MAX_SCAN_BYTES = 16 * 1024 * 1024
"""So far into the file, unpacked, a preview reaches: a tenth of a second of work."""
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
"""Rows stop when they would make the answer longer."""
MAX_READ_BYTES = MAX_SCAN_BYTES + 1024 * 1024
"""More of the stored file need not be read: what is packed is shorter than what is in it."""
PREVIEW_TOO_FAR = "a preview does not reach so far; download the file"
_CHUNK_BYTES = 256 * 1024
_TEXTS = frozenset({"json", "csv", "tsv", "dsv"})
_ZIP_HEADER = struct.Struct("<4s22xHH")
"""A local file header: signature, then the lengths of name and extra fields."""

Value = str | msgspec.Raw | None
Row = list[Value]


class NoPreviewError(ValueError):
    """There is none of this file; the text says why."""


class CorruptFileError(NoPreviewError):
    """The bytes are not a file of the kind that they should be; no other rows would do."""

    def __init__(self) -> None:
        super().__init__("the file is damaged")


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """Which rows of which kind of file. `separator` is that of a delimited one."""

    content_type: str
    content_encoding: str
    separator: str
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows and the names of their columns. No rows: the file has none there."""

    columns: list[str]
    rows: list[Row]


_DAMAGED = (zlib.error, struct.error, UnicodeDecodeError, msgspec.DecodeError)


def is_simple(content_type: str, content_encoding: str) -> bool:
    """Whether `preview` can do it; otherwise it is `columnar.columnar_preview`'s."""
    return content_type in _TEXTS and content_encoding in _UNPACK


def preview(chunks: Iterable[bytes], wanted: PreviewRequest) -> Preview:
    """The wanted rows, from the stored bytes of the file.

    Fewer than wanted when the file ends, or when they would be too much for one answer. Raises
    `NoPreviewError` when the first of them lies further in than a preview reaches, and
    `CorruptFileError` for bytes that are not a file of that kind.
    """
    plain = unpacked(chunks, wanted.content_encoding)
    try:
        if wanted.content_type == "json":
            return _json_preview(_records(plain), wanted)
        return _delimited_preview(_records(plain, quotes=True), wanted)
    except _DAMAGED as error:
        raise CorruptFileError from error


# --- unpacking --------------------------------------------------------------------------------


def unpacked(chunks: Iterable[bytes], content_encoding: str) -> Iterable[bytes]:
    """The file's bytes in pieces of bounded size. For `none`, `gzip` and `zip`."""
    return _UNPACK[content_encoding](chunks)


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return _inflated(chunks, zlib.decompressobj(31))


def _zip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The one member of a file of ours."""
    source = iter(chunks)
    head = next(source, b"")
    signature, name_bytes, extra_bytes = _ZIP_HEADER.unpack_from(head)
    if signature != b"PK\x03\x04":
        raise CorruptFileError
    start = _ZIP_HEADER.size + name_bytes + extra_bytes
    yield from _inflated(_chain(head[start:], source), zlib.decompressobj(-15))


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _inflated(chunks: Iterable[bytes], inflater: zlib._Decompress) -> Iterator[bytes]:
    """Pieces of bounded size, however well they were packed."""
    for chunk in chunks:
        waiting = chunk
        while waiting and not inflater.eof:
            yield inflater.decompress(waiting, _CHUNK_BYTES)
            waiting = inflater.unconsumed_tail


_UNPACK: dict[str, Callable[[Iterable[bytes]], Iterable[bytes]]] = {
    "none": lambda chunks: chunks,
    "gzip": _gzip,
    "zip": _zip,
}


# --- records ----------------------------------------------------------------------------------


def _records(chunks: Iterable[bytes], *, quotes: bool = False) -> Iterator[bytes]:
    """Whole records without their line ends; a line end inside quotes belongs to its record.

    Raises `NoPreviewError` when they do not end within the bound.
    """
    held: list[bytes] = []
    is_inside = False
    for line in _lines(chunks):
        held.append(line)
        is_inside ^= quotes and line.count(b'"') % 2 == 1
        if not is_inside:
            yield b"\n".join(held)
            held.clear()


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    scanned_bytes = 0
    for chunk in chunks:
        scanned_bytes += len(chunk)
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
        if scanned_bytes > MAX_SCAN_BYTES:
            raise NoPreviewError(PREVIEW_TOO_FAR)


def taken(rows: Iterable[tuple[Row, int]]) -> list[Row]:
    """As many as one answer may hold, and all that were found before the bound was reached."""
    kept: list[Row] = []
    answer_bytes = 0
    try:
        for row, size_bytes in rows:
            answer_bytes += size_bytes
            if answer_bytes > MAX_RESPONSE_BYTES and kept:
                break
            kept.append(row)
    except NoPreviewError:
        if not kept:
            raise
    return kept


# --- formats ----------------------------------------------------------------------------------

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _json_preview(records: Iterator[bytes], wanted: PreviewRequest) -> Preview:
    columns: list[str] = []

    def rows() -> Iterator[tuple[Row, int]]:
        for record in islice(records, wanted.offset, wanted.offset + wanted.limit):
            found = _object.decode(record)
            columns[:] = columns or list(found)
            yield list(found.values()), len(record)

    found = taken(rows())  # first: it is what finds the columns
    return Preview(columns, found)


def _delimited_preview(records: Iterator[bytes], wanted: PreviewRequest) -> Preview:
    field = _field(wanted.separator.encode())
    header = next(records, b"")
    columns = [str(name or "") for name in _fields(header, field)]
    asked = islice(records, wanted.offset, wanted.offset + wanted.limit)
    return Preview(columns, taken((_fields(record, field), len(record)) for record in asked))


def _field(separator: bytes) -> re.Pattern[bytes]:
    """One field and what follows it: its quoted text, or its plain one."""
    quoted, plain = rb'"([^"]*(?:""[^"]*)*)"', rb"((?:(?!" + re.escape(separator) + rb").)*)"
    return re.compile(
        rb"(?:" + quoted + rb"|" + plain + rb")(" + re.escape(separator) + rb"|\Z)", re.S
    )


def _fields(record: bytes, field: re.Pattern[bytes]) -> Row:
    """The fields of a record. An empty one is null, an empty one in quotes an empty text."""
    row: Row = []
    for found in field.finditer(record):
        quoted, plain, end = found.groups()
        text = plain if quoted is None else quoted.replace(b'""', b'"')
        row.append(None if quoted is None and not plain else text.decode("utf-8", "replace"))
        if not end:
            break
    return row

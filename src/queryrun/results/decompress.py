"""Decompression of result files for previews, in chunks of bounded size."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from queryrun.results.preview_rows import CorruptFileError

_CHUNK_BYTES = 256 * 1024
_GZIP_WINDOW, _RAW_WINDOW = 31, -15
_ZIP_HEADER = struct.Struct("<4s22xHH")
"""A local file header: signature, then the lengths of name and extra fields."""
_ZIP_SIGNATURE = b"PK\x03\x04"


def gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip file. Raises `zlib.error` when it is damaged."""
    return _inflated(chunks, zlib.decompressobj(_GZIP_WINDOW))


def unzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The only member of a zip file that this service wrote."""
    source = iter(chunks)
    head = next(source, b"")
    signature, name_bytes, extra_bytes = _ZIP_HEADER.unpack_from(head)
    if signature != _ZIP_SIGNATURE:
        raise CorruptFileError
    start = _ZIP_HEADER.size + name_bytes + extra_bytes
    yield from _inflated(chain([head[start:]], source), zlib.decompressobj(_RAW_WINDOW))


def _inflated(chunks: Iterable[bytes], inflater: zlib._Decompress) -> Iterator[bytes]:
    for chunk in chunks:
        pending = chunk
        while pending and not inflater.eof:
            yield inflater.decompress(pending, _CHUNK_BYTES)
            pending = inflater.unconsumed_tail

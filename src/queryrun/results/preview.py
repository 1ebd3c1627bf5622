"""The first rows of a result file, without a download, for text formats.

Files of other formats, and compressions that need a library, are read by `columnar.py`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.results.preview_rows import CorruptFileError, Preview, RowWindow

_CORRUPT = (zlib.error, struct.error, UnicodeDecodeError, msgspec.DecodeError)


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """Which rows of which kind of file."""

    content_type: ContentType
    content_encoding: ContentEncoding
    window: RowWindow


def is_simple(content_type: ContentType, content_encoding: ContentEncoding) -> bool:
    """Whether `preview` can read it; otherwise `columnar.columnar_preview` does."""
    return content_type.spec.preview is not None and content_encoding.spec.decompress is not None


def preview(chunks: Iterable[bytes], request: PreviewRequest) -> Preview:
    """The requested rows, from the stored bytes of a file that `is_simple`.

    Fewer than requested when the file ends, or when they would be too much for one response.
    Raises `NoPreviewError` when the first of them lies beyond the scan limit, and
    `CorruptFileError` for bytes that are not a file of that kind.
    """
    read, decompress = request.content_type.spec.preview, request.content_encoding.spec.decompress
    if read is None or decompress is None:
        raise ValueError("not a simple preview")
    try:
        return read(decompress(chunks), request.window)
    except _CORRUPT as error:
        raise CorruptFileError from error

"""A compressed file as one piece of bytes, whichever of its parts is made last."""

from __future__ import annotations

from queryrun.results.compress import Chunks
from queryrun.results.formats import ContentEncoding
from queryrun.results.zip import HeadLast


def packed(encoding: str, chunks: Chunks, name: str = "a_1.csv") -> bytes:
    """The chunks in that encoding."""
    spec = ContentEncoding(encoding).spec
    if spec.archive is not None:
        return in_order(spec.archive(chunks, name))
    assert spec.compress is not None
    return b"".join(bytes(chunk) for chunk in spec.compress(chunks))


def in_order(file: HeadLast) -> bytes:
    """A file whose first bytes come last."""
    body = b"".join(file.body())
    return file.head() + body

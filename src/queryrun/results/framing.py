"""Splits a stream into numbered frames of one size for encryption; the last one is marked."""

from __future__ import annotations

from collections.abc import Iterator

from queryrun.results.compress import Chunks


class BadKeyError(ValueError):
    """An unusable key. The message gives the reason and never contains the key."""


def nonce(number: int, *, is_last: bool) -> bytes:
    """The frame's number and whether it is the last: unique, because each file has its own key."""
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def framed(source: FrameSource, size: int) -> Iterator[tuple[bytes, bool]]:
    """Full frames, then a last one that may be short; an empty file is one empty frame."""
    frame = source.take(size)
    while True:
        following = source.take(size)
        yield frame, not following
        if not following:
            return
        frame = following


class FrameSource:
    """Chunks of any size, read in frames of one size."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = iter(chunks)
        self._buffered = bytearray()

    def take(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end."""
        while len(self._buffered) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffered += chunk
        with memoryview(self._buffered) as view:
            taken = bytes(view[:size])
        del self._buffered[: len(taken)]
        return taken

"""Splits a stream into numbered frames of one size for encryption; the last one is marked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Protocol

from queryrun.results.compress import Chunks
from queryrun.results.zip import HeadLast

_BATCH_BYTES = 1024 * 1024


class Sealer(Protocol):
    """Encrypts one file in frames."""

    header: bytes
    frame_bytes: int
    tag_bytes: int
    """How much longer a sealed frame is."""

    def seal(self, number: int, frame: bytes, *, is_last: bool) -> bytes:
        """One frame. Each number is used once."""
        ...


def sealed(chunks: Chunks, sealer: Sealer) -> Iterator[bytes]:
    """The encrypted file, in batches of about 1 MiB."""
    yield sealer.header
    yield from _sealed(enumerate(framed(FrameSource(chunks), sealer.frame_bytes)), sealer)


class SealedHeadLast:
    """An encrypted file whose first bytes come last: its first frame is sealed at the end.

    That frame is kept in memory meanwhile; its number is used once, like that of any other. See
    `HeadLast`.
    """

    def __init__(self, plain: HeadLast, sealer: Sealer) -> None:
        self._plain = plain
        self._sealer = sealer
        self._first, self._is_only = b"", True
        self.head_bytes = len(sealer.header) + sealer.frame_bytes + sealer.tag_bytes

    def body(self) -> Iterator[bytes]:
        """The sealed frames after the first."""
        unknown = bytes(self._plain.head_bytes)
        source = FrameSource(chain([unknown], self._plain.body()))
        frames = enumerate(framed(source, self._sealer.frame_bytes))
        _, (self._first, self._is_only) = next(frames)
        yield from _sealed(frames, self._sealer)

    def head(self) -> bytes:
        """The header and the first frame."""
        first = self._plain.head() + self._first[self._plain.head_bytes :]
        return self._sealer.header + self._sealer.seal(0, first, is_last=self._is_only)


def _sealed(frames: Iterator[tuple[int, tuple[bytes, bool]]], sealer: Sealer) -> Iterator[bytes]:
    batch: list[bytes] = []
    batch_bytes = 0
    for number, (frame, is_last) in frames:
        batch.append(sealer.seal(number, frame, is_last=is_last))
        batch_bytes += len(batch[-1])
        if batch_bytes >= _BATCH_BYTES:
            yield b"".join(batch)
            batch, batch_bytes = [], 0
    if batch:
        yield b"".join(batch)


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

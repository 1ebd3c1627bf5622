"""A request's body as it arrives: counted, or in chunks (RFC 9112 section 7.1). No I/O."""

from __future__ import annotations

import re

from queryrun.http.server.limits import (
    FREE_CHUNKS,
    MAX_CHUNK_DIGITS,
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
    MIN_CHUNK_BYTES,
)

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,%d})(?:[ \t]*;[ \t]*%b+(?:[ \t]*=[ \t]*(?:%b+|%b))?)*"
    % (MAX_CHUNK_DIGITS, _TOKEN, _TOKEN, _QUOTED)
)
_TRAILER_LINE = re.compile(rb"%b++:[^\x00-\x08\x0a-\x1f\x7f]*+" % _TOKEN)


class BodyRefusedError(Exception):
    """The chunks are malformed, so nobody can tell where the next request begins."""


class CountedBody:
    """A body of a known length. A length of 0 is a request without a body."""

    __slots__ = ("complete", "left")

    def __init__(self, length: int) -> None:
        self.left: int | None = length
        """Bytes that have not arrived; None when nobody knows."""
        self.complete = length == 0

    def feed(self, received: bytes) -> tuple[bytes, bytes]:
        """What of `received` is the body's, and what follows it."""
        left = self.left or 0
        if len(received) < left:
            self.left = left - len(received)
            return received, b""
        self.left, self.complete = 0, True
        return received[:left], received[left:]


class ChunkedBody:
    """A body in chunks. Extensions and trailers are checked, bounded and thrown away."""

    __slots__ = (
        "_bytes",
        "_chunks",
        "_ends_chunk",
        "_in_chunk",
        "_in_trailers",
        "_line",
        "_trailer_bytes",
        "complete",
        "left",
    )

    def __init__(self) -> None:
        self.complete = False
        self.left: int | None = None
        self._in_chunk = 0
        """Bytes of the current chunk that have not arrived."""
        self._ends_chunk = False
        """The CRLF after a chunk's bytes comes next."""
        self._in_trailers = False
        self._line = b""
        """The beginning of a line whose end has not arrived, at most `MAX_CHUNK_LINE_BYTES`, or
        `MAX_TRAILER_BYTES` in trailers."""
        self._trailer_bytes = 0
        self._chunks = 0
        self._bytes = 0
        """Announced by chunks so far."""

    def feed(self, received: bytes) -> tuple[bytes, bytes]:
        """What of `received` is the body's, and what follows it. `BodyRefusedError`."""
        parts: list[bytes] = []
        at = 0
        while at < len(received) and not self.complete:
            if self._in_chunk:
                part = received[at : at + self._in_chunk]
                parts.append(part)
                at += len(part)
                self._in_chunk -= len(part)
                self._ends_chunk = self._in_chunk == 0
            else:
                at = self._read_line(received, at)
        return b"".join(parts), received[at:]

    def _read_line(self, received: bytes, at: int) -> int:
        """Take one line, or what has arrived of it; returns where the rest begins."""
        end = received.find(b"\n", at)
        stop = len(received) if end < 0 else end + 1
        limit = MAX_TRAILER_BYTES if self._in_trailers else MAX_CHUNK_LINE_BYTES
        if len(self._line) + stop - at > limit:
            raise BodyRefusedError("a chunk's line, or the trailers, are too long")
        self._line += received[at:stop]
        if end >= 0:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise BodyRefusedError("lines of a chunked body must end with CRLF")
            self._take_line(line[:-2])
        return stop

    def _take_line(self, line: bytes) -> None:
        if self._ends_chunk:
            if line:
                raise BodyRefusedError("a chunk is longer than it says")
            self._ends_chunk = False
        elif self._in_trailers:
            self._take_trailer(line)
        else:
            match = _CHUNK_LINE.fullmatch(line)
            if match is None:
                raise BodyRefusedError("a chunk's line is not its size in hexadecimal digits")
            self._in_chunk = int(match[1], 16)
            self._in_trailers = self._in_chunk == 0
            self._count(self._in_chunk)

    def _count(self, size: int) -> None:
        """Thousands of chunks of a byte each cost time, and nobody needs them."""
        self._chunks += 1
        self._bytes += size
        if self._chunks > FREE_CHUNKS + self._bytes // MIN_CHUNK_BYTES:
            raise BodyRefusedError("there are too many small chunks")

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise BodyRefusedError("the trailers are too long")
        if not line:
            self.complete, self.left = True, 0
        elif _TRAILER_LINE.fullmatch(line) is None:
            raise BodyRefusedError("a trailer is not `name: value`")

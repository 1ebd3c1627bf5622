"""One request and its response, as the app sees them (ASGI): `receive`, `send`, and the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from queryrun.http.server.body import ChunkedBody, CountedBody
from queryrun.http.server.head import RequestHead
from queryrun.http.server.limits import (
    BODY_HIGH_WATER_BYTES,
    DRAIN_BYTES,
    WRITE_HIGH_WATER_BYTES,
)

Message = MutableMapping[str, Any]
HALF_CLOSED = "half_closed"
"""In the scope's `state` once the peer has closed its side of the connection."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
}


class Wire(Protocol):
    """What an exchange needs of its connection."""

    write_paused: bool

    @property
    def date_header(self) -> bytes:
        """The line with the time, as every response has it."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether the server takes no more requests."""
        ...

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes of a response."""
        ...

    async def drain(self) -> None:
        """Wait until there is room for more of the response, or the connection is gone."""
        ...

    def pause_reading(self) -> None:
        """Leave what arrives in the kernel."""
        ...

    def resume_reading(self) -> None:
        """Read again."""
        ...

    def response_completed(self) -> None:
        """The response to the current request has been written."""
        ...

    def abort(self) -> None:
        """Close at once, because the response cannot be completed."""
        ...


class Exchange:
    """The app's two callables for one request, and where both messages stand."""

    __slots__ = (
        "_body",
        "_chunked_response",
        "_connection",
        "_is_head",
        "_left",
        "_news",
        "_read_to_end",
        "_received",
        "_sent_continue",
        "_unsent_head",
        "disconnected",
        "half_closed",
        "head",
        "keep_alive",
        "response_complete",
        "response_started",
        "scope",
    )

    def __init__(self, connection: Wire, head: RequestHead, scope: Message) -> None:
        self.head = head
        self.scope = scope
        self.keep_alive = head.keep_alive
        self.disconnected = False
        self.half_closed = False
        self.response_started = False
        self.response_complete = False
        self._connection = connection
        self._is_head = head.method == "HEAD"
        self._body = ChunkedBody() if head.chunked else CountedBody(head.content_length)
        self._received = bytearray()
        """Of the body, what the app has not read: at most the high water and one read."""
        self._read_to_end = False
        self._news: asyncio.Event | None = None
        self._sent_continue = not head.expects_continue
        self._chunked_response = False
        self._unsent_head = b""
        """Of a response whose length is known: it goes with the first bytes of the body."""
        self._left: int | None = None
        """Bytes of the response's body to come; None when it ends with its chunks or the
        connection."""

    # --- what the connection tells ------------------------------------------------------------

    @property
    def body_complete(self) -> bool:
        """Whether every byte of the body has arrived."""
        return self._body.complete

    def feed(self, received: bytes) -> bytes:
        """Take what belongs to the body; returns what follows it. `BodyRefusedError`."""
        part, rest = self._body.feed(received)
        if part and not self.response_complete:
            self._received += part
            if len(self._received) > BODY_HIGH_WATER_BYTES:
                self._connection.pause_reading()
        if part or self._body.complete:
            self._tell()
        return rest

    def disconnect(self) -> None:
        """The peer is gone, or has broken the protocol: nothing more arrives or is sent."""
        self.disconnected = True
        self._tell()

    def end_requests(self) -> bool:
        """The peer has closed its side. False: nobody needs a response, because the request can
        never be whole or the response has been written.

        A process that was killed looks the same, so a stream that would not end by itself ends,
        and the app finds `HALF_CLOSED` in the state.
        """
        if self.response_complete or not self._body.complete:
            return False
        self.keep_alive = False
        self.half_closed = True
        self.scope["state"][HALF_CLOSED] = True
        self._tell()
        return True

    def abort(self) -> None:
        """The app has ended without a whole response: send a 500 if nothing was sent, and close."""
        if self.disconnected:
            return
        if not self.response_started:
            self.keep_alive = False
            self._start(500, [(b"content-length", b"0")])
            self._write_head()
            self.response_complete = True
            self._connection.response_completed()
        else:
            self._connection.abort()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()

    # --- what the app calls -------------------------------------------------------------------

    async def receive(self) -> Message:
        """The next part of the body, or `http.disconnect`."""
        if not self._sent_continue and not self.response_started:
            self._sent_continue = True
            self._connection.write(CONTINUE)
        while not self._has_news():
            self._connection.resume_reading()
            self._news = asyncio.Event()
            await self._news.wait()
        if self._is_over():
            return {"type": "http.disconnect"}
        body, self._received = bytes(self._received), bytearray()
        self._read_to_end = self._body.complete
        return {"type": "http.request", "body": body, "more_body": not self._read_to_end}

    def _has_news(self) -> bool:
        if self._is_over() or self._received:
            return True
        return self._body.complete and not self._read_to_end

    def _is_over(self) -> bool:
        """Whether nothing more of the response is needed."""
        is_endless = self.response_started and self._left is None
        return self.disconnected or self.response_complete or (self.half_closed and is_endless)

    async def send(self, message: Message) -> None:
        """Take one part of the response. Returns when the peer has read enough of it; parts for
        a peer that is gone are thrown away."""
        if self._connection.write_paused:
            await self._connection.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.response_started:
            self._start(message["status"], message.get("headers", ()))
        elif kind == "http.response.body" and self.response_started and not self.response_complete:
            await self._send_body(message.get("body", b""), bool(message.get("more_body")))
        else:
            raise RuntimeError(f"the app sent {kind!r} where it does not belong")

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = [_STATUS_LINES[status], self._connection.date_header]
        header_count = 0
        for name, value in headers:
            name = name.lower()
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
                continue
            header_count += 1
            lines += (name, b": ", value, b"\r\n")
        self._frame(status, lines)
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        block = b"".join(lines)
        line_count = 2 + header_count + self._chunked_response + (not self.keep_alive)
        if block.count(b"\n") != line_count or block.count(b"\r") != line_count or b"\0" in block:
            raise RuntimeError("a response header has a line end in it")
        self.response_started = True
        if self.half_closed:
            self._tell()
        self._unsent_head = block + b"\r\n"
        if self._left is None:  # nobody knows when the first bytes of such a body will come
            self._write_head()

    def _write_head(self) -> None:
        head, self._unsent_head = self._unsent_head, b""
        self._connection.write(head)

    def _frame(self, status: int, lines: list[bytes]) -> None:
        """Decide where the response ends, and whether another request can follow."""
        if self._is_head or status in (204, 304):
            self._left = 0
        elif self._left is None and self.head.is_http_1_1:
            self._chunked_response = True
            lines.append(b"transfer-encoding: chunked\r\n")
        elif self._left is None:
            self.keep_alive = False
        if not self._body.complete and not self._can_drain():
            self.keep_alive = False
        if self._connection.is_stopping:
            self.keep_alive = False

    def _can_drain(self) -> bool:
        """Whether the rest of the body is short, and sure to come. A peer that waits for
        `100 Continue` may send it or not, so what follows could be either."""
        left = self._body.left
        return self._sent_continue and left is not None and left <= DRAIN_BYTES

    async def _send_body(self, body: bytes, more: bool) -> None:
        if not self._is_head and body:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0:
                    raise RuntimeError("the response is longer than its Content-Length")
            await self._write_slices(body)
        if not more and not self.disconnected:
            if self._left:
                raise RuntimeError("the response is shorter than its Content-Length")
            if self._unsent_head:
                self._write_head()
            elif self._chunked_response:
                self._connection.write(b"0\r\n\r\n")
            self.response_complete = True
            self._tell()
            self._connection.response_completed()

    async def _write_slices(self, body: bytes) -> None:
        """A slice at a time, so that a peer that reads slowly holds one and not the whole."""
        if len(body) <= WRITE_HIGH_WATER_BYTES:
            self._write(body)
            return
        if self._unsent_head:
            self._write_head()
        view = memoryview(body)
        for at in range(0, len(body), WRITE_HIGH_WATER_BYTES):
            if self._connection.write_paused:
                await self._connection.drain()
            if self.disconnected:
                return
            self._write(view[at : at + WRITE_HIGH_WATER_BYTES])

    def _write(self, part: bytes | memoryview) -> None:
        if self._chunked_response:
            part = b"".join((b"%x\r\n" % len(part), part, b"\r\n"))
        elif self._unsent_head:
            part, self._unsent_head = self._unsent_head + part, b""
        self._connection.write(part)

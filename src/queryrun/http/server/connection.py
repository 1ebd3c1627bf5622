"""One TCP connection: heads are read one at a time, and everything it can hold is bounded."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from enum import Enum
from typing import cast
from urllib.parse import unquote_to_bytes

from queryrun.http.server.body import BodyRefusedError
from queryrun.http.server.exchange import Exchange, Message
from queryrun.http.server.head import HeadRefusedError, RequestHead, check_partial, read_head
from queryrun.http.server.limits import LINGER_BYTES, LINGER_S, WRITE_HIGH_WATER_BYTES
from queryrun.http.server.proxies import address_group, plain_address
from queryrun.http.server.state import ServerState

_END = b"\r\n\r\n"
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class Phase(Enum):
    """What the connection waits for."""

    HEAD = "the rest of a head"
    IDLE = "the next request"
    BUSY = "the app, or the peer"
    LINGER = "the peer to read the last response"
    CLOSED = "nothing"


class Connection(asyncio.BufferedProtocol):
    """A connection of one peer. One request at a time: what follows it waits in the kernel."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.group = ""
        self.is_trusted = False
        self.phase = Phase.HEAD
        self.exchange: Exchange | None = None
        self.write_paused = False
        self._peer = ("", 0)
        self._local: tuple[str, int] | None = None
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._pending = bytearray()
        """Bytes of the next head, or of requests that wait for the response to this one."""
        self._read_paused = False
        self._writable: asyncio.Event | None = None
        self._deadline_s = 0.0
        """Of the phases HEAD, IDLE and LINGER."""
        self._lingered_bytes = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._window: tuple[float, int] | None = None
        """When the measured window of a transfer began, and what had been moved by then."""

    # --- the socket ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        local = transport.get_extra_info("sockname")
        self._peer = (plain_address(peer[0]), peer[1])
        self._local = (local[0], local[1]) if local else None
        self.group = address_group(self._peer[0])
        self.is_trusted = self.state.proxies.trusts(self._peer[0])
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        if self.state.connections.admit(self):
            self._await_head()
        else:
            self._write_refusal(503, "this server has too many connections; try again soon")
            self.phase = Phase.CLOSED
            self._transport.close()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 asyncio passes it
        """All connections of a loop read into the same bytes, one after the other."""
        return self.state.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have arrived."""
        self._bytes_in += nbytes
        if self.phase is Phase.LINGER:
            self._lingered_bytes += nbytes
            if self._lingered_bytes > LINGER_BYTES:
                self._abort()
        elif self.phase is Phase.BUSY:
            self._take_body(bytes(self.state.read_buffer[:nbytes]))
        elif self.phase is not Phase.CLOSED:
            self._take_head(bytes(self.state.read_buffer[:nbytes]))

    def eof_received(self) -> bool:
        """The peer sends nothing more. Whoever asked for something before may still read the
        response (`printf … | nc`); everybody else has closed the connection. Returns whether it
        stays open."""
        exchange = self.exchange
        if self.phase is not Phase.BUSY or exchange is None:
            return False
        return exchange.end_requests()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio passes it
        """The connection is gone, whoever ended it."""
        self.phase = Phase.CLOSED
        self.state.connections.remove(self)
        if self.exchange is not None:
            self.exchange.disconnect()
        self.resume_writing()

    def pause_writing(self) -> None:
        """The peer reads more slowly than the app writes."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """There is room again, or nobody to write to."""
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def pause_reading(self) -> None:
        """Leave what arrives in the kernel, which makes the peer wait."""
        if not self._read_paused and not self._transport.is_closing():
            self._read_paused = True
            self._transport.pause_reading()

    @property
    def date_header(self) -> bytes:
        """The line with the time, as every response has it."""
        return self.state.date_header

    @property
    def is_stopping(self) -> bool:
        """Whether the server takes no more requests."""
        return self.state.is_closing

    def resume_reading(self) -> None:
        """Read again, unless a request that came too early waits here."""
        if self._read_paused and not self._pending and not self._transport.is_closing():
            self._read_paused = False
            self._transport.resume_reading()

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes of a response."""
        self._bytes_out += len(data)
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until there is room for more of the response, or the connection is gone."""
        while self.write_paused:
            if self._writable is None:
                self._writable = asyncio.Event()
            await self._writable.wait()

    # --- requests ------------------------------------------------------------------------------

    def _await_head(self) -> None:
        self.phase = Phase.HEAD
        self._deadline_s = self.state.now_s() + self.state.limits.header_timeout_s

    def _take_head(self, received: bytes) -> None:
        if self.phase is Phase.IDLE:
            self._await_head()
        scanned = max(0, len(self._pending) - 3)
        if self._pending:
            self._pending += received
            received = bytes(self._pending) if _END in self._pending[scanned:] else b""
        try:
            end = received.find(_END, scanned)
            if end < 0:
                self._pending = self._pending or bytearray(received)
                check_partial(self._pending)
                return
            self._pending = bytearray()
            self._begin(read_head(received[: end + 2]), received[end + 4 :])
        except HeadRefusedError as refused:
            self._refuse(refused.status, refused.reason)

    def _begin(self, head: RequestHead, rest: bytes) -> None:
        exchange = self.exchange = Exchange(self, head, self._scope(head))
        self.phase = Phase.BUSY
        self.state.connections.set_busy(self)
        if rest:
            self._take_body(rest)
        if self.exchange is exchange:
            known = self.state.callers.find(head.authorization)
            self.state.turns.take(exchange, address=exchange.scope["client"][0], known=known)

    def _scope(self, head: RequestHead) -> Message:
        """As ASGI's HTTP scope."""
        path = unquote_to_bytes(head.raw_path) if b"%" in head.raw_path else head.raw_path
        address = self._peer[0]
        if self.is_trusted:
            address = self.state.proxies.client_address(address, head.forwarded_for)
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1" if head.is_http_1_1 else "1.0",
            "server": self._local,
            "client": (address, self._peer[1]),
            "scheme": "http",
            "root_path": "",
            "method": head.method,
            "path": path.decode("utf-8", "replace"),
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.headers,
            "state": {},
        }

    def _take_body(self, received: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        try:
            if not exchange.body_complete:
                received = exchange.feed(received)
        except BodyRefusedError as refused:
            self.exchange = None
            exchange.disconnect()
            if exchange.response_started:
                self._abort()
            else:
                self._refuse(400, str(refused))
            return
        if received:
            self._pending += received
            self.pause_reading()
        if exchange.body_complete and exchange.response_complete:
            self._end_exchange()

    def response_completed(self) -> None:
        """The response to the current request has been written."""
        exchange = self.exchange
        if exchange is None:
            return
        if exchange.keep_alive and not self.state.is_closing:
            if exchange.body_complete:
                self._end_exchange()
            else:
                self.resume_reading()
        elif exchange.body_complete and not self._pending:
            self.close()
        else:
            self._linger()

    def _end_exchange(self) -> None:
        """The next request: one that waits here already, or one to come."""
        self.exchange = None
        if self._pending:
            self._await_head()
            self.state.loop.call_soon(self._replay)
        else:
            self.phase = Phase.IDLE
            self._deadline_s = self.state.now_s() + self.state.limits.idle_timeout_s
            self.resume_reading()
        self.state.connections.set_idle(self)

    def _replay(self) -> None:
        """Read what came too early as if it came now."""
        if self.phase is not Phase.HEAD:
            return
        received, self._pending = bytes(self._pending), bytearray()
        self._take_head(received)
        if self.exchange is None and self._read_paused and not self._transport.is_closing():
            self._read_paused = False
            self._transport.resume_reading()

    # --- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Close once everything is sent."""
        self.phase = Phase.CLOSED
        self._transport.close()

    def evict(self) -> None:
        """Make room for another connection. Nothing is in progress."""
        self.phase = Phase.CLOSED
        self._transport.abort()

    def shut_down(self) -> None:
        """The server stops: close now, or after the response that is in progress."""
        if self.phase in (Phase.HEAD, Phase.IDLE):
            self.close()

    def abort(self) -> None:
        """Close at once, because the response cannot be completed."""
        self._abort()

    def _abort(self) -> None:
        self.phase = Phase.CLOSED
        self._transport.abort()

    def _refuse(self, status: int, reason: str) -> None:
        """Say why in a response, and close: nobody knows where the next request would begin."""
        self.state.connections.closed["bad_request"] += 1
        self._pending = bytearray()
        self._write_refusal(status, reason)
        self._linger()

    def _write_refusal(self, status: int, reason: str) -> None:
        retry = b"retry-after: 1\r\n" if status == 503 else b""
        body = f"{reason}\n".encode()
        self.write(
            b"HTTP/1.1 %d %b\r\n%bcontent-type: text/plain; charset=utf-8\r\n%b"
            b"content-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, _REASONS[status].encode(), self.state.date_header, retry, len(body), body)
        )

    def _linger(self) -> None:
        """Read and throw away for a moment: closing on unread bytes would reset the connection,
        and the peer might lose the response (RFC 9112 section 9.6)."""
        self.phase = Phase.LINGER
        self.exchange = None
        self._deadline_s = self.state.now_s() + LINGER_S
        self._pending = bytearray()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self.resume_reading()

    # --- time ----------------------------------------------------------------------------------

    def check_time(self, now_s: float) -> None:
        """Close the connection if its peer has made us wait too long. Called about every second."""
        is_sending = self._transport.get_write_buffer_size() > 0
        if self.phase in (Phase.BUSY, Phase.CLOSED) or is_sending:
            if self._is_too_slow(now_s):
                self.state.connections.closed["too_slow"] += 1
                self._abort()
        elif now_s >= self._deadline_s:
            self._expire()

    def _expire(self) -> None:
        if self.phase is Phase.LINGER:
            self._abort()
        elif self.phase is Phase.IDLE:
            self.state.connections.closed["idle_timeout"] += 1
            self.close()
        else:
            self.state.connections.closed["header_timeout"] += 1
            if self._pending:
                self._write_refusal(408, "the request did not arrive in time")
            self.close()

    def _is_too_slow(self, now_s: float) -> bool:
        """Whether the transfer that is going on, if any, has moved too little in a window."""
        unsent_bytes = self._transport.get_write_buffer_size()
        exchange = self.exchange
        reads = exchange is not None and not exchange.body_complete and not self._read_paused
        if not unsent_bytes and not reads:
            self._window = None
            return False
        moved = self._bytes_in + self._bytes_out - unsent_bytes - self._unacknowledged_bytes()
        if self._window is None:
            self._window = (now_s, moved)
            return False
        limits = self.state.limits
        began_s, moved_before = self._window
        if now_s - began_s < limits.rate_window_s:
            return False
        self._window = (now_s, moved)
        return moved - moved_before < limits.min_rate_bytes_per_s * limits.rate_window_s

    def _unacknowledged_bytes(self) -> int:
        """What the kernel holds for the peer: it may take megabytes before the peer reads any."""
        socket = self._transport.get_extra_info("socket")
        if socket is None or self._transport.is_closing() or socket.fileno() < 0:
            return 0
        try:
            held = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        except OSError:
            return 0
        return int(struct.unpack("i", held)[0])

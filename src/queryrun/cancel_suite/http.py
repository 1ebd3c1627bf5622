"""A cheap HTTP client with keep-alive connections, so that the client costs little time."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools


class ConnectionLost(Exception):
    """The server closed the connection before it responded."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response. `sent_s` and `received_s` are times of the monotonic clock."""

    status: int
    body: bytes
    sent_s: float
    received_s: float

    @property
    def duration_ms(self) -> float:
        """From sending the request to the end of the response."""
        return (self.received_s - self.sent_s) * 1000

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        try:
            data = json.loads(self.body)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}

    @property
    def error_code(self) -> str:
        """The code of the first error, or an empty string."""
        errors = self.json().get("errors") or [{}]
        return str(errors[0].get("code", ""))


class _Connection(asyncio.Protocol):
    """One keep-alive connection that carries one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment] # for a stream it is a Transport

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Called by the parser with a chunk of the body."""
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of the response."""
        response = self._parser.get_status_code(), b"".join(self._chunks)
        self.is_open = self.is_open and self._parser.should_keep_alive()
        self._chunks = []
        self._parser = httptools.HttpResponseParser(self)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Fail the request that waits for a response."""
        self.is_open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLost)

    async def request(self, message: bytes) -> tuple[int, bytes]:
        """Send a request and wait for the whole response."""
        if self._transport is None or not self.is_open:
            raise ConnectionLost
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return await self._waiting

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()


class Http:
    """Requests to one server, over as many kept connections as there are concurrent requests."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._idle: list[_Connection] = []
        self.authorization = ""

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request. A kept connection that the server has closed is replaced once."""
        message = self._message(method, path, body, headers or {})
        async with self._connection() as connection:
            sent_s = time.monotonic()
            try:
                status, content = await connection.request(message)
            except ConnectionLost:
                connection = await self._connect()
                sent_s = time.monotonic()
                status, content = await connection.request(message)
                self._idle.append(connection)
            return Response(status, content, sent_s, time.monotonic())

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        connection = self._idle.pop() if self._idle else await self._connect()
        yield connection
        if connection.is_open:
            self._idle.append(connection)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            _Connection, self._host, self._port, ssl=self._tls
        )
        return connection

    def _message(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Built by hand, so that no client library adds latency to what is measured."""
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"host: {self._host}:{self._port}"]
        if self.authorization:
            lines.append(f"authorization: {self.authorization}")
        if body or method == "POST":
            lines.append(f"content-length: {len(body)}")
        if body and "content-type" not in headers:
            lines.append("content-type: application/json")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

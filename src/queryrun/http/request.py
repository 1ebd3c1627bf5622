"""The request as handlers get it, and the response that they return. No rules here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from queryrun.auth.model import Principal
from queryrun.errors import InvalidRequest
from queryrun.http.limits import Quota

JSON = "application/json"
MAX_QUERY_PARAMETERS = 500


class ApiVersion(Enum):
    """Whose body shapes an answer uses: problems are rendered by face (contract D1, D2, E)."""

    V2 = "v2"
    V1 = "v1"
    OAUTH = "oauth"


def api_version_of(path: str) -> ApiVersion:
    """The face a path belongs to; everything that is not another face's is v2's."""
    if path.startswith("/query/jobs"):
        return ApiVersion.V1
    return ApiVersion.OAUTH if path.startswith("/oauth/") else ApiVersion.V2


@dataclass(slots=True)
class ApiRequest:
    """What is known about one request so far; filled in as it passes the stages of `app.py`."""

    scope: Scope
    receive: Receive
    api_version: ApiVersion
    request_id: str
    headers: dict[bytes, bytes]
    """Names in lower case; of a repeated header the first counts."""
    route: str = "-"
    """The path as the route table writes it, for logs and metrics: never the path as sent."""
    path_parameters: dict[str, str] = field(default_factory=dict)
    track_id: str | None = None
    principal: Principal | None = None
    quota: Quota | None = None
    at_once: int | None = None
    """Requests of the tenant in flight with this one; on v1 alone."""
    run_id: str | None = None
    deadline: asyncio.Timeout | None = None
    _query: list[tuple[str, str]] | None = None

    @property
    def method(self) -> str:
        """The HTTP method, in capitals."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path as sent, percent-decoded."""
        return str(self.scope["path"])

    @property
    def who(self) -> Principal:
        """The principal; only behind a route that wants a bearer token."""
        if self.principal is None:
            raise LookupError("this route was not declared to need a principal")
        return self.principal

    @property
    def address(self) -> str:
        """The peer's address; the server sets it from a trusted proxy's header where told to."""
        client = self.scope.get("client")
        return str(client[0]) if client else "unknown"

    def header(self, name: bytes) -> str | None:
        """The header's text without outer blanks; None when absent or empty."""
        raw = self.headers.get(name)
        return raw.decode("latin-1").strip() or None if raw else None

    def query(self) -> list[tuple[str, str]]:
        """The query parameters in order, decoded; bracketed names in either spelling."""
        if self._query is None:
            self._query = _parse_query(self.scope["query_string"])
        return self._query

    def values(self, name: str) -> list[str]:
        """Every value of one query parameter, in order."""
        return [value for key, value in self.query() if key == name]

    def extend_deadline(self, seconds: float) -> None:
        """Allow this request `seconds` more: a wait that the caller asked for is no time-out."""
        if self.deadline is not None and (at := self.deadline.when()) is not None:
            self.deadline.reschedule(at + seconds)


def _parse_query(raw: bytes) -> list[tuple[str, str]]:
    if not raw:
        return []
    try:
        return parse_qsl(
            raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_PARAMETERS
        )
    except ValueError as error:
        message = f"at most {MAX_QUERY_PARAMETERS} query parameters are allowed"
        raise InvalidRequest.of("query", message) from error


@dataclass(slots=True)
class Response:
    """What goes back: a whole body, or a stream of known length."""

    status: int
    body: bytes = b""
    content_type: str | None = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    stream: AsyncIterator[bytes] | None = None
    stream_bytes: int | None = 0
    """None: a live stream, of which nobody knows how long it will be."""
    on_end: Callable[[], None] | None = None
    """Called once the answer has been sent, or could not be."""

    @property
    def length(self) -> int | None:
        """Bytes of the body as sent; None for a live stream."""
        return self.stream_bytes if self.stream is not None else len(self.body)

    async def send(self, request: ApiRequest, send: Send) -> None:
        """Put the answer on the wire. HEAD and 304 get the headers alone."""
        await send(
            {"type": "http.response.start", "status": self.status, "headers": self._raw_headers()}
        )
        if request.method == "HEAD" or self.status in (204, 304):
            await send({"type": "http.response.body", "body": b""})
        elif self.stream is None:
            await send({"type": "http.response.body", "body": self.body})
        elif self.stream_bytes is None:
            await _send_live(self.stream, request.receive, send)
        else:
            await self._send_stream(self.stream, send)

    async def _send_stream(self, stream: AsyncIterator[bytes], send: Send) -> None:
        async for piece in stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _raw_headers(self) -> list[tuple[bytes, bytes]]:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        if self.content_type is not None:
            raw.append((b"content-type", self.content_type.encode("latin-1")))
        if self.status not in (204, 304) and self.length is not None:
            raw.append((b"content-length", str(self.length).encode("latin-1")))
        return raw


async def _send_live(stream: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Pieces as they come, until there are no more or the caller has gone: a server would go on
    taking pieces for somebody who hung up."""
    gone = asyncio.ensure_future(_gone(receive))
    try:
        while (piece := await _next_unless(stream, gone)) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _next_unless(stream: AsyncIterator[bytes], gone: asyncio.Future[None]) -> bytes | None:
    """The next piece; None at the end, or when the caller is gone."""
    coming = asyncio.ensure_future(_next(stream))
    try:
        either: set[asyncio.Future[Any]] = {coming, gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    return await anext(stream, None)


async def _gone(receive: Receive) -> None:
    """Return when the caller hung up; a body that still comes is thrown away."""
    while (await receive())["type"] != "http.disconnect":
        pass

"""`GET /v2/query_runs/{query_run_id}/events`: changes of a run as server-sent events.

`state` events carry an id; a client that reconnects with `Last-Event-ID` misses none. `progress`
events have none: each replaces those before it. (WHATWG HTML, section 9.2.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from queryrun.auth.tokens import token_digest
from queryrun.errors import InvalidRequest
from queryrun.http.concurrency import StreamLimit
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.revocation import StreamToken
from queryrun.http.times import iso
from queryrun.http.v2.records import progress_object
from queryrun.runs.follow import KeepAlive, RunUpdate, follow
from queryrun.runs.listen import listening
from queryrun.runs.model import AttemptProgress, RunEventRecord
from queryrun.runs.read import read_one

EVENT_STREAM = "text/event-stream"
HEARTBEAT = b": still here\n\n"
RETRY = b"retry: 1000\n\n"
"""How many milliseconds a browser waits before it reconnects to a broken stream."""

HEADERS = {
    "content-type": EVENT_STREAM,
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
"""The last one makes nginx forward chunks without buffering."""


class EventStream(StreamingResponse):
    """A live response that counts against its client's streams until it is closed or breaks."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        streams: StreamLimit,
        client_id: str,
        listener: AbstractAsyncContextManager[None],
    ) -> None:
        super().__init__(chunks, headers=HEADERS)
        self._listener = listener
        self._streams = streams
        self._client_id = client_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until there are no more or the client disconnects."""
        try:
            async with self._listener:
                await super().__call__(scope, receive, send)
        finally:
            self._streams.release(self._client_id)


async def run_events(app: AppContext, request: ApiRequest) -> Response:
    """The run's event records from its creation, or after `Last-Event-ID`, and progress meanwhile.

    Ends after the event that made the run terminal, and as soon as the token is revoked. A client
    that has seen that event gets 204, which stops a browser from reconnecting.
    """
    after = _last_event_time(request)
    run = await read_one(app.runs, request.principal, request.path_params["query_run_id"])
    if run.state.is_terminal and after is not None and after >= run.updated_time:
        return Response(status_code=204)
    if request.method == "HEAD":
        return Response(headers=HEADERS)
    updates = follow(app.runs, run.id, after, app.settings.follow_options)
    who = request.principal
    token = StreamToken(token_digest(request.authorization or ""), who.scopes, who.org_ids)
    chunks = _chunks(app.stream_tokens.while_valid(token, updates))
    app.streams.acquire(who.client_id)
    return EventStream(chunks, app.streams, who.client_id, listening(app.runs, run))


def _last_event_time(request: ApiRequest) -> datetime | None:
    """An event's id is its time in milliseconds."""
    text = request.header(b"last-event-id")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 14):
        message = "'last-event-id' must be the id of an event of this stream"
        raise InvalidRequest.of("last-event-id", message)
    return datetime.fromtimestamp(int(text) / 1000, UTC)


async def _chunks(steps: AsyncIterator[RunUpdate]) -> AsyncIterator[bytes]:
    yield RETRY
    async for step in steps:
        yield _chunk(step)


def _chunk(step: RunUpdate) -> bytes:
    if isinstance(step, KeepAlive):
        return HEARTBEAT
    if isinstance(step, AttemptProgress):
        return _event("progress", progress_object(step))
    return b"id: %d\n" % _id_of(step) + _event("state", _record_object(step))


def _id_of(record: RunEventRecord) -> int:
    """A run's event records are in order, and no two are in the same millisecond."""
    return round(record.at.timestamp() * 1000)


def _event(name: str, data: dict[str, object]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


def _record_object(record: RunEventRecord) -> dict[str, object]:
    """The creation has no event record in the store; callers see it as `accept`."""
    return {
        "id": record.run_id,
        "state": record.state.public.value,
        "event": "accept" if record.event is None else record.event.value,
        "attempt": record.attempt,
        "time": iso(record.at),
    }

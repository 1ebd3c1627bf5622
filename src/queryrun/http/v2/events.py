"""`GET /v2/query_runs/{query_run_id}/events`: what happens to a run, as server-sent events.

`state` events carry an id; a client that comes back with `Last-Event-ID` misses none. `progress`
events have none: the next one says all that the lost ones did. (WHATWG HTML, section 9.2.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec

from queryrun.errors import InvalidRequest
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest, Response
from queryrun.http.times import iso
from queryrun.http.v2.render import progress_object
from queryrun.runs.follow import KeepAlive, RunUpdate, follow
from queryrun.runs.model import AttemptProgress, RunEventRecord
from queryrun.runs.read import read_one

EVENT_STREAM = "text/event-stream"
HEARTBEAT = b": still here\n\n"
RETRY = b"retry: 1000\n\n"
"""How many milliseconds a browser waits before it comes back to a stream that broke."""

HEADERS = [("cache-control", "no-store"), ("x-accel-buffering", "no")]
"""The second asks proxies of one kind to pass pieces on as they come."""


async def run_events(app: AppContext, request: ApiRequest) -> Response:
    """The run's event records from its creation, or after `Last-Event-ID`, and progress meanwhile.

    Ends after the event that ended the run. Asked for more after that event: 204, which tells a
    browser not to come back.
    """
    request.run_id = request.path_parameters["query_run_id"]
    after = _last_seen(request)
    run = await read_one(app.runs, request.who, request.run_id)
    if run.state.is_terminal and after is not None and after >= run.updated_time:
        return Response(204, content_type=None)
    response = Response(200, content_type=EVENT_STREAM, headers=list(HEADERS), stream_bytes=None)
    if request.method == "HEAD":
        return response
    response.on_end = app.streams.take(request.who.client_id)
    response.stream = _pieces(follow(app.runs, run.id, after, app.settings.follow_options))
    return response


def _last_seen(request: ApiRequest) -> datetime | None:
    text = request.header(b"last-event-id")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 14):
        message = "'last-event-id' must be the id of an event of this stream"
        raise InvalidRequest.of("last-event-id", message)
    return datetime.fromtimestamp(int(text) / 1000, UTC)


async def _pieces(steps: AsyncIterator[RunUpdate]) -> AsyncIterator[bytes]:
    yield RETRY
    async for step in steps:
        yield _written(step)


def _written(step: RunUpdate) -> bytes:
    if isinstance(step, KeepAlive):
        return HEARTBEAT
    if isinstance(step, AttemptProgress):
        return _event("progress", progress_object(step))
    return b"id: %d\n" % _id_of(step) + _event("state", _record_object(step))


def _id_of(record: RunEventRecord) -> int:
    """A run's event records are each at a millisecond of their own, in order."""
    return round(record.at.timestamp() * 1000)


def _event(name: str, data: dict[str, object]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


def _record_object(record: RunEventRecord) -> dict[str, object]:
    return {
        "id": record.run_id,
        "state": record.state.public.value,
        "event": "accept" if record.event is None else record.event.value,
        "attempt": record.attempt,
        "time": iso(record.at),
    }

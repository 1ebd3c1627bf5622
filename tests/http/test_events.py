"""`GET /v2/query_runs/{id}/events`: moves and progress as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from queryrun.http.app import build_app
from queryrun.http.context import HttpSettings
from queryrun.http.v2 import events
from queryrun.runs.follow import FollowOptions
from queryrun.runs.model import AttemptProgress, AttemptRef, Stage
from tests.conftest import Clock
from tests.http.app_harness import DEFAULT_SETTINGS, NO_RATES, NODE, AppHarness, open_app_harness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


@dataclass
class Listener:
    """One open stream, and what was received."""

    received: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0

    async def receive(self) -> dict[str, Any]:
        await self.hang_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.received.put_nowait(message.get("body", b""))
            if not message.get("more_body"):
                self.received.put_nowait(None)

    async def chunk(self) -> bytes | None:
        """The next chunk as it was sent; None at the end."""
        async with asyncio.timeout(20):
            chunk = await self.received.get()
            return await self.chunk() if chunk in (b"", events.RETRY) else chunk

    async def event(self) -> dict[str, Any]:
        """The next event; its name as `name` and, where it has one, its id as `last`."""
        chunk = await self.chunk()
        assert chunk is not None
        fields = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if line)
        content = {"name": fields["event"], "last": fields.get("id"), **json.loads(fields["data"])}
        return {name: value for name, value in content.items() if value is not None}


class Seen:
    """The progress of runs, as the dispatcher reports it."""

    def __init__(self) -> None:
        self.progress: dict[str, AttemptProgress] = {}

    def __call__(self, run_id: str) -> AttemptProgress | None:
        return self.progress.get(run_id)


@dataclass
class Watched:
    """A service whose runs have progress."""

    harness: AppHarness
    seen: Seen

    def report_progress(self, run_id: str, progress: AttemptProgress) -> None:
        """As if the run's worker reported its progress."""
        self.seen.progress[run_id] = progress
        self.harness.changes.notify_progress(run_id)

    async def read(self, run_id: str, fields: str) -> dict[str, Any]:
        response = await self.harness.call("GET", f"{RUNS}/{run_id}", params={"fields[]": fields})
        return dict(response.json())

    @asynccontextmanager
    async def listen(self, run_id: str, last: str | None = None) -> AsyncIterator[Listener]:
        """A stream of the run's events, hung up at the end of the block."""
        headers = [(b"authorization", f"Bearer {self.harness.token}".encode())]
        headers += [] if last is None else [(b"last-event-id", last.encode())]
        path = f"{RUNS}/{run_id}/events"
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        listener = Listener()
        app = self.harness.http._transport.app  # type: ignore[attr-defined] # its ASGI app
        task = asyncio.create_task(
            app({**scope, "query_string": b""}, listener.receive, listener.send)
        )
        try:
            yield listener
        finally:
            listener.hang_up.set()
            await task


@asynccontextmanager
async def opened(directory: Path, clock: Clock, settings: HttpSettings) -> AsyncIterator[Watched]:
    seen = Seen()
    async with open_app_harness(directory, clock, settings) as harness:
        app = replace(harness.app, runs=replace(harness.app.runs, progress=seen))
        harness.http._transport.app = build_app(app)  # type: ignore[attr-defined] # the same transport
        yield Watched(harness, seen)


@pytest.fixture
async def watched(tmp_path: Path, clock: Clock) -> AsyncIterator[Watched]:
    async with opened(tmp_path, clock, replace(DEFAULT_SETTINGS, api_rates=NO_RATES)) as built:
        yield built


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_stream_has_every_event_and_ends_with_the_run(
    watched: Watched, moment: str
) -> None:
    run_id = (await watched.harness.create())["id"]
    async with contextlib.AsyncExitStack() as stack:
        if moment == "before":
            listener = await stack.enter_async_context(watched.listen(run_id))
            assert (await listener.event())["event"] == "accept"
        await watched.harness.complete(run_id)
        if moment == "after":
            listener = await stack.enter_async_context(watched.listen(run_id))
            assert (await listener.event())["event"] == "accept"
        claimed, completed = await listener.event(), await listener.event()
        end = await listener.chunk()
    assert (claimed["event"], claimed["state"], claimed["attempt"]) == ("claim", "in_progress", 1)
    assert (completed["event"], completed["state"]) == ("complete", "complete")
    assert end is None
    assert listener.headers["content-type"] == "text/event-stream"
    assert "content-length" not in listener.headers


async def test_a_listener_that_reconnects_gets_every_event_exactly_once(
    watched: Watched,
) -> None:
    run_id = (await watched.harness.create())["id"]
    async with watched.listen(run_id) as first:
        last = (await first.event())["last"]
    await watched.harness.complete(run_id)
    async with watched.listen(run_id, last) as second:
        received = [(await second.event())["event"], (await second.event())["event"]]
        assert await second.chunk() is None
    assert received == ["claim", "complete"]


async def test_a_client_that_has_the_last_event_must_not_reconnect(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    await watched.harness.complete(run_id)
    async with watched.listen(run_id) as listener:
        last = [(await listener.event())["last"] for _ in range(3)][-1]
    async with watched.listen(run_id, last) as again:
        pass
    assert again.status == 204


async def test_progress_is_sent_between_state_events_without_an_id(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    await watched.harness.claim(run_id)
    async with watched.listen(run_id) as listener:
        assert [(await listener.event())["name"] for _ in range(2)] == ["state", "state"]
        watched.report_progress(run_id, AttemptProgress(Stage.EXECUTING, 12.5, 3, 40))
        progress = await listener.event()
    assert progress == {
        "name": "progress",
        "percent": 12.5,
        "rows": 3,
        "size_bytes": 40,
        "stage": "executing",
    }


OTHER_NODE_PROGRESS = AttemptProgress(Stage.WRITING, 12.5, 3, 40)


async def reported_by_other_node(watched: Watched, run_id: str) -> AttemptRef:
    """Another node works on the run, and wrote down how far it is."""
    ref = await watched.harness.claim(run_id)
    store = watched.harness.app.runs.store
    await store.extend(NODE, [ref], lease_s=60, progress={ref: OTHER_NODE_PROGRESS})
    return ref


async def test_progress_of_a_run_on_another_node_is_rendered(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    assert await watched.read(run_id, "progress") == {}
    await reported_by_other_node(watched, run_id)
    expected = {"percent": 12.5, "rows": 3, "size_bytes": 40, "stage": "writing"}
    assert await watched.read(run_id, "progress") == {"progress": expected}
    watched.report_progress(run_id, AttemptProgress(Stage.COMMITTING, 100, 9, 90))
    expected = {"percent": 100, "rows": 9, "size_bytes": 90, "stage": "committing"}
    assert await watched.read(run_id, "progress") == {"progress": expected}, "here is newer"


async def test_progress_of_a_run_on_another_node_is_sent(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    ref = await reported_by_other_node(watched, run_id)
    async with watched.listen(run_id) as listener:
        assert [(await listener.event())["name"] for _ in range(2)] == ["state", "state"]
        progress = await listener.event()
        headers = {"prefer": "respond-async"}
        await watched.harness.call("POST", f"{RUNS}/{run_id}/cancel", headers=headers)
        assert (await listener.event())["event"] == "cancel", "progress is sent once"
        await watched.harness.free(ref)
        assert (await listener.event())["event"] == "freed"
    assert (progress["name"], progress["rows"], progress["stage"]) == ("progress", 3, "writing")


async def test_a_cancel_reads_in_progress_until_the_engine_is_free(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    ref = await watched.harness.claim(run_id)
    async with watched.listen(run_id) as listener:
        [await listener.event() for _ in range(2)]
        headers = {"prefer": "respond-async"}
        await watched.harness.call("POST", f"{RUNS}/{run_id}/cancel", headers=headers)
        event = await listener.event()
        await watched.harness.free(ref)
        freed = await listener.event()
    assert (event["event"], event["state"]) == ("cancel", "in_progress")
    assert (freed["event"], freed["state"]) == ("freed", "canceled")


async def test_a_stream_ends_when_the_node_drains(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    async with watched.listen(run_id) as listener:
        await listener.event()
        watched.harness.knobs.accepting = False
        watched.harness.changes.notify_all()
        assert await listener.chunk() is None


async def test_a_quiet_stream_is_kept_open(tmp_path: Path, clock: Clock) -> None:
    options = FollowOptions(keep_alive_s=0.01, max_duration_s=60)
    settings = replace(DEFAULT_SETTINGS, api_rates=NO_RATES, follow_options=options)
    async with opened(tmp_path, clock, settings) as watched:
        run_id = (await watched.harness.create())["id"]
        async with watched.listen(run_id) as listener:
            await listener.event()
            assert await listener.chunk() == events.HEARTBEAT
            assert await listener.chunk() == events.HEARTBEAT


async def test_a_stream_has_its_own_time_limit(tmp_path: Path, clock: Clock) -> None:
    options = FollowOptions(keep_alive_s=60, max_duration_s=0.01)
    settings = replace(DEFAULT_SETTINGS, api_rates=NO_RATES, follow_options=options)
    async with opened(tmp_path, clock, settings) as watched:
        run_id = (await watched.harness.create())["id"]
        async with watched.listen(run_id) as listener:
            await listener.event()
            assert await listener.chunk() is None


async def test_streams_per_client_are_limited(tmp_path: Path, clock: Clock) -> None:
    settings = replace(DEFAULT_SETTINGS, api_rates=NO_RATES, max_streams_per_client=1)
    async with opened(tmp_path, clock, settings) as watched:
        run_id = (await watched.harness.create())["id"]
        async with watched.listen(run_id) as first:
            await first.event()
            refused = await watched.harness.call("GET", f"{RUNS}/{run_id}/events")
        async with watched.listen(run_id) as again:
            await again.event()
    assert_problem(refused, 429)
    assert refused.headers["retry-after"] == "5"


async def test_a_caller_that_disconnects_is_removed(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    async with watched.listen(run_id) as listener:
        await listener.event()
    assert watched.harness.changes._subscriptions == {}


async def test_a_head_opens_no_stream(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    response = await watched.harness.call("HEAD", f"{RUNS}/{run_id}/events")
    assert response.headers["content-type"] == "text/event-stream"
    assert response.content == b""


@pytest.mark.parametrize("last", ["x", "1" * 15, "-1", "1.5"])
async def test_an_id_that_was_never_given_is_refused(watched: Watched, last: str) -> None:
    run_id = (await watched.harness.create())["id"]
    headers = {"last-event-id": last}
    response = await watched.harness.call("GET", f"{RUNS}/{run_id}/events", headers=headers)
    assert_problem(response, 400, "last-event-id")


async def test_another_users_run_has_no_events(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    token = await watched.harness.new_token()
    response = await watched.harness.call("GET", f"{RUNS}/{run_id}/events", token=token)
    assert_problem(response, 404, "query_run_id", code="resource_not_found")


# --- fields[]=progress,waiting_for ----------------------------------------------------------


async def test_progress_is_sent_while_running_and_complete_at_the_end(watched: Watched) -> None:
    run_id = (await watched.harness.create())["id"]
    assert await watched.read(run_id, "progress") == {}
    watched.report_progress(run_id, AttemptProgress(Stage.WRITING, None, 7, 90))
    assert await watched.read(run_id, "progress") == {
        "progress": {"percent": None, "rows": 7, "size_bytes": 90, "stage": "writing"}
    }
    await watched.harness.complete(run_id, b"one\n1\n")
    assert await watched.read(run_id, "progress") == {
        "progress": {"percent": 100.0, "rows": 1, "size_bytes": 6}
    }


async def test_a_waiting_run_reports_what_it_waits_for(watched: Watched) -> None:
    first = (await watched.harness.create())["id"]
    second = (await watched.harness.create())["id"]
    fields = "queue_position,waiting_for"
    assert await watched.read(first, fields) == {"queue_position": 0, "waiting_for": "slot"}
    assert await watched.read(second, fields) == {"queue_position": 1, "waiting_for": "turn"}
    await watched.harness.complete(first)
    assert await watched.read(first, fields) == {}

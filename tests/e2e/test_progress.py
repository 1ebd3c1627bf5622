"""Progress of a real statement: reported while it runs, and never decreasing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx

from tests.e2e.conftest import RUNAWAY, Server

Serve = Callable[..., Server]

LONG = "SELECT i, hash(i) AS h FROM range(6000000) r(i)"
"""Takes some seconds to write."""
NO_ROW_LIMIT = {"QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0"}


def events(server: Server, run_id: str, last: str | None = None) -> Iterator[dict[str, Any]]:
    """The events of a run, as a client of the stream reads them, to its end."""
    headers = {} if last is None else {"last-event-id": last}
    path = f"/v2/query_runs/{run_id}/events"
    with server.http.stream("GET", path, headers=headers, timeout=60) as response:
        assert response.status_code == 200
        name, last_id = "", ""
        for line in response.iter_lines():
            word, _, value = line.partition(": ")
            if word == "event":
                name = value
            elif word == "id":
                last_id = value
            elif word == "data":
                yield {"name": name, "last": last_id, **json.loads(value)}


def test_progress_is_reported_while_the_statement_runs(serve: Serve) -> None:
    """`benchmarks/progress.py` measures how soon."""
    server = serve(NO_ROW_LIMIT)
    run_id = server.submit(LONG)["id"]
    assert any(
        event["name"] == "progress" and event["rows"] > 0 for event in events(server, run_id)
    )
    run_id = server.submit(LONG)["id"]
    while not (progress := server.get(run_id, "progress").get("progress")):
        pass
    assert set(progress) == {"percent", "rows", "size_bytes", "stage"}
    server.cancel(run_id)


def test_progress_never_decreases_and_the_stream_ends_with_the_run(serve: Serve) -> None:
    server = serve(NO_ROW_LIMIT)
    run_id = server.submit(LONG)["id"]
    received = list(events(server, run_id))
    progress = [event for event in received if event["name"] == "progress"]
    assert len(progress) >= 2
    for figure in ("rows", "size_bytes"):
        values = [event[figure] for event in progress]
        assert values == sorted(values)
    percents = [event["percent"] for event in progress if event["percent"] is not None]
    assert percents == sorted(percents)
    assert [event["event"] for event in received if event["name"] == "state"] == [
        "accept",
        "claim",
        "complete",
    ]
    assert server.get(run_id, "progress")["progress"] == {
        "percent": 100.0,
        "rows": 6_000_000,
        "size_bytes": server.get(run_id, "file.size")["file"]["size"],
    }


def test_a_broken_stream_is_resumed(common: Server) -> None:
    server = common
    run_id = server.submit(RUNAWAY)["id"]
    stream = events(server, run_id)
    accepted = next(stream)
    stream.close()  # type: ignore[attr-defined] # a generator
    server.cancel(run_id)
    rest = [e["event"] for e in events(server, run_id, accepted["last"]) if e["name"] == "state"]
    assert rest in (["claim", "cancel", "freed"], ["cancel"])


def test_neither_a_wait_nor_a_stream_delays_the_shutdown(serve: Serve) -> None:
    server = serve({"QUERYRUN_SERVER__DRAIN_TIMEOUT_S": "0"})
    run_id = server.submit(RUNAWAY)["id"]
    stream = events(server, run_id)
    assert next(stream)["event"] == "accept"
    with ThreadPoolExecutor(1) as pool:
        path = f"/v2/query_runs/{run_id}"
        waiting = pool.submit(server.http.get, path, headers={"prefer": "wait=60"})
        server.computing_worker(run_id)
        server.process.terminate()
        for event in stream:
            assert event["name"] in ("state", "progress")
        assert waiting.result().json()["state"] in ("in_progress", "accepted")  # requeued
        assert server.process.wait(timeout=30) == 0


def test_responses_have_no_server_header(common: Server) -> None:
    response = httpx.get(f"{common.url}/healthz")
    assert "server" not in response.headers

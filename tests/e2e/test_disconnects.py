"""A run whose asker is gone ends by itself, if it was submitted so; else it is kept."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx

from tests.e2e.conftest import Server
from tests.faults.node_harness import RUNAWAY

Serve = Callable[..., Server]

TIMEOUT_S = 60.0


def submit(http: httpx.Client, **more: object) -> str:
    body = {"sql": RUNAWAY, "content_type": "csv", **more}
    response = http.post("/v2/query_runs", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def open_request(http: httpx.Client, lines: list[str], body: bytes = b"") -> socket.socket:
    """A request on a connection of its own, which the caller breaks."""
    url = urlsplit(str(http.base_url))
    connection = socket.create_connection((url.hostname or "", url.port or 0))
    head = [*lines, f"host: {url.netloc}", f"authorization: {http.headers['authorization']}"]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return connection


def finished(http: httpx.Client, run_id: str) -> dict[str, Any]:
    """The run once it is terminal. The list is no listener."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        [run] = [one for one in listed(http) if one["id"] == run_id]
        if run["state"] in ("canceled", "complete", "failed"):
            return run
        time.sleep(0.1)
    raise AssertionError("the run goes on")


def listed(http: httpx.Client) -> list[dict[str, Any]]:
    """The runs, as a list has them."""
    response = http.get("/v2/query_runs?fields[]=id,state,tags,cancellation")
    assert response.status_code == 200, response.text
    runs: list[dict[str, Any]] = response.json()["data"]
    return runs


def was_stopped_for(run: dict[str, Any], reason: str) -> bool:
    return bool(run["state"] == "canceled" and run["cancellation"]["reason"] == reason)


def test_a_run_ends_when_who_waited_for_it_is_gone(serve: Serve) -> None:
    http = serve().http
    body = {"sql": RUNAWAY, "content_type": "csv", "cancel_on_disconnect": 0}
    raw = json.dumps(body | {"tags": {"name": "waited"}}).encode()
    lines = [
        "POST /v2/query_runs HTTP/1.1",
        "prefer: wait=50",
        "content-type: application/json",
        f"content-length: {len(raw)}",
    ]
    connection = open_request(http, lines, raw)
    run_id = ""
    while not run_id:
        waited = [one["id"] for one in listed(http) if one.get("tags") == {"name": "waited"}]
        run_id = waited[0] if waited else ""
    time.sleep(5)  # longer than a run without a listener is kept
    assert listed(http)[0]["state"] in ("accepted", "in_progress")
    connection.close()
    run = finished(http, run_id)
    assert was_stopped_for(run, "disconnect")
    assert run["cancellation"]["engine_stop"] in ("interrupted", "killed")


def test_a_run_ends_when_who_followed_it_is_gone(serve: Serve) -> None:
    http = serve().http
    run_id = submit(http, cancel_on_disconnect=1)
    connection = open_request(http, [f"GET /v2/query_runs/{run_id}/events HTTP/1.1"])
    assert connection.recv(64)
    connection.close()
    assert was_stopped_for(finished(http, run_id), "disconnect")


def test_a_run_is_kept_unless_it_was_submitted_to_end(serve: Serve) -> None:
    http = serve().http
    kept = [submit(http), submit(http, cancel_on_disconnect=0, keep=True)]
    for run_id in kept:
        connection = open_request(http, [f"GET /v2/query_runs/{run_id}/events HTTP/1.1"])
        assert connection.recv(64)
        connection.close()
    gone = submit(http, cancel_on_disconnect=0)
    assert was_stopped_for(finished(http, gone), "disconnect")
    for run_id in kept:
        http.post(f"/v2/query_runs/{run_id}/cancel")
        assert was_stopped_for(finished(http, run_id), "user")

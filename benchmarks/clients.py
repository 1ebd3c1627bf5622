"""What users notice first: the command line's start, the client's own CPU, the first progress."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx

from benchmarks import table
from benchmarks.served import Served, served
from queryrun_client import Client, Options

STARTS = 20
SUBMITS = 500
ROUNDS = 8
LONG = "SELECT i, hash(i) AS h FROM range(20000000) r(i)"
"""Writes for some seconds."""


def measure() -> None:
    """Print the table of starts, client CPU and first progress."""
    with served() as server:
        rows = [_help(), _client_cpu(server), _progress(server)]
    head = ["what", "count", "p50 ms", "max ms", "bar ms"]
    table.show("What users notice first", head, rows)


def _help() -> list[str]:
    """From the start of the process to its end."""
    program = Path(sys.executable).parent / "queryrun"
    duration_ms = []
    for _ in range(STARTS):
        began = time.monotonic()
        subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
        duration_ms.append((time.monotonic() - began) * 1000)
    return _row("`queryrun --help`", duration_ms, 150)


def _client_cpu(server: Served) -> list[str]:
    """CPU of this process per submit and, for comparison, of the HTTP library alone."""
    duration_ms = []
    options = Options(token=server.token)
    with Client(server.url, options=options) as client:
        client.submit("SELECT 1")
        for _ in range(SUBMITS):
            began = time.process_time()
            client.submit("SELECT 1")
            duration_ms.append((time.process_time() - began) * 1000)
    bare_ms = _bare_cpu_ms(server)
    mean_ms = sum(duration_ms) / len(duration_ms)
    what = f"client CPU per submit (mean {mean_ms:.2f}, HTTP library alone {bare_ms:.2f})"
    return _row(what, duration_ms, 1)


def _bare_cpu_ms(server: Served) -> float:
    body = {"sql": "SELECT 1", "content_type": "json"}
    server.http.post("/v2/query_runs", json=body)
    began = time.process_time()
    for _ in range(SUBMITS):
        server.http.post("/v2/query_runs", json=body)
    return (time.process_time() - began) * 1000 / SUBMITS


def _progress(server: Served) -> list[str]:
    """From the claim of a run to the first progress in its stream of events."""
    _drain(server)
    duration_ms = [_first_progress_ms(server) for _ in range(ROUNDS)]
    return _row("start of a run to its first progress", duration_ms, 1000)


def _drain(server: Served) -> None:
    params = {"filter[]": "state.IN:[accepted,in_progress]", "page_size": "1"}
    while server.http.get("/v2/query_runs", params=params).json()["data"]:
        time.sleep(0.1)


def _first_progress_ms(server: Served) -> float:
    run_id = server.submit(LONG)["id"]
    claimed_s, seen = 0.0, [(0.0, 0)]
    for event in _events(server, run_id):
        if event.get("event") == "claim":
            claimed_s = time.monotonic()
        elif event["name"] == "progress" and event["rows"] > 0:
            seen.append((time.monotonic(), event["rows"]))
            if len(seen) > 5:
                break
    server.cancel(run_id)
    rows = [count for _, count in seen]
    assert rows == sorted(rows), "progress must only grow"
    return (seen[1][0] - claimed_s) * 1000


def _events(server: Served, run_id: str) -> Iterator[dict[str, Any]]:
    headers = {"authorization": f"Bearer {server.token}"}
    url = f"{server.url}/v2/query_runs/{run_id}/events"
    with httpx.stream("GET", url, headers=headers, timeout=60) as response:
        name = ""
        for line in response.iter_lines():
            word, _, value = line.partition(": ")
            if word == "event":
                name = value
            elif word == "data":
                yield {"name": name, **json.loads(value)}


def _row(what: str, duration_ms: list[float], bar_ms: float) -> list[str]:
    figures = [table.percentile(duration_ms, 50), max(duration_ms)]
    return [what, str(len(duration_ms)), *(f"{value:.2f}" for value in figures), f"{bar_ms:g}"]

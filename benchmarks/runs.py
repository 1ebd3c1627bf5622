"""The cost of a run without its statement: latency of `SELECT 1`, runs/s, durable submits/s."""

from __future__ import annotations

import asyncio
import json
import time

from benchmarks import load, table
from benchmarks.served import Served, served

IDLE_RUNS = 300
BURST_RUNS = 400
SUBMITS = 6000
CONNECTIONS = 32


def measure() -> None:
    """Print the table of run overhead and throughput."""
    with served() as server:
        rows = [_idle(server), _burst(server)]
    with served({"QUERYRUN_WORKERS__SLOTS": "0"}) as server:
        rows.append(_submits(server))
        rows.append(_async_creates(server))
    head = ["what", "count", "per second", "p50 ms", "p99 ms", "max ms"]
    table.show("Runs of `SELECT 1` and durable submits", head, rows)


def _idle(server: Served) -> list[str]:
    """One at a time: from sending the submit to the response that says `complete`."""
    for _ in range(20):
        server.submit_and_wait("SELECT 1")
    latencies_s = []
    for _ in range(IDLE_RUNS):
        began = time.monotonic()
        run = server.submit_and_wait("SELECT 1")
        latencies_s.append(time.monotonic() - began)
        assert run["state"] == "complete"
    return _row("submit to complete, one at a time", latencies_s, sum(latencies_s))


def _burst(server: Served) -> list[str]:
    """All at once: from the first submit to the last complete."""
    request = load.submit_request(server.port, server.token, "SELECT 1")
    began = time.monotonic()
    burst = load.run(load.Load(server.port, request, 8, BURST_RUNS, 201))
    asyncio.run(_drained(server))
    duration_s = time.monotonic() - began
    return ["runs to complete, all at once", f"{BURST_RUNS}", f"{BURST_RUNS / duration_s:.0f}"] + [
        "" for _ in burst.latencies_s[:3]
    ]


async def _drained(server: Served) -> None:
    """Wait until no run of the tenant is queued or running."""
    params = {"filter[]": "state.IN:[accepted,in_progress]", "page_size": "1"}
    while json.loads(server.http.get("/v2/query_runs", params=params).content)["data"]:
        await asyncio.sleep(0.02)


def _submits(server: Served) -> list[str]:
    """Accepted and durable, over keep-alive connections; nothing is claimed meanwhile."""
    request = load.submit_request(server.port, server.token, "SELECT 1")
    load.run(load.Load(server.port, request, CONNECTIONS, 500, 201))
    result = load.run(load.Load(server.port, request, CONNECTIONS, SUBMITS, 201))
    what = f"durable submits, {CONNECTIONS} connections"
    return _row(what, result.latencies_s, result.duration_s)


def _async_creates(server: Served) -> list[str]:
    """`async: true` has a response within 150 ms at p99, however many requests are concurrent."""
    request = load.submit_request(server.port, server.token, "SELECT 1", "async: true\r\n")
    result = load.run(load.Load(server.port, request, CONNECTIONS, SUBMITS // 2, 202))
    what = f"async creates, {CONNECTIONS} connections (bar: p99 150 ms)"
    return _row(what, result.latencies_s, result.duration_s)


def _row(what: str, latencies_s: list[float], duration_s: float) -> list[str]:
    ms = [latency * 1000 for latency in latencies_s]
    figures = [table.percentile(ms, 50), table.percentile(ms, 99), max(ms)]
    return [what, str(len(ms)), f"{len(ms) / duration_s:.0f}"] + [
        f"{value:.1f}" for value in figures
    ]

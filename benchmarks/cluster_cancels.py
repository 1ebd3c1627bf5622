"""Cancels requested from one node while the work is on another, on every available engine.

`TRINO=<url>` and `SPARK="<sc:// url> <url of its UI>"` in the environment name servers. The
statements are those of the cancel suite's class C, canceled as soon as the engine lists them.
After each response `canceled` the engine is asked what it still runs.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice

from tests.cluster.nodes import Cluster
from tests.e2e.conftest import Server

from benchmarks import table
from benchmarks.results import public_key
from queryrun.cancel_suite.engine import Engine, engine_of
from queryrun.cancel_suite.statements import Statement, body_of
from queryrun.cancel_suite.target import TERMINAL_STATES

CANCELS = int(os.environ.get("CANCELS", "100"))
RUNAWAY = "SELECT count(*) AS n FROM range(10000000000) a(i) JOIN range(1000) b(i) ON a.i > b.i"
BAR_MS = {"duckdb": 500, "trino": 2_000, "spark": 2_000}
_SOURCE = "QUERYRUN_SOURCES__LIVE__"


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """A running engine. `ui_url`: of Spark's web UI, which lists its jobs."""

    name: str
    url: str
    ui_url: str = ""

    @property
    def settings(self) -> Mapping[str, str]:
        """The nodes' only source."""
        values = {"ENGINE": self.name, "URL": self.url, "UI_URL": self.ui_url, "DIALECT": "native"}
        values["MAX_OUTPUT_ROWS"] = "0"
        return {f"{_SOURCE}{name}": value for name, value in values.items()}

    @property
    def probed(self) -> Engine:
        """Its statements and a probe."""
        return engine_of(self.name, self.ui_url or self.url)

    def runs(self, run_id: str) -> bool:
        """Whether it lists work of the run."""
        return asyncio.run(self._runs(run_id))

    async def _runs(self, run_id: str) -> bool:
        probe = self.probed.probe
        try:
            return run_id in await probe.active()
        finally:
            probe.close()


def remote_engines() -> list[RemoteEngine]:
    """The servers that the environment names."""
    found = [RemoteEngine("trino", url) for url in os.environ.get("TRINO", "").split()]
    if spark := os.environ.get("SPARK"):
        found.append(RemoteEngine("spark", *spark.split()))
    return found


def embedded(nodes: Cluster) -> list[str]:
    """A row for the embedded engine, whose work is a process of the other node."""
    front, back = nodes.start("api"), nodes.start("worker")
    return _row("duckdb", [_cancel_embedded(front, back) for _ in range(CANCELS)])


def on(remote: RemoteEngine, nodes: Cluster) -> list[str]:
    """A row for a remote engine."""
    front = nodes.start("api", remote.settings)
    nodes.start("worker", remote.settings)
    key = public_key()
    statements = cycle(remote.probed.statements.library)
    durations_ms = (_cancel_remote(front, remote, statement, key) for statement in statements)
    return _row(remote.name, list(islice((ms for ms in durations_ms if ms is not None), CANCELS)))


def show(rows: list[list[str]]) -> None:
    """Print the table."""
    head = ["engine", "cancels", "p50 ms", "p99 ms", "max ms", "bar, p99 ms"]
    table.show("Cancel on one node, work on another, to `canceled`", head, rows)


def _row(name: str, durations_ms: list[float]) -> list[str]:
    figures = (*(table.percentile(durations_ms, share) for share in (50, 99)), max(durations_ms))
    return [name, str(len(durations_ms)), *(f"{value:.0f}" for value in figures), str(BAR_MS[name])]


def _cancel_embedded(front: Server, back: Server) -> float:
    run_id = front.submit(RUNAWAY)["id"]
    pid = back.computing_worker(run_id)
    duration_ms, state = _canceled(front, run_id)
    assert state == "canceled"
    assert pid not in back.workers()
    return duration_ms


def _cancel_remote(
    front: Server, remote: RemoteEngine, statement: Statement, key: str
) -> float | None:
    """Milliseconds; None for a statement that finished before, mostly for lack of memory."""
    more = body_of(statement, key)
    run_id = front.submit(statement.sql(), statement.content_type, **more)["id"]
    while not remote.runs(run_id):
        if front.get(run_id, "state")["state"] in TERMINAL_STATES:
            return None
        time.sleep(0.02)
    duration_ms, state = _canceled(front, run_id)
    assert not remote.runs(run_id), f"{statement.name} continues"
    return duration_ms if state == "canceled" else None


def _canceled(front: Server, run_id: str) -> tuple[float, str]:
    """The duration of the cancel in ms, and the run's state after it."""
    began = time.monotonic()
    front.cancel(run_id, prefer="wait=30")
    duration_ms = (time.monotonic() - began) * 1000
    state = str(front.get(run_id, "state")["state"])
    assert state in TERMINAL_STATES, state
    return duration_ms, state

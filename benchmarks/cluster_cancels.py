"""Cancels asked of one node while the work is on another, on every engine that is there.

`TRINO=<url>` and `SPARK="<sc:// url> <url of its UI>"` in the environment name servers; the
statements are the libraries of the cancel suite's class C in turn, cancelled as soon as the engine
itself shows them. After each answer `canceled` the engine is asked what it still runs.
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
from queryrun.cancel_suite.target import ENDED

CANCELS = int(os.environ.get("CANCELS", "100"))
RUNAWAY = "SELECT count(*) AS n FROM range(10000000000) a(i) JOIN range(1000) b(i) ON a.i > b.i"
BAR_MS = {"duckdb": 500, "trino": 2_000, "spark": 2_000}
_SOURCE = "QUERYRUN_SOURCES__LIVE__"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An engine that runs already. `ui_url`: Spark's, where it tells what it runs."""

    name: str
    url: str
    ui_url: str = ""

    @property
    def settings(self) -> Mapping[str, str]:
        """The nodes' only source."""
        told = {"ENGINE": self.name, "URL": self.url, "UI_URL": self.ui_url, "DIALECT": "native"}
        told["MAX_OUTPUT_ROWS"] = "0"
        return {f"{_SOURCE}{name}": value for name, value in told.items()}

    @property
    def engine(self) -> Engine:
        """Its words, and eyes that ask on a loop of their own."""
        return engine_of(self.name, self.ui_url or self.url)

    def runs(self, run_id: str) -> bool:
        """Whether it shows work of the run."""
        return asyncio.run(self._runs(run_id))

    async def _runs(self, run_id: str) -> bool:
        eyes = self.engine.eyes
        try:
            return run_id in await eyes.active()
        finally:
            eyes.close()


def elsewhere() -> list[Elsewhere]:
    """The servers that the environment names."""
    found = [Elsewhere("trino", url) for url in os.environ.get("TRINO", "").split()]
    if spark := os.environ.get("SPARK"):
        found.append(Elsewhere("spark", *spark.split()))
    return found


def embedded(nodes: Cluster) -> list[str]:
    """A row for the embedded engine: its work is a process of the other node."""
    front, back = nodes.start("api"), nodes.start("worker")
    return _row("duckdb", [_cancel_embedded(front, back) for _ in range(CANCELS)])


def on(place: Elsewhere, nodes: Cluster) -> list[str]:
    """A row for an engine elsewhere."""
    front = nodes.start("api", place.settings)
    nodes.start("worker", place.settings)
    key = public_key()
    statements = cycle(place.engine.words.library)
    took_ms = (_cancel_elsewhere(front, place, statement, key) for statement in statements)
    return _row(place.name, list(islice((ms for ms in took_ms if ms is not None), CANCELS)))


def show(rows: list[list[str]]) -> None:
    """Print the table."""
    head = ["engine", "cancels", "p50 ms", "p99 ms", "max ms", "bar, p99 ms"]
    table.show("Cancel on one node, work on another, to `canceled`", head, rows)


def _row(name: str, took_ms: list[float]) -> list[str]:
    figures = (*(table.percentile(took_ms, share) for share in (50, 99)), max(took_ms))
    return [name, str(len(took_ms)), *(f"{value:.0f}" for value in figures), str(BAR_MS[name])]


def _cancel_embedded(front: Server, back: Server) -> float:
    run_id = front.submit(RUNAWAY)["id"]
    pid = back.computing_worker(run_id)
    took_ms, state = _canceled(front, run_id)
    assert state == "canceled"
    assert pid not in back.workers()
    return took_ms


def _cancel_elsewhere(
    front: Server, place: Elsewhere, statement: Statement, key: str
) -> float | None:
    """Milliseconds; None for a statement that ended by itself, for want of memory mostly."""
    more = body_of(statement, key)
    run_id = front.submit(statement.sql(), statement.content_type, **more)["id"]
    while not place.runs(run_id):
        if front.get(run_id, "state")["state"] in ENDED:
            return None
        time.sleep(0.02)
    took_ms, state = _canceled(front, run_id)
    assert not place.runs(run_id), f"{statement.name} goes on"
    return took_ms if state == "canceled" else None


def _canceled(front: Server, run_id: str) -> tuple[float, str]:
    """What the cancel took in ms, and the state that the run is in now."""
    began = time.monotonic()
    front.cancel(run_id, prefer="wait=30")
    took_ms = (time.monotonic() - began) * 1000
    state = str(front.get(run_id, "state")["state"])
    assert state in ENDED, state
    return took_ms, state

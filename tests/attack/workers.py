"""A worker that was taken over, as its node sees it: what it says, and what it leaves behind.

The node reads the frames of such a process, takes over its file and removes its directories. None
of that may cost another run, or the node, anything.
"""

from __future__ import annotations

import threading
import time

import httpx2 as httpx

from tests.attack.hostile_worker import LEAVINGS, SAYINGS
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, log_of, memory_mib, new_client
from tests.attack.wire import longest_cancel_s, waiting_for_health
from tests.e2e.conftest import RUNAWAY, Server

RUNS = "/v2/query_runs"
PROGRAM = "tests.attack.hostile_server"
FLOODS = ("flood", "stages", "ready", "errors", "large_errors", "large_frames", "signs", "copies")
MAX_LOG_BYTES, MAX_GROWTH_MIB = 2_000_000, 300
ENDS_S = 20.0


class _Hostile:
    """A client whose statements take its workers over."""

    def __init__(self, targets: Targets, server: Server) -> None:
        self._http = targets.client_of(server, new_client(server, "hostile"))

    def submit(self, name: str) -> str:
        """A run whose worker says or leaves this."""
        body = {"sql": f"SELECT 1 AS a /* hostile {name} */", "content_type": "csv"}
        response = self._http.post(RUNS, json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def ends(self, run_id: str) -> bool:
        """Whether the run ends, by itself or when it is canceled after a while, with a response
        that can be read."""
        deadline_s = time.monotonic() + ENDS_S
        state = self._state(run_id, "wait=2")
        if state not in ("complete", "failed", "canceled"):
            self._http.post(f"{RUNS}/{run_id}/cancel")
        while state not in ("complete", "failed", "canceled"):
            if time.monotonic() > deadline_s:
                return False
            state = self._state(run_id, "wait=1")
        return True

    def _state(self, run_id: str, prefer: str) -> str:
        response = self._http.get(f"{RUNS}/{run_id}", headers={"prefer": prefer})
        return str(response.json().get("state"))

    def is_accounted(self) -> bool:
        """Whether what it has used can be read, and is more than nothing."""
        response = self._http.get("/v2/usage")
        figures = response.json()["data"]
        return response.status_code == 200 and all(one["read_bytes"] >= 0 for one in figures)


def _left(server: Server) -> list[str]:
    """What is in the directories of results and spill that no run and no worker has."""
    home = server.made.home
    found = [path for path in (home / "results").glob(".*") if path.name != ".outboxes"]
    found += [path for name in ("closed", "down") for path in (home / "spill").rglob(name)]
    found += (home / "results").rglob("down")
    return [str(path)[-100:] for path in found]


@attack("workers", "what a taken-over worker says to its node, and leaves behind",
        before="no response for 60 s", bar=0,
        unit="runs, files and figures of others, or of the node, that suffer",
        timeout_s=400)  # fmt: skip
def frames(targets: Targets) -> Outcome:
    """Figures beyond every bound, floods, halves of frames, directories where a file should be.
    Meanwhile another entity's run goes on, in its first attempt."""
    server = targets.fresh(program=PROGRAM)
    hostile = _Hostile(targets, server)
    other = server.submit(RUNAWAY)["id"]
    server.computing_worker(other)
    memory, log = memory_mib(server), log_of(server).stat().st_size
    names = [*SAYINGS, *LEAVINGS]
    names = names[::5] if targets.quick else names
    suffered = [name for name in names if not hostile.ends(hostile.submit(name))]
    if not hostile.is_accounted():
        suffered.append("usage")
    run = server.get(other, "state,attempts")
    if run["state"] not in ("in_progress", "complete") or len(run["attempts"]) != 1:
        suffered.append(f"the other run: {run}")
    if server.finished(server.submit("SELECT 1")["id"])["state"] != "complete":
        suffered.append("a small run")
    grown = log_of(server).stat().st_size - log
    if grown > MAX_LOG_BYTES or memory_mib(server) - memory > MAX_GROWTH_MIB:
        suffered.append(f"log {grown} bytes, memory {memory_mib(server) - memory:.0f} MiB")
    server.cancel(other)
    suffered += _left(server)
    return Outcome(len(suffered), len(names), ", ".join(suffered))


@attack("workers", "floods of frames from taken-over workers", before="23.5 s", bar=2.0,
        unit="s until canceled, or of stalled /healthz", timeout_s=400)  # fmt: skip
def floods(targets: Targets) -> Outcome:
    """The longest cancel of another entity's run, and the longest wait for `/healthz`."""
    server = targets.fresh(program=PROGRAM)
    hostile = _Hostile(targets, server)
    worst, count, each = 0.0, 0, []
    for name in FLOODS[:2] if targets.quick else FLOODS:

        def flood(done: threading.Event, name: str = name) -> None:
            while not done.is_set():
                try:
                    hostile.ends(hostile.submit(name))
                except httpx.HTTPError:
                    return

        with waiting_for_health(server) as health:
            waits = longest_cancel_s(server, flood, runs=2 if targets.quick else 3)
        longest_s = max(waits.longest_s, health.longest_s)
        worst, count = max(worst, longest_s), count + waits.count
        each.append(f"{name} {longest_s:.2f}")
    return Outcome(worst, count, ", ".join(each))

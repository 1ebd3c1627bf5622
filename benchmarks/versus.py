"""`python -m benchmarks.versus OTHER`: what a submit and a `SELECT 1` cost here and in another
worktree, which has an environment of its own in `.venv`.

Rounds of both take turns, so what else the machine does falls on both. CPU seconds are those of
the server and everything it has started; they say more than wall-clock times on a busy machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from benchmarks import load, table

ROUNDS = 7
SUBMITS = 1500
SELECTS = 60
CONNECTIONS = 32
_HERE = Path(__file__).parent.parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SERVE = """
import sys
from benchmarks.served import served
with served(dict(item.split("=", 1) for item in sys.argv[1:])) as server:
    print(server.port, server.pid, server.token, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Side:
    """A server of one of the two versions."""

    port: int
    pid: int
    token: str


@dataclass(frozen=True)
class Cost:
    """Of one operation in one round."""

    cpu_ms: float
    per_s: float
    p50_ms: float


def main(other: Path) -> None:
    """Print both tables."""
    rows = _rows("durable submit", other, ["QUERYRUN_WORKERS__SLOTS=0"], _submits)
    rows += _rows("`SELECT 1`, one at a time", other, [], _selects)
    head = ["what", "figure", str(other), "here", "ratio"]
    table.show(f"Medians of {ROUNDS} rounds that take turns", head, rows)


def _rows(
    what: str, other: Path, settings: list[str], measure: Callable[[Side], Cost]
) -> list[list[str]]:
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    with ExitStack() as stack:
        sides = [stack.enter_context(_served(tree, settings)) for tree in (other, _HERE)]
        for number in range(ROUNDS + 1):
            for index in (0, 1) if number % 2 else (1, 0):
                cost = measure(sides[index])
                if number:  # the first round warms up
                    costs[index].append(cost)
    return [
        _row(what, "CPU ms each", *[[cost.cpu_ms for cost in side] for side in costs]),
        _row(what, "per second", *[[cost.per_s for cost in side] for side in costs]),
        _row(what, "p50 ms", *[[cost.p50_ms for cost in side] for side in costs]),
    ]


def _row(what: str, figure: str, other: list[float], here: list[float]) -> list[str]:
    medians = statistics.median(other), statistics.median(here)
    figures = [f"{median:.3g}" if median < 100 else f"{median:.0f}" for median in medians]
    return [what, figure, *figures, f"{medians[1] / medians[0]:.2f}"]


def _submits(side: Side) -> Cost:
    """Accepted and durable; nothing is claimed meanwhile."""
    request = load.submit_request(side.port, side.token, "SELECT 1")
    before_s = cpu_s(side.pid)
    done = load.run(load.Load(side.port, request, CONNECTIONS, SUBMITS, 201))
    used_s = cpu_s(side.pid) - before_s
    return _cost(used_s, done.duration_s, done.latencies_s)


def _selects(side: Side) -> Cost:
    """From the submit to the response that says `complete`, in one request."""
    latencies_s = []
    headers = {"authorization": f"Bearer {side.token}", "prefer": "wait=60"}
    body = {"sql": "SELECT 1", "content_type": "csv"}
    with httpx.Client(base_url=f"http://127.0.0.1:{side.port}", headers=headers) as http:
        http.get("/healthz")
        before_s = cpu_s(side.pid)
        for _ in range(SELECTS):
            began = time.monotonic()
            run = http.post("/v2/query_runs", json=body, timeout=60).json()
            latencies_s.append(time.monotonic() - began)
            assert run["state"] == "complete", run
        used_s = cpu_s(side.pid) - before_s
    return _cost(used_s, sum(latencies_s), latencies_s)


def _cost(used_s: float, duration_s: float, latencies_s: list[float]) -> Cost:
    count = len(latencies_s)
    p50_ms = table.percentile([latency * 1000 for latency in latencies_s], 50)
    return Cost(used_s * 1000 / count, count / duration_s, p50_ms)


@contextmanager
def _served(tree: Path, settings: list[str]) -> Iterator[Side]:
    process = subprocess.Popen(
        [tree / ".venv/bin/python", "-c", _SERVE, *settings],
        cwd=tree,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port, pid, token = process.stdout.readline().split()
        yield Side(int(port), int(pid), token)
    finally:
        process.communicate(timeout=60)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, its descendants, and those of them that it has waited for."""
    stats = dict(_stats())
    tree, found = {pid}, 0
    while len(tree) > found:
        found = len(tree)
        tree |= {one for one, (parent, _) in stats.items() if parent in tree}
    return sum(stats[one][1] for one in tree if one in stats)


def _stats() -> Iterator[tuple[int, tuple[int, float]]]:
    """Of each process: its parent, and its CPU seconds with those of children it has reaped."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        yield int(path.parent.name), (int(fields[1]), sum(map(int, fields[11:15])) / _TICKS_PER_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

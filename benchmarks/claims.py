"""How many runs a store can process: claim, handle, complete.

Nothing is executed in between. PostgreSQL serves four node processes at once, and flushes to disk;
SQLite serves its one process. The queue is as long as the runs are many; `python -m benchmarks
history` has one of 100,000.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from tests.postgres_server import running

from benchmarks import table
from queryrun.db.postgres.database import open_postgres
from queryrun.db.sqlite.database import open_sqlite
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    Attempt,
    Output,
    ResultFile,
    RunRequest,
)
from queryrun.runs.store import ClaimLimits, Completed, QueueLimits, RunStore

RUNS = 3000
ROUNDS = 3
NODES = 4
SLOTS = 16
TENANTS, ENTITIES = 8, 4
LIMIT = 15
"""Running runs per tenant, as the hosted service allows on WAREHOUSE (contract F7)."""


def measure() -> None:
    """Print runs/s of both stores, the median of several rounds."""
    rows = [
        _row("PostgreSQL", NODES, _on_postgres()),
        _row("PostgreSQL", 1, _on_postgres(nodes=1)),
        _row("SQLite", 1, _on_sqlite()),
    ]
    head = ["store", "node processes", "runs/s, median", "lowest", "highest", "accepts/s, one node"]
    table.show(f"Claim, handle and complete of {RUNS} runs (bar: 500 runs/s)", head, rows)


def _row(store: str, nodes: int, rounds: list[tuple[float, float]]) -> list[str]:
    done = [RUNS / duration_s for _, duration_s in rounds]
    accepted = [RUNS / duration_s for duration_s, _ in rounds]
    figures = [statistics.median(done), min(done), max(done), statistics.median(accepted)]
    return [store, str(nodes), *(f"{figure:.0f}" for figure in figures)]


def _on_postgres(nodes: int = NODES) -> list[tuple[float, float]]:
    with running(fsync="on", full_page_writes="on", shared_buffers="128MB") as server:
        return [_round(server.url(server.new_database()), nodes) for _ in range(ROUNDS)]


def _round(url: str, nodes: int) -> tuple[float, float]:
    """Seconds to accept all runs, and seconds for the nodes to complete them."""
    database = open_postgres(url)
    try:
        accepting_s = asyncio.run(_accept_all(database.runs))
    finally:
        database.close()
    context = multiprocessing.get_context("spawn")
    gate, counts = context.Barrier(nodes + 1), context.SimpleQueue()
    processes = [
        context.Process(target=_node, args=(url, f"node-{n}", gate, counts)) for n in range(nodes)
    ]
    for process in processes:
        process.start()
    gate.wait()
    began = time.monotonic()
    for process in processes:
        process.join()
    duration_s = time.monotonic() - began
    assert sum(counts.get() for _ in processes) == RUNS
    return accepting_s, duration_s


def _node(
    url: str,
    name: str,
    gate: multiprocessing.synchronize.Barrier,
    counts: multiprocessing.queues.SimpleQueue[int],
) -> None:
    """One node process: it works until the queue is empty."""
    database = open_postgres(url)
    try:
        counts.put(asyncio.run(_work(database.runs, name, gate.wait)))
    finally:
        database.close()


def _on_sqlite() -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        return [_sqlite_round(Path(folder) / f"{n}.db") for n in range(ROUNDS)]


def _sqlite_round(path: Path) -> tuple[float, float]:
    database = open_sqlite(path, lambda: datetime.now(UTC))
    try:
        accepting_s = asyncio.run(_accept_all(database.runs))
        began = time.monotonic()
        done = asyncio.run(_work(database.runs, "node", lambda: None))
        assert done == RUNS
        return accepting_s, time.monotonic() - began
    finally:
        database.close()


async def _accept_all(store: RunStore) -> float:
    """32 concurrent callers, as in `benchmarks runs`."""
    numbers = iter(range(RUNS))

    async def caller() -> None:
        for n in numbers:
            await store.accept(
                _request(n), run_id=str(uuid4()), queue_limits=QueueLimits(10 * RUNS)
            )

    began = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(32)))
    return time.monotonic() - began


def _request(n: int) -> RunRequest:
    tenant, entity = f"tenant-{n % TENANTS}", f"entity-{n // TENANTS % ENTITIES}"
    return RunRequest(tenant, entity, "c", "warehouse", "SELECT 1", Output(ContentType.CSV))


async def _work(store: RunStore, node: str, wait: Callable[[], object]) -> int:
    """Claim into free slots and complete each attempt, until the queue is empty."""
    await store.healthy()
    wait()
    live: set[asyncio.Task[None]] = set()
    done = 0
    while True:
        limits = ClaimLimits(("warehouse",), SLOTS - len(live), {"warehouse": LIMIT})
        claimed = await store.claim(node, lease_s=15, limits=limits)
        live |= {asyncio.create_task(_lead(store, attempt)) for attempt in claimed}
        done += len(claimed)
        if live:
            _, live = await asyncio.wait(live, return_when=asyncio.FIRST_COMPLETED)
        elif not claimed and not any(state == "accepted" for _, state in await store.counts()):
            return done


async def _lead(store: RunStore, attempt: Attempt) -> None:
    key = f"{attempt.ref.run_id}_1.csv"
    await store.save_handle(attempt.ref, handle="pid 1", file_key=key)
    await store.complete(attempt.ref, Completed(ResultFile(key, 10, "ab" * 32, 1), 5))

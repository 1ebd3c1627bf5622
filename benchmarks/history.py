"""Claims, lists and removal in a store that is full: 300,000 runs kept and 100,000 that wait.

Lists match nothing, few or all; claims come from 8 tenants with 4 entities each, and from 4,000
entities. Both stores; several node processes on PostgreSQL.
`python -m benchmarks.history --waiting 1000000` measures other counts.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from tests.postgres_server import running

from benchmarks import table
from queryrun.db.postgres.database import open_postgres
from queryrun.db.sqlite.database import open_sqlite
from queryrun.runs.model import Attempt, ResultFile
from queryrun.runs.state import RunState
from queryrun.runs.store import ClaimLimits, Completed, RunQuery, RunStore

NODES = 4
SLOTS = 16
CLAIM_S = 6.0
CLAIM_ROUNDS = 80
LIST_ROUNDS = 15
REMOVED = 30_000
OLD_MS = 1_700_000_000_000

FILL = """
INSERT INTO runs (id, tenant_id, entity_id, client_id, source, state, attempt, remaining_attempts,
    created_ms, updated_ms, ready_ms)
SELECT 'run-' || n, 't' || (n % {tenants}), 'e' || ((n / {tenants}) % {entities}),
    'c' || (n % {tenants}),
    CASE WHEN n % 3 = 0 THEN 'live' ELSE 'warehouse' END,
    CASE WHEN n > {kept} THEN 'accepted' WHEN n % 5 = 0 THEN 'failed' ELSE 'complete' END,
    0, 3, {old} + n, {old} + n, {old} + n FROM {numbers}
"""
REQUESTS = """
INSERT INTO run_requests SELECT seq, 'SELECT 1', 'csv', 'none', NULL, NULL, 'exclude', NULL, '[]',
    '[]', 3, '[]', NULL, NULL, '[]', NULL FROM runs
"""
TAGS = """
INSERT INTO run_tags SELECT tenant_id, 'team', CASE WHEN seq % 100 = 0 THEN 'few' ELSE 'most' END,
    created_ms, seq FROM runs WHERE state <> 'accepted'
"""
ATTEMPTS = """
INSERT INTO attempts (run_seq, number, node, claimed_ms, lease_until_ms, ended_ms)
SELECT seq, 1, 'n', created_ms, created_ms, created_ms FROM runs WHERE state <> 'accepted'
"""
EVENTS = """
INSERT INTO run_events SELECT seq, created_ms + n, 1, NULL, 'complete', NULL
FROM runs, (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) three WHERE state <> 'accepted'
"""
NUMBERS = {
    "PostgreSQL": "generate_series(1, {count}) AS n",
    "SQLite": "(WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count})"
    " SELECT n FROM c)",
}


@dataclass(frozen=True)
class Counts:
    """How many runs the stores have."""

    kept: int = 300_000
    waiting: int = 100_000


@dataclass(frozen=True)
class Filled:
    """A full store and where its node processes find it."""

    name: str
    address: str

    @contextmanager
    def store(self) -> Iterator[RunStore]:
        """Opened in this process."""
        database: Any = (
            open_postgres(self.address)
            if self.name == "PostgreSQL"
            else open_sqlite(Path(self.address), lambda: datetime.now(UTC))
        )
        try:
            yield database.runs
        finally:
            database.close()


def measure(counts: Counts | None = None) -> None:
    """Print claims/s, milliseconds of lists, and runs/s removed."""
    counts = counts or Counts()
    lists: list[list[str]] = []
    rates: list[list[str]] = []
    for tenants, entities in ((8, 4), (100, 40)):
        with _filled(counts, tenants, entities) as stores:
            for filled in stores:
                what = f"claims alone, {tenants * entities} entities wait"
                rates.append([filled.name, what, "1", f"{_claimed_per_s(filled):.0f}", "500"])
                for nodes in (1, NODES) if filled.name == "PostgreSQL" else (1,):
                    what = f"claims and completions, {tenants * entities} entities wait"
                    done = _claims_per_s(filled, nodes)
                    rates.append([filled.name, what, str(nodes), f"{done:.0f}", "500"])
                if tenants == 8:
                    lists += _lists(filled)
                    rates.append(
                        [filled.name, "removal", "1", f"{_removed(filled, counts):.0f}", "5000"]
                    )
    table.show(
        f"Lists over {counts.kept} runs kept and {counts.waiting} that wait (bar: 50 ms)",
        ["store", "list", "runs found", "median ms", "highest ms"],
        lists,
    )
    table.show("Rates in a full store", ["store", "what", "nodes", "runs/s", "bar"], rates)


@contextmanager
def _filled(counts: Counts, tenants: int, entities: int) -> Iterator[list[Filled]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running(fsync="on", full_page_writes="on", shared_buffers="512MB") as server,
    ):
        path, url = Path(folder) / "runs.db", server.url(server.new_database())
        open_sqlite(path, lambda: datetime.now(UTC)).close()
        with closing(sqlite3.connect(path)) as local:
            for statement in _fill("SQLite", counts, tenants, entities):
                local.execute(statement)
            local.commit()
        open_postgres(url).close()
        with psycopg.connect(url) as remote:
            for statement in _fill("PostgreSQL", counts, tenants, entities):
                remote.execute(statement.encode())
        with psycopg.connect(url, autocommit=True) as remote:
            remote.execute("VACUUM ANALYZE")
        yield [Filled("SQLite", str(path)), Filled("PostgreSQL", url)]


def _fill(name: str, counts: Counts, tenants: int, entities: int) -> list[str]:
    numbers = NUMBERS[name].format(count=counts.kept + counts.waiting)
    runs = FILL.format(
        tenants=tenants, entities=entities, kept=counts.kept, old=OLD_MS, numbers=numbers
    )
    return [runs, REQUESTS, TAGS, ATTEMPTS, EVENTS]


# --- claims -----------------------------------------------------------------------------------


def _claimed_per_s(filled: Filled) -> float:
    """Runs that one node claims in a second of claiming: what it does with them takes none."""

    async def claim(store: RunStore) -> float:
        limits = ClaimLimits(("warehouse", "live"), SLOTS, {"warehouse": 15, "live": 5})
        claimed, spent_s = 0, 0.0
        for _ in range(CLAIM_ROUNDS):
            began_s = time.monotonic()
            attempts = await store.claim("alone", lease_s=60, limits=limits)
            spent_s += time.monotonic() - began_s
            claimed += len(attempts)
            await asyncio.gather(*(_complete(store, attempt) for attempt in attempts))
        return claimed / spent_s

    with filled.store() as store:
        return asyncio.run(claim(store))


def _claims_per_s(filled: Filled, nodes: int) -> float:
    context = multiprocessing.get_context("spawn")
    gate, counts = context.Barrier(nodes), context.SimpleQueue()
    processes = [
        context.Process(target=_node, args=(filled, f"node-{n}", gate, counts))
        for n in range(nodes)
    ]
    for process in processes:
        process.start()
    done = sum(counts.get() for _ in processes)
    for process in processes:
        process.join()
    return float(done)


def _node(filled: Filled, name: str, gate: Any, counts: Any) -> None:
    """One node: it claims into free slots and completes; its runs per second."""
    with filled.store() as store:
        gate.wait()
        counts.put(asyncio.run(_work(store, name)))


async def _work(store: RunStore, node: str) -> float:
    limits = ClaimLimits(("warehouse", "live"), SLOTS, {"warehouse": 15, "live": 5})
    live: set[asyncio.Task[None]] = set()
    done, began = 0, time.monotonic()
    while time.monotonic() - began < CLAIM_S:
        free = SLOTS - len(live)
        claimed = await store.claim(node, lease_s=60, limits=replace(limits, free_slots=free))
        live |= {asyncio.create_task(_complete(store, attempt)) for attempt in claimed}
        if not live:
            break  # nothing waits any more
        finished, live = await asyncio.wait(live, return_when=asyncio.FIRST_COMPLETED)
        done += len(finished)
    rate = done / (time.monotonic() - began)
    await asyncio.gather(*live)
    return rate


async def _complete(store: RunStore, attempt: Attempt) -> None:
    key = f"{attempt.ref.run_id}.csv"
    await store.save_handle(attempt.ref, handle="pid 1", file_key=key)
    await store.complete(attempt.ref, Completed(ResultFile(key, 10, "ab" * 32, 1), 5))


# --- lists and removal ------------------------------------------------------------------------


def _queries() -> dict[str, RunQuery]:
    own, tenant = RunQuery("t1", client_id="c1"), RunQuery("t1")
    failed, canceled = frozenset({RunState.FAILED}), frozenset({RunState.CANCELED})
    before = datetime(2001, 1, 1, tzinfo=UTC)
    return {
        "all of a client": own,
        "all of a tenant": tenant,
        "a state that none has": replace(own, states=canceled),
        "a state of a tenant that none has": replace(tenant, states=canceled),
        "a source that none has": replace(tenant, sources=frozenset({"other"})),
        "a state and a source": replace(
            tenant, states=failed, sources=frozenset({"live"}), oldest_first=True
        ),
        "a time before all": replace(tenant, created_before=before),
        "a time and a state": replace(tenant, states=failed, created_before=before),
        "an entity that has none": replace(tenant, entity_id="e9"),
        "a tag that few have": replace(tenant, tags=(("team", "few"),)),
        "a tag that nearly all have": replace(tenant, tags=(("team", "most"),)),
        "a tag that none has": replace(tenant, tags=(("team", "none"),)),
        "a common tag and a state that none has": replace(
            tenant, tags=(("team", "most"),), states=canceled
        ),
        "waiting, oldest first, 1,000": replace(
            tenant, states=frozenset({RunState.ACCEPTED}), oldest_first=True, limit=1000
        ),
    }


def _lists(filled: Filled) -> list[list[str]]:
    with filled.store() as store:
        return [
            [filled.name, name, *asyncio.run(_list(store, query))]
            for name, query in _queries().items()
        ]


async def _list(store: RunStore, query: RunQuery) -> list[str]:
    taken_ms = []
    for _ in range(LIST_ROUNDS):
        began = time.perf_counter()
        page = await store.find(query)
        taken_ms.append((time.perf_counter() - began) * 1000)
    return [
        str(len(page.runs)),
        f"{statistics.median(taken_ms):.1f}",
        f"{max(taken_ms):.1f}",
    ]


def _removed(filled: Filled, counts: Counts) -> float:
    """Runs per second that retention removes, in its own batches."""

    async def remove(store: RunStore) -> float:
        began, removed = time.monotonic(), 0
        while removed < min(REMOVED, counts.kept):
            found = await store.remove_expired(retention_s=3600, limit=1000)
            assert found > 0, "fewer runs have ended than are removed"
            removed += found
        return removed / (time.monotonic() - began)

    with filled.store() as store:
        return asyncio.run(remove(store))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history")
    parser.add_argument("--kept", type=int, default=Counts.kept)
    parser.add_argument("--waiting", type=int, default=Counts.waiting)
    given = parser.parse_args()
    print(f"Measured on: {table.machine()}")
    measure(Counts(given.kept, given.waiting))


if __name__ == "__main__":
    _main()

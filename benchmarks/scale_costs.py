"""Measures the costs of a run, an idle node, a claim and a hint, on PostgreSQL and an S3 server."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from tests import s3_server
from tests.postgres_server import PostgresServer, running

from benchmarks.scale_model import Costs
from benchmarks.served import Served, served
from queryrun.db.postgres.database import open_postgres
from queryrun.db.postgres.node_notifier import CHANNEL, PostgresNodeNotifier
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    Attempt,
    AttemptRef,
    Output,
    ResultFile,
    RunRequest,
)
from queryrun.runs.store import ClaimLimits, Completed, RunStore

RUNS = 600
CALLERS = 6
IDLE_S = 15.0
SETTLE_S = 11.0
"""PostgreSQL's idle sessions hand their statistics in after ten seconds."""
CLAIMS = 200
TOGETHER = 5
LISTENERS = 40
NOTICES = 300
STATEMENT = "SELECT 1 AS a /* " + "a statement of some three hundred characters " * 6 + "*/"
KEPT = ("runs", "run_requests", "attempts", "run_events")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def measured() -> Costs:
    """All costs. Takes about a minute, and leaves nothing running."""
    with running(fsync="on", full_page_writes="on", shared_buffers="128MB") as postgres:
        figures = _node_costs(postgres)
        figures |= asyncio.run(_store_costs(postgres))
        figures |= _hint_costs(postgres)
    return Costs(**figures).rounded()


# --- a node: runs, and nothing ----------------------------------------------------------------


def _node_costs(postgres: PostgresServer) -> dict[str, float]:
    name = postgres.new_database()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="queryrun-scale-")))
        url_file = folder / "url"
        url_file.write_text(postgres.url(name))
        access_log, bucket = stack.enter_context(_bucket(folder))
        server = stack.enter_context(served(bucket, url_file))
        received = stack.enter_context(_listening(postgres.url(name)))
        _runs(server, 60)
        idle = _idle(postgres, name)
        before, sizes = _Counted(postgres, name, server.pid), _sizes(postgres, name)
        requests, hints = _lines(access_log), received()
        _runs(server, RUNS)
        time.sleep(SETTLE_S)
        spent = _Counted(postgres, name, server.pid).since(before)
        requests, hints = _lines(access_log) - requests, received() - hints
        grown = {key: size - sizes[key] for key, size in _sizes(postgres, name).items()}
    duration_s = spent["seconds"]
    per_run = {
        "transactions_per_run": spent["transactions"] - duration_s * idle["transactions"],
        "rows_written_per_run": spent["rows"],
        "wal_bytes_per_run": spent["wal_bytes"],
        "db_cpu_ms_per_run": spent["db_cpu_ms"] - duration_s * idle["db_cpu_ms"],
        "node_cpu_ms_per_run": spent["node_cpu_ms"],
        "kept_table_bytes_per_run": grown["tables"],
        "kept_index_bytes_per_run": grown["indexes"],
        "key_bytes_per_run": grown["keys"],
        "hints_per_run": hints,
        "s3_requests_per_run": requests,
    }
    return {key: value / RUNS for key, value in per_run.items()} | {
        "idle_transactions_per_node_s": idle["transactions"],
        "idle_db_cpu_ms_per_node_s": idle["db_cpu_ms"],
    }


@contextmanager
def _bucket(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A bucket on a server that logs its requests, and the settings of a node that uses it."""
    log = folder / "access.log"
    with s3_server.running(folder, access_log=log) as server:
        location = server.new_bucket()
        yield (
            log,
            {
                "QUERYRUN_RESULTS__STORE": "s3",
                "QUERYRUN_RESULTS__BUCKET": location.bucket,
                "QUERYRUN_RESULTS__PREFIX": location.prefix,
                "QUERYRUN_RESULTS__ENDPOINT": location.endpoint,
                "AWS_ACCESS_KEY_ID": s3_server.CREDENTIALS.access_key_id,
                "AWS_SECRET_ACCESS_KEY": s3_server.CREDENTIALS.secret_access_key,
            },
        )


def _runs(server: Served, count: int) -> None:
    """Like the client: a submit with its own key, then a read that waits."""

    def one(_n: int) -> None:
        body = {"sql": STATEMENT, "content_type": "csv"}
        headers = {"idempotency-key": str(uuid4())}
        run = server.http.post("/v2/query_runs", json=body, headers=headers).json()
        url, wait = f"/v2/query_runs/{run['id']}", {"prefer": "wait=60"}
        assert server.http.get(url, headers=wait).json()["state"] == "complete"

    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(one, range(count)))


def _idle(postgres: PostgresServer, name: str) -> dict[str, float]:
    """Per second of a node with nothing to do."""
    time.sleep(SETTLE_S)
    before = _Counted(postgres, name)
    time.sleep(IDLE_S)
    spent = _Counted(postgres, name).since(before)
    return {key: value / spent["seconds"] for key, value in spent.items()}


class _Counted:
    """Counters of PostgreSQL and of processes at one moment."""

    def __init__(self, postgres: PostgresServer, name: str, pid: int | None = None) -> None:
        assert postgres.process is not None
        [(transactions, rows, wal_bytes)] = postgres.execute(
            "SELECT xact_commit, tup_inserted + tup_updated + tup_deleted,"
            " (SELECT wal_bytes FROM pg_stat_wal)::bigint"
            f" FROM pg_stat_database WHERE datname = '{name}'"
        )
        self._values = {
            "seconds": time.monotonic(),
            "transactions": float(transactions),
            "rows": float(rows),
            "wal_bytes": float(wal_bytes),
            "db_cpu_ms": _cpu_ms(postgres.process.pid),
            "node_cpu_ms": 0.0 if pid is None else _cpu_ms(pid),
        }

    def since(self, before: _Counted) -> dict[str, float]:
        """How much each has grown."""
        return {key: value - before._values[key] for key, value in self._values.items()}


def _cpu_ms(pid: int) -> float:
    """CPU of a process, of the children it has reaped, and of those that live (proc(5))."""
    try:
        reaped = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        own_ns = sum(int((one / "schedstat").read_text().split()[0]) for one in threads)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own_ms = own_ns / 1e6 + sum(int(ticks) for ticks in reaped) * _TICK_S * 1_000
    return own_ms + sum(_cpu_ms(int(child)) for child in children)


def _sizes(postgres: PostgresServer, name: str) -> dict[str, float]:
    """Bytes of the stored rows, after VACUUM."""
    for table in (*KEPT, "idempotency"):
        postgres.execute(f"VACUUM {table}", name)
    tables = ", ".join(f"'{table}'::regclass" for table in KEPT)
    [sizes] = postgres.execute(
        f"SELECT sum(pg_table_size(t))::bigint, sum(pg_indexes_size(t))::bigint,"
        f" pg_total_relation_size('idempotency') FROM unnest(ARRAY[{tables}]) t",
        name,
    )
    return dict(zip(("tables", "indexes", "keys"), map(float, sizes), strict=True))


@contextmanager
def _listening(url: str) -> Iterator[Callable[[], int]]:
    """Receive hints as a node does; yields a function that counts them."""
    received = 0
    hints = PostgresNodeNotifier("")

    def count(changes: object) -> None:
        nonlocal received
        received += len(changes) if isinstance(changes, list) else 0

    hints._on_remote_change = count
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")

        def so_far() -> int:
            for notice in connection.notifies(timeout=0.2):
                hints._receive(notice.payload)
            return received

        yield so_far


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


# --- the store: claims, beats, removals ---------------------------------------------------------


async def _store_costs(postgres: PostgresServer) -> dict[str, float]:
    database = open_postgres(postgres.url(postgres.new_database()))
    store = database.runs
    try:
        empty_ms, empty_cpu_ms = await _each(postgres, lambda: _claim(store))
        for _ in range(CLAIMS + CLAIMS * TOGETHER):
            await _accept(store)
        attempts: list[Attempt] = []

        async def claim(runs: int) -> None:
            attempts.extend(await _claim(store, runs))

        claim_ms, _ = await _each(postgres, lambda: claim(1))
        together_ms, _ = await _each(postgres, lambda: claim(TOGETHER))
        assert len(attempts) == CLAIMS + CLAIMS * TOGETHER
        _, beat_cpu_ms = await _each(postgres, lambda: _beat(store, attempts[:5]))
        for attempt in attempts:
            await _end(store, attempt)
        began = time.monotonic()
        removed = await _remove_all(store)
        removal_ms = (time.monotonic() - began) * 1_000 / removed
    finally:
        database.close()
    return {
        "claim_ms": claim_ms,
        "claim_more_ms": max(0.0, together_ms - claim_ms) / (TOGETHER - 1),
        "empty_claim_ms": empty_ms,
        "empty_claim_cpu_ms": empty_cpu_ms,
        "beat_cpu_ms": beat_cpu_ms,
        "removal_ms_per_run": removal_ms,
    }


async def _each(
    postgres: PostgresServer, call: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    """Median milliseconds of a call, and what it costs PostgreSQL in CPU."""
    assert postgres.process is not None
    duration_s = []
    await call()
    cpu_ms = _cpu_ms(postgres.process.pid)
    for _ in range(CLAIMS - 1):
        began = time.monotonic()
        await call()
        duration_s.append(time.monotonic() - began)
    cpu_ms = _cpu_ms(postgres.process.pid) - cpu_ms
    return sorted(duration_s)[len(duration_s) // 2] * 1_000, cpu_ms / len(duration_s)


async def _claim(store: RunStore, max_runs: int = 1) -> list[Attempt]:
    limits = ClaimLimits(("live",), max_runs, {"live": 0})
    return list(await store.claim("node", lease_s=60, limits=limits))


async def _accept(store: RunStore) -> None:
    request = RunRequest("t", "e", "c", "live", STATEMENT, Output(ContentType.CSV))
    await store.accept(request, run_id=str(uuid4()))


async def _beat(store: RunStore, attempts: list[Attempt]) -> None:
    refs: list[AttemptRef] = [attempt.ref for attempt in attempts]
    await store.extend("node", refs, lease_s=60)


async def _end(store: RunStore, attempt: Attempt) -> None:
    key = f"{attempt.ref.run_id}_1.csv"
    await store.save_handle(attempt.ref, handle="pid 1", file_key=key)
    await store.complete(attempt.ref, Completed(ResultFile(key, 10, "ab" * 32, 1), 5))


async def _remove_all(store: RunStore) -> int:
    removed = 0
    while some := await store.remove_expired(retention_s=-24 * 3600, limit=100):
        removed += some
    return removed


# --- hints ------------------------------------------------------------------------------------


def _hint_costs(postgres: PostgresServer) -> dict[str, float]:
    """NOTIFY with and without nodes that listen: the difference is theirs."""
    alone, crowd = _notify_cpu_us(postgres, 0), _notify_cpu_us(postgres, LISTENERS)
    return {
        "hint_cpu_us_per_listener": max(0.0, crowd - alone) / LISTENERS,
        "hint_received_us": _receive_us(),
    }


def _notify_cpu_us(postgres: PostgresServer, listeners: int) -> float:
    assert postgres.process is not None
    payload = f'["someone",[["{uuid4()}","accepted"]]]'
    with ExitStack() as stack:
        for _ in range(listeners):
            connection = stack.enter_context(psycopg.connect(postgres.url(), autocommit=True))
            connection.execute(f"LISTEN {CHANNEL}")
        sender = stack.enter_context(psycopg.connect(postgres.url(), autocommit=True))
        before = _cpu_ms(postgres.process.pid)
        for _ in range(NOTICES):
            sender.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
            time.sleep(0.004)  # as hints are sent, collected for so long
        return (_cpu_ms(postgres.process.pid) - before) * 1_000 / NOTICES


def _receive_us() -> float:
    hints, many = PostgresNodeNotifier(""), 20_000
    payload = f'["someone",[["{uuid4()}","accepted"]]]'
    began = time.process_time()
    for _ in range(many):
        hints._receive(payload)
    return (time.process_time() - began) * 1e6 / many

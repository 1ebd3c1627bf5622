"""Settings -> the live parts of a node; the only file that knows every class."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from uuid import uuid4

import structlog
from starlette.routing import Router

from queryrun.db.database import Database
from queryrun.db.sqlite.database import SqliteDatabase
from queryrun.errors import ConfigurationError, Unavailable
from queryrun.http.app import build_app
from queryrun.http.context import AppContext
from queryrun.http.health import OK, SOURCE
from queryrun.http.metrics import HttpMetrics
from queryrun.http.rate_limits import MakeLimiter
from queryrun.processes import handles
from queryrun.processes.fork_client import Roles
from queryrun.results.store import ResultStore
from queryrun.runs.context import AttemptContext, RequestContext, Workers
from queryrun.runs.dispatch import Dispatcher, DispatchOptions
from queryrun.runs.leader import AlwaysLeader, LeaderLease
from queryrun.runs.metrics import RunMetrics
from queryrun.runs.model import EngineStop
from queryrun.runs.notify import ChangeNotifier
from queryrun.runs.reap import Reaper, ReapOptions
from queryrun.runs.remote import RemoteWork
from queryrun.runs.retry import RetryPolicy
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.sources import SourceHealth
from queryrun.runs.state import RunState
from queryrun.runs.store import RunStore
from queryrun.services.catalog.client import TableReader
from queryrun.services.guard.client import StatementChecker
from queryrun.services.remote_stop.client import Stopper
from queryrun.settings import LOCK_NAME, SPILL_NAME, Settings, SourceSettings, size_bytes
from queryrun.wiring.child_roles import CHILD_ROLES
from queryrun.wiring.database import open_database
from queryrun.wiring.http import http_settings
from queryrun.wiring.results import Sweeper, result_store
from queryrun.wiring.sources import SourceResolver
from queryrun.worker.pool import PoolOptions, WorkerPool

log = structlog.get_logger()

_FIRST_CHECK = "SELECT 1"
"""Checked at start, so that the first caller does not wait for a checker process."""

REQUESTS_KEPT = timedelta(hours=24)
"""How long the outcome of an `async: true` request can be read, like a key's answer."""

FENCE = 0.8
"""The part of a lease after which its holder has stopped working by itself: the rest is for what
differs between clocks and for a killed worker to give its memory back."""


@dataclass(frozen=True, slots=True)
class NodeResources:
    """What a node stands on: its store, its workers, its results. The rest is made of these."""

    lock: IO[str]
    database: Database
    pool: WorkerPool
    runs: RunStore
    workers: Workers
    results: ResultStore


def open_resources(settings: Settings, roles: Roles = CHILD_ROLES) -> NodeResources:
    """Take the home for this process, open (and migrate) its store, make its pool.

    Raises `ConfigurationError` when another node serves the same home.
    """
    lock = _lock_home(settings.path(LOCK_NAME))
    database = open_database(settings, _now)
    pool = WorkerPool(_pool_options(settings), roles)
    return NodeResources(lock, database, pool, database.runs, pool, result_store(settings))


@dataclass(frozen=True, slots=True)
class Node:
    """One server process: its live parts. `start` before serving, `stop` after."""

    settings: Settings
    app: Router
    runs: RequestContext
    database: Database
    pool: WorkerPool
    checker: StatementChecker
    stopper: Stopper
    tables: TableReader
    sources: SourceHealth
    dispatcher: Dispatcher
    reaper: Reaper
    sweeper: Sweeper
    lock: IO[str]

    async def start(self) -> None:
        """Settle what an earlier process left, then begin to claim. Call on the main thread:
        the kernel ends the workers when the thread that started them ends."""
        await self.pool.start()
        self.sources.on_back(self.dispatcher.resync)
        self.sources.start()
        self.database.notifier.start(self._on_remote_change)
        self.runs.notifier.add_listener(
            lambda run: self.database.notifier.publish(run.id, run.state)
        )
        if "api" in self.settings.roles:
            await self.checker.check(_FIRST_CHECK)
        if "worker" in self.settings.roles:
            await self._start_working()

    async def _start_working(self) -> None:
        """On a database of its own, what an earlier process held is lapsed by definition; on a
        shared one it lapses in its time."""
        if not self.settings.is_shared:
            settled = await self.reaper.recover()
            if settled:
                log.warning("attempts_recovered", attempts=settled)
        self.dispatcher.start()
        self.reaper.start()

    def _on_remote_change(self, changes: Sequence[tuple[str, RunState]] | None) -> None:
        """Other nodes have changed these runs; None: anything may have changed."""
        if changes is None:
            self.runs.notifier.notify_all(changed=True)
            self.dispatcher.resync()
            return
        for run_id, state in changes:
            self.runs.notifier.on_remote_change(run_id)
            self.dispatcher.on_remote_change(run_id, state)

    async def drain(self, timeout_s: float) -> None:
        """Accept and claim nothing more; give running attempts their time, then re-queue them."""
        await self.dispatcher.drain(timeout_s)

    async def close(self) -> None:
        """End every part. Nothing of this node runs when this returns."""
        await self.reaper.close()
        await self.sweeper.close()
        await self.database.notifier.close()
        await self.sources.close()
        await self.stopper.close()
        await self.checker.close()
        await self.tables.close()
        await self.pool.close()
        self.database.close()
        self.lock.close()


def build_node(settings: Settings, public_url: str, resources: NodeResources | None = None) -> Node:
    """The parts of a node, connected and not yet started, on `resources` or one opened for it.

    Raises `ConfigurationError` when another node serves the same home.
    """
    resources = resources or open_resources(settings)
    database, pool = resources.database, resources.pool
    checker, stopper = StatementChecker(pool.fork_client), Stopper(pool.fork_client)
    notifier, resolver = ChangeNotifier(), SourceResolver(settings, database.auth)
    tables = TableReader(pool.fork_client, resolver.spec)
    remote = settings.remote_sources
    sources = SourceHealth(settings.sources, remote, stopper, resolver.spec)
    policies = {name: _policy(name, source) for name, source in settings.sources.items()}
    attempts = AttemptContext(
        node=f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}",
        store=resources.runs,
        workers=resources.workers,
        results=resources.results,
        notifier=notifier,
        policy=policies.__getitem__,
        bind=resolver.bind,
        remote=RemoteWork(remote, stopper, resolver.spec),
        sources=sources,
        retry=_retry_policy(settings),
        metrics=RunMetrics(),
        now=_now,
    )
    dispatcher = Dispatcher(attempts, _dispatch_options(settings), sources.usable)
    sweeper = Sweeper(settings, resources.results, _leader_of_results(settings, database))
    housekeeping = _housekeeping(database, sweeper)
    options = _reap_options(settings)
    reaper = Reaper(attempts, options, _kill_by_handle, housekeeping, database.leader)
    requests = RequestContext(
        store=resources.runs,
        guard=checker,
        notifier=notifier,
        sources=policies,
        default_source=settings.default_source,
        now=_now,
        accepting=lambda: dispatcher.accepting,
        progress=dispatcher.progress,
        unavailable_reason=sources.unavailable_reason,
        statements=settings.statement_kinds,
    )
    context = AppContext(
        runs=requests,
        auth=database.auth,
        idempotency=database.idempotency,
        requests=database.requests,
        results=resources.results,
        tables=tables,
        link_secret=_link_key(settings.path(settings.results.link_key_file)),
        public_url=settings.server.public_url or public_url,
        now=_now,
        make_limiter=_make_limiter(database),
        ready=_ready_checks(settings, resources, dispatcher, sources),
        settings=http_settings(settings),
        metrics=HttpMetrics(attempts.metrics.registry),
    )
    return Node(
        settings=settings,
        app=build_app(context),
        runs=requests,
        database=database,
        pool=pool,
        checker=checker,
        stopper=stopper,
        tables=tables,
        sources=sources,
        dispatcher=dispatcher,
        reaper=reaper,
        sweeper=sweeper,
        lock=resources.lock,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _lock_home(path: Path) -> IO[str]:
    """Hold the home for this process; the kernel lets go however the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ConfigurationError(f"another node already serves {path.parent}") from None
    return lock


def _link_key(path: Path) -> bytes:
    """The key that links are signed with; a new one makes every earlier link invalid."""
    try:
        return path.read_text(encoding="ascii").strip().encode("ascii")
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is missing; `queryrun init` makes a home") from None


# --- the core -------------------------------------------------------------------------------


def _retry_policy(settings: Settings) -> RetryPolicy:
    retries = settings.retries
    return RetryPolicy(retries.first_s, retries.factor, retries.max_s)


def _policy(name: str, source: SourceSettings) -> SourcePolicy:
    return SourcePolicy(
        name=name,
        max_running_per_tenant=source.max_running_per_tenant,
        max_queued_per_tenant=source.max_queued_per_tenant,
        max_output_rows=source.max_output_rows,
        max_output_bytes=size_bytes(source.max_output_size, "max_output_size"),
        memory_bytes=size_bytes(source.memory, "memory"),
        threads=source.threads,
        time_limit_s=source.time_limit_s,
        org_column=source.org_column,
        dialect=source.kind.guard(source.dialect),
    )


async def _kill_by_handle(handle: str) -> EngineStop:
    """Stop an attempt's work from its stored handle; returns when it is gone."""
    await handles.kill(handle)
    return EngineStop.KILLED


def _housekeeping(database: Database, sweeper: Sweeper) -> Callable[[], Awaitable[None]]:
    async def tidy() -> None:
        await sweeper.round()
        await database.auth.remove_expired_tokens(_now())
        await database.idempotency.remove_expired_keys()
        await database.tidy()
        await database.requests.remove_expired_requests(created_before=_now() - REQUESTS_KEPT)

    return tidy


def _leader_of_results(settings: Settings, database: Database) -> LeaderLease:
    """A bucket is everybody's, so one node can sweep it for all; a directory is a node's own."""
    return AlwaysLeader() if settings.results.store == "local" else database.leader


def _pool_options(settings: Settings) -> PoolOptions:
    return PoolOptions(
        spill_root=settings.path(SPILL_NAME),
        warm=settings.workers.warm,
        max_workers=settings.workers.slots + settings.workers.warm,
    )


def _dispatch_options(settings: Settings) -> DispatchOptions:
    return DispatchOptions(
        slots=settings.workers.slots,
        lease_s=settings.leases.lease_s,
        heartbeat_s=settings.leases.heartbeat_s,
        poll_s=settings.leases.poll_s,
        fence_s=settings.leases.lease_s * FENCE if settings.is_shared else None,
    )


def _reap_options(settings: Settings) -> ReapOptions:
    return ReapOptions(
        every_s=settings.leases.reap_interval_s,
        lease_s=settings.leases.lease_s,
        retention_s=settings.results.retention_days * 24 * 3600,
    )


# --- the skin -------------------------------------------------------------------------------


def _make_limiter(database: Database) -> MakeLimiter | None:
    """Rates hold across the nodes that share a database. None: this node counts alone."""
    if isinstance(database, SqliteDatabase):
        return None
    from queryrun.db.postgres.database import PostgresDatabase
    from queryrun.wiring.rates import shared

    assert isinstance(database, PostgresDatabase)  # noqa: S101 - there are two
    return shared(database.rates)


def _ready_checks(
    settings: Settings, resources: NodeResources, dispatcher: Dispatcher, sources: SourceHealth
) -> Callable[[], Awaitable[dict[str, str]]]:
    async def ready() -> dict[str, str]:
        checks = {
            "store": await _store_state(resources.database),
            "dispatcher": "ok" if dispatcher.accepting else "draining",
        }
        away = {name: sources.unavailable_reason(name) or OK for name in settings.remote_sources}
        return checks | {f"{SOURCE}{name}": state for name, state in away.items()}

    return ready


async def _store_state(database: Database) -> str:
    with suppress(Unavailable):
        async with asyncio.timeout(2):
            return "ok" if await database.runs.healthy() else "away"
    return "away"

"""Settings -> the live parts of a node; the only file that knows every class."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from uuid import uuid4

import structlog
from starlette.routing import Router

from queryrun.db.sqlite.open import SqliteDatabase, open_sqlite
from queryrun.errors import ConfigurationError, NotFound, RunFailed, Unavailable
from queryrun.http.app import build_app
from queryrun.http.limits import API_PRESETS, Rates
from queryrun.http.metrics import HttpMetrics
from queryrun.http.parts import HttpParts, HttpSettings
from queryrun.http.v2.body import MAX_TIMEOUT_S
from queryrun.results.local import LocalResultStore
from queryrun.results.s3place import S3Place
from queryrun.results.sigv4 import Credentials
from queryrun.results.store import ResultStore
from queryrun.runs.attempt import Crew, Workers
from queryrun.runs.desk import Changes, Desk, SourceRules
from queryrun.runs.dispatch import Dispatcher, DispatchOptions
from queryrun.runs.meter import Meter
from queryrun.runs.model import EngineStop
from queryrun.runs.reap import Reaper, ReapOptions
from queryrun.runs.retry import RetryPolicy
from queryrun.runs.store import RunStore
from queryrun.settings import (
    DATABASE_NAME,
    LINK_KEY_NAME,
    LOCK_NAME,
    SPILL_NAME,
    ResultSettings,
    Settings,
    SourceSettings,
    s3_credentials,
    size_bytes,
)
from queryrun.worker import handles
from queryrun.worker.checker import StatementChecker
from queryrun.worker.forkclient import Roles
from queryrun.worker.frames import Bind, ResultsSpec, SourceSpec
from queryrun.worker.pool import PoolOptions, WorkerPool

log = structlog.get_logger()

_FIRST_CHECK = "SELECT 1"
"""Checked at start, so that the first caller does not wait for a checker process."""

REQUESTS_KEPT = timedelta(hours=24)
"""How long the outcome of an `async: true` request can be read, like a key's answer."""

SWEEP_EVERY = timedelta(hours=1)
SWEEP_MARGIN = timedelta(days=1)
"""Files are swept so much later than they could have become nobody's: clocks differ."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a node stands on: its store, its workers, its results. The rest is made of these."""

    lock: IO[str]
    database: SqliteDatabase
    pool: WorkerPool
    runs: RunStore
    workers: Workers
    results: ResultStore


def open_ground(settings: Settings, roles: Roles | None = None) -> Ground:
    """Take the home for this process, open (and migrate) its store, make its pool.

    Raises `ConfigurationError` when another node serves the same home.
    """
    lock = _lock_home(settings.path(LOCK_NAME))
    database = open_sqlite(settings.path(DATABASE_NAME), _now)
    pool = WorkerPool(_pool_options(settings), roles)
    return Ground(lock, database, pool, database.runs, pool, _result_store(settings))


@dataclass(frozen=True, slots=True)
class Node:
    """One server process: its live parts. `start` before serving, `stop` after."""

    settings: Settings
    app: Router
    desk: Desk
    database: SqliteDatabase
    pool: WorkerPool
    checker: StatementChecker
    dispatcher: Dispatcher
    reaper: Reaper
    lock: IO[str]

    async def start(self) -> None:
        """Settle what an earlier process left, then begin to claim. Call on the main thread:
        the kernel ends the workers when the thread that started them ends."""
        await self.pool.start()
        await self.checker.check(_FIRST_CHECK)
        settled = await self.reaper.recover()
        if settled:
            log.warning("recovered", attempts=settled)
        self.dispatcher.start()
        self.reaper.start()

    async def drain(self, patience_s: float) -> None:
        """Accept and claim nothing more; give running attempts their time, then re-queue them."""
        await self.dispatcher.drain(patience_s)

    async def close(self) -> None:
        """End every part. Nothing of this node runs when this returns."""
        await self.reaper.close()
        await self.checker.close()
        await self.pool.close()
        self.database.close()
        self.lock.close()


def build_node(settings: Settings, public_url: str, ground: Ground | None = None) -> Node:
    """The parts of a node, connected and not yet started, on `ground` or one opened for it.

    Raises `ConfigurationError` when another node serves the same home.
    """
    ground = ground or open_ground(settings)
    database, pool = ground.database, ground.pool
    checker = StatementChecker(pool.fork_server)
    changes = Changes()
    crew = _crew(settings, ground, changes)
    dispatcher = Dispatcher(crew, _dispatch_options(settings), lambda: list(settings.sources))
    housekeeping = _housekeeping(database, _sweeper(settings, ground.results))
    reaper = Reaper(crew, _reap_options(settings), _kill_by_handle, housekeeping)
    desk = Desk(
        store=ground.runs,
        guard=checker,
        changes=changes,
        sources=_rules(settings),
        default_source=settings.default_source,
        now=_now,
        accepting=lambda: dispatcher.accepting,
        progress=dispatcher.progress,
    )
    parts = HttpParts(
        desk=desk,
        auth=database.auth,
        once=database.once,
        requests=database.requests,
        results=crew.results,
        link_secret=_link_key(settings.path(LINK_KEY_NAME)),
        public_url=settings.server.public_url or public_url,
        now=_now,
        ready=_ready_checks(database, dispatcher),
        settings=_http_settings(settings),
        metrics=HttpMetrics(crew.meter.registry),
    )
    return Node(
        settings=settings,
        app=build_app(parts),
        desk=desk,
        database=database,
        pool=pool,
        checker=checker,
        dispatcher=dispatcher,
        reaper=reaper,
        lock=ground.lock,
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


def _crew(settings: Settings, ground: Ground, changes: Changes) -> Crew:
    rules = _rules(settings)
    return Crew(
        node=f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}",
        store=ground.runs,
        workers=ground.workers,
        results=ground.results,
        changes=changes,
        rules=rules.__getitem__,
        bind=_binder(settings, ground.database),
        retry=RetryPolicy(
            settings.retries.first_s, settings.retries.factor, settings.retries.most_s
        ),
        meter=Meter(),
        now=_now,
    )


def _rules(settings: Settings) -> dict[str, SourceRules]:
    return {name: _source_rules(name, source) for name, source in settings.sources.items()}


def _source_rules(name: str, source: SourceSettings) -> SourceRules:
    return SourceRules(
        name=name,
        running_per_tenant=source.running_per_tenant,
        queued_per_tenant=source.queued_per_tenant,
        output_rows=source.output_rows,
        output_bytes=size_bytes(source.output_size, "output_size"),
        memory_bytes=size_bytes(source.memory, "memory"),
        threads=source.threads,
        time_limit_s=source.time_limit_s,
        org_column=source.org_column,
        dialect=source.dialect,
    )


def _binder(settings: Settings, database: SqliteDatabase) -> Callable[[str, str], Awaitable[Bind]]:
    """(source, entity id) -> which data a worker opens. Entities are looked up once each."""
    names: dict[str, str] = {}
    results = _results_specs(settings)

    async def bind(source: str, entity_id: str) -> Bind:
        if entity_id not in names:
            names.update({entity.id: entity.name for entity in await database.auth.entities()})
        if entity_id not in names:
            raise NotFound("entity", f"Entity {entity_id} could not be found")
        data = settings.data_path(source, names[entity_id])
        return _bind(settings, source, entity_id, data, results())

    return bind


def _bind(
    settings: Settings, source: str, entity_id: str, data: Path, results: ResultsSpec
) -> Bind:
    rules = settings.sources[source]
    option = "database" if data.suffix == ".duckdb" else "data_dir"
    return Bind(
        entity_id=entity_id,
        source=SourceSpec("duckdb", {option: str(data), "dialect": rules.dialect}),
        results=results,
        memory_bytes=size_bytes(rules.memory, "memory"),
        threads=rules.threads,
        spill_dir="",
        spill_bytes=size_bytes(rules.spill, "spill"),
        time_zone=settings.time_zone,
    )


async def _kill_by_handle(handle: str) -> EngineStop:
    """Stop an attempt's work from its stored handle; returns when it is gone."""
    await handles.kill(handle)
    return EngineStop.KILLED


def _housekeeping(
    database: SqliteDatabase, sweep: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    async def tidy() -> None:
        await sweep()
        await database.auth.remove_expired_tokens(_now())
        await database.once.remove_expired_keys()
        await database.requests.remove_expired_requests(created_before=_now() - REQUESTS_KEPT)

    return tidy


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
    )


def _reap_options(settings: Settings) -> ReapOptions:
    return ReapOptions(
        every_s=settings.leases.reap_every_s,
        lease_s=settings.leases.lease_s,
        retention_s=settings.results.retention_days * 24 * 3600,
    )


# --- results --------------------------------------------------------------------------------


def _result_store(settings: Settings) -> ResultStore:
    if settings.results.store == "s3":
        return _s3_results(settings)
    directory = settings.path(settings.results.directory)
    directory.mkdir(parents=True, exist_ok=True)
    return LocalResultStore(directory)


def _s3_results(settings: Settings) -> ResultStore:
    """Imported here: a node with a directory has no use for it. Fails when there are no keys."""
    from queryrun.results.s3 import S3ResultStore
    from queryrun.results.s3bucket import S3Bucket

    bucket = S3Bucket(_s3_place(settings.results), _credentials(settings))
    return S3ResultStore(
        bucket,
        part_bytes=size_bytes(settings.results.part_size, "results.part_size"),
        presigned=settings.results.links == "presigned",
    )


def _credentials(settings: Settings) -> Callable[[], Credentials]:
    """The S3 store's credentials of each moment; the last good ones while none can be read."""
    good = s3_credentials(settings)

    def current() -> Credentials:
        nonlocal good
        try:
            good = s3_credentials(settings)
        except ConfigurationError as error:
            log.warning("s3_credentials_not_read", error=str(error))
        return good

    return current


def _s3_place(results: ResultSettings) -> S3Place:
    return S3Place(
        bucket=results.bucket,
        prefix=results.prefix,
        endpoint=results.endpoint,
        region=results.region,
        addressing=results.addressing,
        link_endpoint=results.link_endpoint,
    )


def _results_specs(settings: Settings) -> Callable[[], ResultsSpec]:
    """Where a worker writes, and for S3 as whom: with the credentials of that moment."""
    results = settings.results
    if results.store == "local":
        local = ResultsSpec("local", {"directory": str(settings.path(results.directory))})
        return lambda: local
    options = asdict(_s3_place(results))
    options["part_bytes"] = str(size_bytes(results.part_size, "results.part_size"))
    credentials = _credentials(settings)
    return lambda: ResultsSpec("s3", options, credentials())


def _sweeper(settings: Settings, results: ResultStore) -> Callable[[], Awaitable[None]]:
    """Once an hour, remove what no run names: files older than any that a run can have."""
    longest_s = max(source.time_limit_s for source in settings.sources.values())
    longest_s = max(longest_s, MAX_TIMEOUT_S)
    attempt = timedelta(seconds=longest_s) + SWEEP_MARGIN
    kept = timedelta(days=settings.results.retention_days) + SWEEP_MARGIN
    due = _now()

    async def sweep() -> None:
        nonlocal due
        if (now := _now()) < due:
            return
        due = now + SWEEP_EVERY
        try:
            swept = await asyncio.to_thread(results.sweep, now - attempt, now - kept)
        except (RunFailed, OSError) as error:
            log.warning("results_not_swept", error=type(error).__name__)
            return
        if swept:
            log.info("results_swept", files=len(swept))

    return sweep


# --- the skin -------------------------------------------------------------------------------


def _http_settings(settings: Settings) -> HttpSettings:
    return HttpSettings(
        body_bytes=settings.server.body_limit_bytes,
        request_timeout_s=settings.server.request_timeout_s,
        link_life_s=settings.results.link_ttl_s,
        api_rates=API_PRESETS[settings.rates.preset],
        auth_address_rates=Rates.of(settings.rates.auth_per_address_per_minute),
    )


def _ready_checks(
    database: SqliteDatabase, dispatcher: Dispatcher
) -> Callable[[], Awaitable[dict[str, str]]]:
    async def ready() -> dict[str, str]:
        return {
            "store": await _store_state(database),
            "dispatcher": "ok" if dispatcher.accepting else "draining",
        }

    return ready


async def _store_state(database: SqliteDatabase) -> str:
    with suppress(Unavailable):
        async with asyncio.timeout(2):
            return "ok" if await database.runs.healthy() else "away"
    return "away"

"""A worker cannot be reaped: the run stays `canceling`, keeps its slot, raises an alert."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from queryrun.cli.home import MadeHome
from queryrun.db.sqlite.database import open_sqlite
from queryrun.engines.base import work_name
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Unavailable
from queryrun.processes.errors import NotReaped
from queryrun.results.local import LocalResultStore
from queryrun.runs.leader import AlwaysLeader
from queryrun.runs.metrics import RunMetrics
from queryrun.runs.model import EngineStop, Stage
from queryrun.runs.notify import ChangeNotifier
from queryrun.runs.reap import Reaper, ReapOptions
from queryrun.runs.remote import RemoteWork
from queryrun.runs.retry import RetryPolicy
from queryrun.runs.state import RunState
from queryrun.wiring.resources import NodeResources
from queryrun.worker.pool import Stopped
from queryrun.worker.worker import Worker
from tests.conftest import Clock
from tests.contract.run_store_fixtures import BY_USER, LEASE_S, read, started
from tests.faults.node_harness import RUNAWAY, NodeHarness, open_node

pytestmark = pytest.mark.anyio


class SickPool:
    """The real pool, but while it is sick no worker is ever reaped."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.sick = True
        self.refused = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def stop(self, worker: Worker) -> Stopped:
        """Fail, as the pool does after its timeout; or, recovered, really stop."""
        if self.sick:
            self.refused.set()
            raise NotReaped(worker.pid)
        stopped: Stopped = await self._pool.stop(worker)
        return stopped


async def stops_unconfirmed(harness: NodeHarness) -> str:
    """The line of the alert at /metrics."""
    async with harness.http() as http:
        text = (await http.get("/metrics")).text
    [line] = [one for one in text.splitlines() if one.startswith("queryrun_stops_unconfirmed ")]
    return line


async def test_a_run_is_not_canceled_before_its_stop_is_confirmed(made: MadeHome) -> None:
    pools: list[SickPool] = []

    def wrap(resources: NodeResources) -> NodeResources:
        pools.append(SickPool(resources.pool))
        return replace(resources, workers=pools[0])

    environ = {"QUERYRUN_WORKERS__SLOTS": "1"}
    async with open_node(made, wrap=wrap, environ=environ) as harness:
        run_id = await harness.submit(RUNAWAY)
        await harness.wait_stage(run_id, Stage.EXECUTING)
        with capture_logs() as log:
            cancelling = await harness.cancel(run_id, wait_s=0.1)
            await pools[0].refused.wait()
        assert cancelling.state is RunState.CANCELING
        await assert_held(harness, run_id)
        assert any(line["event"] == "worker_not_reaped" for line in log)
        assert await stops_unconfirmed(harness) == "queryrun_stops_unconfirmed 1.0"

        pools[0].sick = False
        assert (await harness.wait_finished(run_id)).state is RunState.CANCELED
        assert harness.workers_of(run_id) == []
        assert await stops_unconfirmed(harness) == "queryrun_stops_unconfirmed 0.0"
        assert (
            await harness.wait_finished(await harness.submit("SELECT 1 AS a"))
        ).state is RunState.COMPLETE


async def test_the_reaper_skips_what_it_cannot_kill_and_continues(
    tmp_path: Path, clock: Clock
) -> None:
    """One process that does not end delays no other run, and is retried."""
    database = open_sqlite(tmp_path / "store.db", clock)
    store, sick = database.runs, {"process-1"}

    async def kill(handle: str) -> EngineStop:
        if handle in sick:
            raise NotReaped(1)
        return EngineStop.KILLED

    metrics = RunMetrics()
    context: Any = SimpleNamespace(
        node="here",
        store=store,
        results=LocalResultStore(tmp_path),
        files=SimpleNamespace(discard=AsyncMock()),
        notifier=ChangeNotifier(),
        remote=RemoteWork((), FakeRemoteStop(), no_source),
        metrics=metrics,
        retry=RetryPolicy(),
        tracer=None,
        now=clock,
    )
    reaper = Reaper(context, ReapOptions(lease_s=LEASE_S), kill, AlwaysLeader())
    stuck, well = [await started(store) for _ in range(2)]
    for number, attempt in enumerate((stuck, well), start=1):
        await store.save_handle(attempt.ref, handle=f"process-{number}", file_key="k.csv")
        await store.cancel(attempt.ref.run_id, BY_USER)
    clock.move(LEASE_S)

    assert await reaper.reap_expired_leases() == 1
    assert (await read(store, stuck.ref.run_id)).state is RunState.CANCELING
    assert (await read(store, well.ref.run_id)).state is RunState.CANCELED
    assert metrics.registry.get_sample_value("queryrun_stops_unconfirmed") == 1

    sick.clear()
    clock.move(LEASE_S)
    assert await reaper.reap_expired_leases() == 1
    assert (await read(store, stuck.ref.run_id)).state is RunState.CANCELED
    assert metrics.registry.get_sample_value("queryrun_stops_unconfirmed") == 0
    database.close()


class FakeRemoteStop:
    """A remote engine that may be down; it knows of no work."""

    def __init__(self) -> None:
        self.is_away = False
        self.stopped: list[str] = []

    async def stop(self, source: SourceSpec, name: str) -> None:
        """Confirmed, unless it is down."""
        if self.is_away:
            raise Unavailable("away")
        self.stopped.append(name)

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """Nothing."""
        return ()


async def no_source(source: str, entity_id: str | None) -> SourceSpec:
    """Any source will do."""
    return SourceSpec("trino", {})


async def test_an_expired_attempt_is_not_settled_before_the_remote_engine_confirms(
    tmp_path: Path, clock: Clock
) -> None:
    """Killing the worker that called it confirms nothing."""
    database, engine = open_sqlite(tmp_path / "store.db", clock), FakeRemoteStop()
    store, metrics = database.runs, RunMetrics()
    context: Any = SimpleNamespace(
        node="here",
        store=store,
        results=LocalResultStore(tmp_path),
        files=SimpleNamespace(discard=AsyncMock()),
        notifier=ChangeNotifier(),
        remote=RemoteWork(("live",), engine, no_source),
        metrics=metrics,
        tracer=None,
        now=clock,
    )

    async def kill(handle: str) -> EngineStop:
        return EngineStop.KILLED

    reaper = Reaper(context, ReapOptions(lease_s=LEASE_S), kill, AlwaysLeader())
    attempt = await started(store)
    await store.save_handle(attempt.ref, handle="process", file_key="k.csv")
    await store.cancel(attempt.ref.run_id, BY_USER)
    clock.move(LEASE_S)
    engine.is_away = True
    assert await reaper.reap_expired_leases() == 0
    assert (await read(store, attempt.ref.run_id)).state is RunState.CANCELING
    assert metrics.registry.get_sample_value("queryrun_stops_unconfirmed") == 1

    engine.is_away = False
    clock.move(LEASE_S)
    assert await reaper.reap_expired_leases() == 1
    run = await read(store, attempt.ref.run_id)
    assert run.cancellation is not None
    assert run.cancellation.engine_stop is EngineStop.REMOTE_CONFIRMED
    assert engine.stopped == [work_name(attempt.ref.run_id, 1)]
    assert metrics.registry.get_sample_value("queryrun_stops_unconfirmed") == 0
    database.close()


async def assert_held(harness: NodeHarness, run_id: str) -> None:
    """It reads `in_progress` with the request on record, and no other run gets its slot."""
    waiting = await harness.submit("SELECT 2 AS a")
    async with harness.http() as http:
        query = {"fields[]": "state,cancellation"}
        body = (await http.get(f"/v2/query_runs/{run_id}", params=query)).json()
        other = (await http.get(f"/v2/query_runs/{waiting}")).json()
    assert body["state"] == "in_progress"
    assert "requested_time" in body["cancellation"]
    assert "canceled_time" not in body["cancellation"]
    assert harness.node.dispatcher.held == 1
    assert other["state"] == "accepted"

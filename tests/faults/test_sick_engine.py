"""A worker that cannot be reaped: the run stays `canceling`, its slot held, and an alarm is up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
from tests.faults.node import RUNAWAY, Scene, open_node

pytestmark = pytest.mark.anyio


class SickPool:
    """The real pool, but while it is sick no worker is ever proven gone."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.sick = True
        self.refused = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def stop(self, worker: Worker) -> Stopped:
        """Refuse, as the pool does after its bound; or, recovered, really stop."""
        if self.sick:
            self.refused.set()
            raise NotReaped(worker.pid)
        stopped: Stopped = await self._pool.stop(worker)
        return stopped


async def stops_unconfirmed(scene: Scene) -> str:
    """The alarm's line at /metrics."""
    async with scene.http() as http:
        text = (await http.get("/metrics")).text
    [line] = [one for one in text.splitlines() if one.startswith("queryrun_stops_unconfirmed ")]
    return line


async def test_never_canceled_until_it_is_proven(made: MadeHome) -> None:
    pools: list[SickPool] = []

    def wrap(resources: NodeResources) -> NodeResources:
        pools.append(SickPool(resources.pool))
        return replace(resources, workers=pools[0])

    environ = {"QUERYRUN_WORKERS__SLOTS": "1"}
    async with open_node(made, wrap=wrap, environ=environ) as scene:
        run_id = await scene.submit(RUNAWAY)
        await scene.reaches(run_id, Stage.EXECUTING)
        with capture_logs() as log:
            asked = await scene.cancel(run_id, wait_s=0.1)
            await pools[0].refused.wait()
        assert asked.state is RunState.CANCELING
        await assert_held(scene, run_id)
        assert any(line["event"] == "worker_not_reaped" for line in log)
        assert await stops_unconfirmed(scene) == "queryrun_stops_unconfirmed 1.0"

        pools[0].sick = False
        assert (await scene.ended(run_id)).state is RunState.CANCELED
        assert scene.workers_of(run_id) == []
        assert await stops_unconfirmed(scene) == "queryrun_stops_unconfirmed 0.0"
        assert (await scene.ended(await scene.submit("SELECT 1 AS a"))).state is RunState.COMPLETE


async def test_the_reaper_leaves_what_it_cannot_kill_and_goes_on(
    tmp_path: Path, clock: Clock
) -> None:
    """One process that does not end keeps nobody else's run waiting, and is tried again."""
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
        notifier=ChangeNotifier(),
        remote=RemoteWork((), Elsewhere(), no_place),
        metrics=metrics,
        retry=RetryPolicy(),
        now=clock,
    )
    reaper = Reaper(context, ReapOptions(lease_s=LEASE_S), kill, [], AlwaysLeader())
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


class Elsewhere:
    """An engine elsewhere that may be away; it knows of no work."""

    def __init__(self) -> None:
        self.is_away = False
        self.ended: list[str] = []

    async def stop(self, source: SourceSpec, name: str) -> None:
        """Proven, when it answers."""
        if self.is_away:
            raise Unavailable("away")
        self.ended.append(name)

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """Nothing."""
        return ()


async def no_place(source: str, entity_id: str | None) -> SourceSpec:
    """Any place will do."""
    return SourceSpec("trino", {})


async def test_a_lapsed_attempt_is_not_settled_before_the_engine_elsewhere_says_so(
    tmp_path: Path, clock: Clock
) -> None:
    """Killing the worker that spoke to it proves nothing."""
    database, engine = open_sqlite(tmp_path / "store.db", clock), Elsewhere()
    store, metrics = database.runs, RunMetrics()
    context: Any = SimpleNamespace(
        node="here",
        store=store,
        results=LocalResultStore(tmp_path),
        notifier=ChangeNotifier(),
        remote=RemoteWork(("live",), engine, no_place),
        metrics=metrics,
        now=clock,
    )

    async def kill(handle: str) -> EngineStop:
        return EngineStop.KILLED

    reaper = Reaper(context, ReapOptions(lease_s=LEASE_S), kill, [], AlwaysLeader())
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
    assert engine.ended == [work_name(attempt.ref.run_id, 1)]
    assert metrics.registry.get_sample_value("queryrun_stops_unconfirmed") == 0
    database.close()


async def assert_held(scene: Scene, run_id: str) -> None:
    """It reads `in_progress` with the wish on record, and nobody else gets its slot."""
    waiting = await scene.submit("SELECT 2 AS a")
    async with scene.http() as http:
        query = {"fields[]": "state,cancellation"}
        shown = (await http.get(f"/v2/query_runs/{run_id}", params=query)).json()
        other = (await http.get(f"/v2/query_runs/{waiting}")).json()
    assert shown["state"] == "in_progress"
    assert "requested_time" in shown["cancellation"]
    assert "canceled_time" not in shown["cancellation"]
    assert scene.node.dispatcher.held == 1
    assert other["state"] == "accepted"

"""Races of one attempt that are too narrow to meet by chance: played move by move."""

from __future__ import annotations

from typing import Any

import pytest

from queryrun.results.formats import ContentType
from queryrun.runs.attempt import AttemptRunner
from queryrun.runs.model import Output, Run, RunRequest, StopReason
from queryrun.runs.state import RunState
from queryrun.runs.store import ClaimLimits
from tests.simulation.schedule import Schedule
from tests.simulation.virtual import virtual_time
from tests.simulation.world import CANCEL, LEASE_S, Put, World

NODE = "node-0"
REQUEST = RunRequest("t", "e", "client-1", "live", "SELECT 1", Output(ContentType.CSV))


class CrashedAndCanceled:
    """The worker crashes as it starts, and a cancel commits before the requeue that follows."""

    def __init__(self, world: World, *, is_notified: bool) -> None:
        self._world = world
        self._is_notified = is_notified
        self.runner: AttemptRunner | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.backend.runs, name)

    async def save_handle(self, ref: Any, **saved: Any) -> None:
        """The worker is known, and gone."""
        await self._world.backend.runs.save_handle(ref, **saved)
        self._world.engines.crash(NODE)

    async def requeue(self, ref: Any, detail: Any) -> Any:
        """The cancel is first; `is_notified`: the node hears of it before its write fails."""
        run = await self._world.backend.runs.get(ref.run_id)
        if run is not None and run.cancellation is None:
            await self._world.backend.runs.cancel(ref.run_id, CANCEL)
        if self._is_notified and self.runner is not None:
            self.runner.stop(StopReason.USER, "client-1")
        return await self._world.backend.runs.requeue(ref, detail)


@pytest.mark.parametrize(
    "is_notified", [True, False], ids=["notified at once", "found out by the store"]
)
def test_a_cancel_that_overtakes_the_requeue_of_a_crash_ends_the_run(*, is_notified: bool) -> None:
    async def play(world: World) -> Run | None:
        await world.backend.runs.accept(REQUEST, run_id="run-1")
        limits = ClaimLimits(["live"], 1, {})
        [attempt] = await world.backend.runs.claim(NODE, lease_s=LEASE_S, limits=limits)
        store = CrashedAndCanceled(world, is_notified=is_notified)
        store.runner = AttemptRunner(attempt, world.context(NODE, store))
        return await store.runner.run()

    with virtual_time() as loop:
        run = loop.run_until_complete(play(World(Schedule(1, (0.0,), ()), Put(), loop)))
    assert run is not None, "the attempt left the canceled run to whoever finds it"
    assert run.state is RunState.CANCELED


def test_a_cancel_that_overtakes_the_settling_of_a_lost_node_ends_the_run() -> None:
    async def play(world: World) -> Run | None:
        backend = world.backend.runs
        await backend.accept(REQUEST, run_id="run-1")
        await backend.claim(NODE, lease_s=-1.0, limits=ClaimLimits(["live"], 1, {}))
        context = world.context("node-1", CrashedAndCanceled(world, is_notified=False))
        assert await world.reaper(context).reap_expired_leases() == 1
        return await backend.get("run-1")

    with virtual_time() as loop:
        run = loop.run_until_complete(play(World(Schedule(1, (0.0,), ()), Put(), loop)))
    assert run is not None
    assert run.state is RunState.CANCELED, "it waits for another lease"

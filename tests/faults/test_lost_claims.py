"""A claim that was committed and whose answer was lost: nobody lives it, and yet it is settled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from queryrun.cli.home import MadeHome
from queryrun.errors import Unavailable
from queryrun.runs.model import Attempt
from queryrun.runs.state import RunState
from queryrun.wiring.resources import NodeResources
from tests.faults.node import RUNAWAY, Scene, open_node, until

pytestmark = pytest.mark.anyio


class LosesAClaim:
    """The real store, but the answer to the first claim that took something is lost."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.lost: list[Attempt] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim(self, *args: Any, **kwargs: Any) -> list[Attempt]:
        """Commit done, reply lost."""
        taken: list[Attempt] = await self._store.claim(*args, **kwargs)
        if taken and not self.lost:
            self.lost = taken
            raise Unavailable("the connection broke")
        return taken


def losing(stores: list[LosesAClaim]) -> Any:
    """A wrap that keeps the broken store in `stores`."""

    def wrap(resources: NodeResources) -> NodeResources:
        stores.append(LosesAClaim(resources.runs))
        broken: Any = stores[0]
        return replace(resources, runs=broken)

    return wrap


async def lost_run(scene: Scene, stores: list[LosesAClaim], sql: str) -> str:
    """A run whose claim nobody heard of; its lease is renewed once by a heartbeat, if at all."""
    run_id = await scene.submit(sql)
    await until(lambda: bool(stores[0].lost), "the lost claim")
    await scene.node.dispatcher.extend_leases()
    return run_id


async def test_the_run_is_tried_again_when_its_lease_has_lapsed(made: MadeHome) -> None:
    stores: list[LosesAClaim] = []
    async with open_node(made, wrap=losing(stores)) as scene:
        run_id = await lost_run(scene, stores, "SELECT 1 AS a")
        run = await scene.ended(run_id)
        assert (run.state, run.attempt) == (RunState.COMPLETE, 2)


async def test_a_cancel_of_it_ends_canceled_when_its_lease_has_lapsed(made: MadeHome) -> None:
    """Late, but never a lie: until then it is `canceling`."""
    stores: list[LosesAClaim] = []
    async with open_node(made, wrap=losing(stores)) as scene:
        run_id = await lost_run(scene, stores, RUNAWAY)
        asked = await scene.cancel(run_id, wait_s=0)
        assert asked.state is RunState.CANCELING
        run = await scene.ended(run_id)
        assert (run.state, run.attempt) == (RunState.CANCELED, 1)
        assert scene.workers_of(run_id) == []

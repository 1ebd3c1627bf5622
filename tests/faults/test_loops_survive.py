"""The node's loops outlive a surprise: a node that stopped claiming would look healthy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from queryrun.cli.home import MadeHome
from queryrun.runs.state import RunState
from queryrun.wiring.resources import NodeResources
from tests.faults.node import RUNAWAY, open_node, until

pytestmark = pytest.mark.anyio


class BreaksOnce:
    """The real store, whose named method raises what nobody expects at its first call."""

    def __init__(self, store: Any, method: str) -> None:
        self._store = store
        self._method = method
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name != self._method:
            return found

        async def broken_once(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise ValueError("nobody expects this")
            return await found(*args, **kwargs)

        return broken_once


def breaking(method: str, stores: list[BreaksOnce]) -> Any:
    """A wrap that keeps the store, which breaks once, in `stores`."""

    def wrap(resources: NodeResources) -> NodeResources:
        stores.append(BreaksOnce(resources.runs, method))
        broken: Any = stores[0]
        return replace(resources, runs=broken)

    return wrap


async def test_claiming_goes_on_after_a_claim_that_broke(made: MadeHome) -> None:
    stores: list[BreaksOnce] = []
    async with open_node(made, wrap=breaking("claim", stores)) as scene:
        run = await scene.ended(await scene.submit("SELECT 1 AS a"))
        assert run.state is RunState.COMPLETE
        assert stores[0].calls > 1


async def test_heartbeats_go_on_after_one_that_broke(made: MadeHome) -> None:
    stores: list[BreaksOnce] = []
    async with open_node(made, wrap=breaking("extend", stores)) as scene:
        run_id = await scene.submit(RUNAWAY)
        await scene.computes(run_id)
        await until(lambda: stores[0].calls > 2, "a heartbeat after the broken one")
        assert (await scene.cancel(run_id)).state is RunState.CANCELED

"""The node's loops survive unexpected errors: a node that stopped claiming would look healthy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from queryrun.cli.home import MadeHome
from queryrun.runs.state import RunState
from queryrun.wiring.resources import NodeResources
from tests.faults.node_harness import RUNAWAY, open_node, until

pytestmark = pytest.mark.anyio


class BreaksOnce:
    """The real store, whose named method raises an unexpected error at its first call."""

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
    """A wrapper that keeps the store, which fails once, in `stores`."""

    def wrap(resources: NodeResources) -> NodeResources:
        stores.append(BreaksOnce(resources.runs, method))
        broken: Any = stores[0]
        return replace(resources, runs=broken)

    return wrap


async def test_claiming_continues_after_an_error_in_a_claim(made: MadeHome) -> None:
    stores: list[BreaksOnce] = []
    async with open_node(made, wrap=breaking("claim", stores)) as harness:
        run = await harness.wait_finished(await harness.submit("SELECT 1 AS a"))
        assert run.state is RunState.COMPLETE
        assert stores[0].calls > 1


async def test_heartbeats_continue_after_an_error_in_one(made: MadeHome) -> None:
    stores: list[BreaksOnce] = []
    async with open_node(made, wrap=breaking("extend", stores)) as harness:
        run_id = await harness.submit(RUNAWAY)
        await harness.wait_computing(run_id)
        await until(lambda: stores[0].calls > 2, "a heartbeat after the broken one")
        assert (await harness.cancel(run_id)).state is RunState.CANCELED

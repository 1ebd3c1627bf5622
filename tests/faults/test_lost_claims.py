"""A claim is committed but its reply is lost: no node runs the attempt, and yet it is settled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from queryrun.cli.home import MadeHome
from queryrun.errors import Unavailable
from queryrun.runs.model import Attempt
from queryrun.runs.state import RunState
from queryrun.wiring.resources import NodeResources
from tests.faults.node_harness import RUNAWAY, NodeHarness, open_node, until

pytestmark = pytest.mark.anyio


class LosesAClaim:
    """The real store, but the response to the first claim that returned an attempt is lost."""

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
    """A wrapper that keeps the faulty store in `stores`."""

    def wrap(resources: NodeResources) -> NodeResources:
        stores.append(LosesAClaim(resources.runs))
        broken: Any = stores[0]
        return replace(resources, runs=broken)

    return wrap


async def lost_run(harness: NodeHarness, stores: list[LosesAClaim], sql: str) -> str:
    """A run whose claim no node knows of; its lease is renewed by at most one heartbeat."""
    run_id = await harness.submit(sql)
    await until(lambda: bool(stores[0].lost), "the lost claim")
    await harness.node.dispatcher.extend_leases()
    return run_id


async def test_the_run_is_retried_when_its_lease_has_expired(made: MadeHome) -> None:
    stores: list[LosesAClaim] = []
    async with open_node(made, wrap=losing(stores)) as harness:
        run_id = await lost_run(harness, stores, "SELECT 1 AS a")
        run = await harness.wait_finished(run_id)
        assert (run.state, run.attempt) == (RunState.COMPLETE, 2)


async def test_a_cancel_of_it_completes_when_its_lease_has_expired(made: MadeHome) -> None:
    """Late, but correct: until then it is `canceling`."""
    stores: list[LosesAClaim] = []
    async with open_node(made, wrap=losing(stores)) as harness:
        run_id = await lost_run(harness, stores, RUNAWAY)
        cancelling = await harness.cancel(run_id, wait_s=0)
        assert cancelling.state is RunState.CANCELING
        run = await harness.wait_finished(run_id)
        assert (run.state, run.attempt) == (RunState.CANCELED, 1)
        assert harness.workers_of(run_id) == []

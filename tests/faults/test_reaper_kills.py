"""A lease that has lapsed: the reaper kills by the stored handle, and only then lets go."""

from __future__ import annotations

import pytest

from queryrun.cancel_suite.processes import state_of
from queryrun.cli.home import MadeHome
from queryrun.runs.model import EngineStop, Stage, StopReason
from queryrun.runs.state import RunState
from queryrun.runs.store import CancelRequested
from tests.faults.node import RUNAWAY, Scene, open_node

pytestmark = pytest.mark.anyio
CALM = {
    "QUERYRUN_LEASES__REAP_INTERVAL_S": "3600",
    "QUERYRUN_LEASES__HEARTBEAT_S": "3600",
    "QUERYRUN_LEASES__LEASE_S": "36000",
    "QUERYRUN_RETRIES__FIRST_S": "3600",
    "QUERYRUN_RETRIES__MAX_S": "3600",
}
"""Nothing is reaped and no lease renewed but by the test; what is queued again stays queued."""
ENDED = {"", "Z"}
"""Not in the process table, or a zombie: it has given everything back, and only its parent has
not collected its exit status yet."""


async def computing_and_lapsed(scene: Scene) -> tuple[str, int]:
    """A run that computes, its node taken for dead; its id and its worker."""
    run_id = await scene.submit(RUNAWAY)
    await scene.reaches(run_id, Stage.EXECUTING)
    pid = await scene.computes(run_id)
    await scene.node.database.runs.expired_leases(exclude_node="a node that owns the store")
    return run_id, pid


async def test_the_worker_of_a_lapsed_attempt_is_gone_before_the_run_is_queued_again(
    made: MadeHome,
) -> None:
    async with open_node(made, environ=CALM) as scene:
        run_id, pid = await computing_and_lapsed(scene)
        await scene.node.reaper.reap_expired_leases()
        assert state_of(pid) in ENDED
        run = await scene.read(run_id)
        assert (run.state, run.remaining_attempts) == (RunState.ACCEPTED, 2)


async def test_a_lapsed_cancel_ends_canceled_and_its_worker_is_gone(made: MadeHome) -> None:
    async with open_node(made, environ=CALM) as scene:
        run_id, pid = await computing_and_lapsed(scene)
        await scene.node.database.runs.cancel(run_id, CancelRequested(StopReason.USER, "elsewhere"))
        await scene.node.reaper.reap_expired_leases()
        assert state_of(pid) in ENDED
        run = await scene.read(run_id)
        assert run.state is RunState.CANCELED
        assert run.cancellation is not None
        assert run.cancellation.engine_stop is EngineStop.KILLED


async def test_the_reaper_removes_all_that_is_past_its_retention_at_once(made: MadeHome) -> None:
    """More than one batch of its own: a busy node must not fall behind."""
    at_once = {"QUERYRUN_RESULTS__RETENTION_DAYS": "0", "QUERYRUN_WORKERS__SLOTS": "0"}
    async with open_node(made, environ=CALM | at_once) as scene:
        for _ in range(120):
            await scene.cancel(await scene.submit(RUNAWAY))
        assert await scene.node.reaper.remove_expired() > 100  # the last ended this millisecond

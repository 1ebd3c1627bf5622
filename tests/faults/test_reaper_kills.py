"""After a lease has expired the reaper kills by the stored handle, and only then frees the run."""

from __future__ import annotations

import pytest

from queryrun.cancel_suite.processes import state_of
from queryrun.cli.home import MadeHome
from queryrun.runs.model import EngineStop, Stage, StopReason
from queryrun.runs.state import RunState
from queryrun.runs.store import CancelRequested
from tests.faults.node_harness import RUNAWAY, NodeHarness, open_node

pytestmark = pytest.mark.anyio
CALM = {
    "QUERYRUN_LEASES__REAP_INTERVAL_S": "3600",
    "QUERYRUN_LEASES__HEARTBEAT_S": "3600",
    "QUERYRUN_LEASES__LEASE_S": "36000",
    "QUERYRUN_RETRIES__FIRST_S": "3600",
    "QUERYRUN_RETRIES__MAX_S": "3600",
}
"""Only the test reaps and renews leases; what is requeued stays queued."""
EXITED_STATES = {"", "Z"}
"""Not in the process table, or a zombie: it has given everything back, and only its parent has
not collected its exit status yet."""


async def computing_with_expired_lease(harness: NodeHarness) -> tuple[str, int]:
    """A run that is computing, its node taken for dead; its id and its worker."""
    run_id = await harness.submit(RUNAWAY)
    await harness.wait_stage(run_id, Stage.EXECUTING)
    pid = await harness.wait_computing(run_id)
    await harness.node.database.runs.expired_leases(exclude_node="a node that owns the store")
    harness.node.reaper._is_held = lambda _ref: False  # as if another node had begun it
    return run_id, pid


async def test_the_worker_of_an_expired_attempt_is_gone_before_the_run_is_requeued(
    made: MadeHome,
) -> None:
    async with open_node(made, environ=CALM) as harness:
        run_id, pid = await computing_with_expired_lease(harness)
        await harness.node.reaper.reap_expired_leases()
        assert state_of(pid) in EXITED_STATES
        run = await harness.read(run_id)
        assert (run.state, run.remaining_attempts) == (RunState.ACCEPTED, 2)


async def test_an_expired_cancel_completes_and_its_worker_is_gone(made: MadeHome) -> None:
    async with open_node(made, environ=CALM) as harness:
        run_id, pid = await computing_with_expired_lease(harness)
        await harness.node.database.runs.cancel(
            run_id, CancelRequested(StopReason.USER, "elsewhere")
        )
        await harness.node.reaper.reap_expired_leases()
        assert state_of(pid) in EXITED_STATES
        run = await harness.read(run_id)
        assert run.state is RunState.CANCELED
        assert run.cancellation is not None
        assert run.cancellation.engine_stop is EngineStop.KILLED


async def test_all_expired_runs_are_removed_in_one_round(made: MadeHome) -> None:
    """More than one batch: a busy node must not fall behind."""
    at_once = {
        "QUERYRUN_RESULTS__RETENTION_DAYS": "0",
        "QUERYRUN_RESULTS__RETENTION_MAX_SHARE": "1",
        "QUERYRUN_WORKERS__SLOTS": "0",
    }
    async with open_node(made, environ=CALM | at_once) as harness:
        for _ in range(120):
            await harness.cancel(await harness.submit(RUNAWAY))
        assert await harness.node.retention.round() > 100  # the last finished just now

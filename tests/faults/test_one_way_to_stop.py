"""Caller, admin, time, limits, shutdown, lost lease: one way to stop, each with its own reason."""

from __future__ import annotations

import pytest

from queryrun.cli.home import MadeHome
from queryrun.errors import FailureCode
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    AttemptRef,
    EngineStop,
    Output,
    Run,
    Stage,
    StopReason,
)
from queryrun.runs.state import RunState
from tests.faults.node_harness import RUNAWAY, NodeHarness, open_node, until

pytestmark = pytest.mark.anyio

MANY_ROWS = "SELECT i FROM range(2000000000) t(i)"
MUCH_MEMORY = "SELECT list(i) AS l FROM range(100000000) t(i)"
STOPPED = {EngineStop.INTERRUPTED, EngineStop.KILLED}


def assert_stopped(run: Run, reason: StopReason, by: str | None, stage: Stage) -> None:
    """The record of a stop is complete and gives the reason."""
    record = run.cancellation
    assert record is not None
    assert (record.reason, record.canceled_by, record.stage) == (reason, by, stage)
    assert record.engine_stop in STOPPED


async def computing(
    harness: NodeHarness, sql: str = RUNAWAY, timeout_s: float | None = None
) -> str:
    """A run that is computing; its id."""
    run_id = await harness.submit(sql, timeout_s=timeout_s)
    await harness.wait_stage(run_id, Stage.EXECUTING)
    return run_id


async def test_the_caller(made: MadeHome) -> None:
    async with open_node(made) as harness:
        run = await harness.cancel(await computing(harness))
        assert run.state is RunState.CANCELED
        assert_stopped(run, StopReason.USER, harness.caller.client_id, Stage.EXECUTING)
        assert harness.workers_of(run.id) == []


async def test_an_admin(made: MadeHome) -> None:
    async with open_node(made) as harness:
        admin = harness.admin
        run = await harness.cancel(await computing(harness), admin)
        assert run.state is RunState.CANCELED
        assert_stopped(run, StopReason.ADMIN, admin.client_id, Stage.EXECUTING)
        assert harness.workers_of(run.id) == []


async def test_the_time_limit(made: MadeHome) -> None:
    async with open_node(made) as harness:
        run = await harness.wait_finished(await computing(harness, timeout_s=0.5))
        assert run.failure is not None
        assert run.failure.code is FailureCode.TIME_LIMIT_EXCEEDED
        assert_stopped(run, StopReason.TIMEOUT, None, Stage.EXECUTING)
        assert harness.workers_of(run.id) == []


@pytest.mark.parametrize(
    ("limit", "sql", "code", "stage"),
    [
        ("MAX_OUTPUT_ROWS=1000", MANY_ROWS, FailureCode.ROW_LIMIT_EXCEEDED, Stage.WRITING),
        ("MAX_OUTPUT_SIZE=1MB", MANY_ROWS, FailureCode.SIZE_LIMIT_EXCEEDED, Stage.WRITING),
        ("MEMORY=100MB", MUCH_MEMORY, FailureCode.MEMORY_LIMIT_EXCEEDED, Stage.EXECUTING),
    ],
    ids=["rows", "size", "memory"],
)
async def test_a_limit(
    made: MadeHome, limit: str, sql: str, code: FailureCode, stage: Stage
) -> None:
    """The worker is stopped like any other: what the statement left behind is gone."""
    name, _, value = limit.partition("=")
    environ = {
        "QUERYRUN_SOURCES__LIVE__MAX_OUTPUT_ROWS": "0",
        f"QUERYRUN_SOURCES__LIVE__{name}": value,
    }
    async with open_node(made, environ=environ) as harness:
        run_id = await harness.submit(sql, Output(ContentType.JSON))
        pid = await harness.wait_computing(run_id)
        run = await harness.wait_finished(run_id)
        assert run.failure is not None
        assert run.failure.code is code
        assert_stopped(run, StopReason.LIMIT, None, stage)
        assert pid not in harness.processes()
        assert harness.result_files() == []


async def test_a_shutdown(made: MadeHome) -> None:
    """The run is requeued without a charge; the attempt's record has the reason of the stop."""
    async with open_node(made) as harness:
        run_id = await computing(harness)
        await harness.node.drain(0)
        run = await harness.read(run_id)
        assert (run.state, run.remaining_attempts) == (RunState.ACCEPTED, 3)
        [attempt] = harness.attempts(run_id)
        assert attempt["stop_reason"] == "shutdown"
        assert attempt["stop_stage"] == "executing"
        assert attempt["stop_engine"] in STOPPED
        assert harness.workers_of(run_id) == []


async def test_a_lost_lease(made: MadeHome) -> None:
    """Another node holds the attempt now: it is stopped here, and its run waits, uncharged; the
    other node finds it settled."""
    async with open_node(made) as harness:
        run_id = await computing(harness)
        store = harness.node.database.runs
        await store.expired_leases(exclude_node="another")
        assert await store.take_over(AttemptRef(run_id, 1), "another", lease_s=60)
        await harness.node.dispatcher.extend_leases()
        await until(lambda: harness.node.dispatcher.held == 0, "the slot")
        assert harness.workers_of(run_id) == []
        run = await harness.read(run_id)
        assert (run.state, run.attempt, run.remaining_attempts) == (RunState.ACCEPTED, 1, 3)


async def test_a_cancel_during_a_stop_for_the_time_limit_wins(made: MadeHome) -> None:
    """The cancel was accepted, so the run must not become `failed` any more."""
    from tests.faults.held_parts import Gate, holding

    gate = Gate()
    async with open_node(made, wrap=holding("workers", "stop", gate)) as harness:
        run_id = await computing(harness, timeout_s=0.5)
        await gate.reached.wait()
        cancelling = await harness.cancel(run_id, wait_s=0)
        assert cancelling.state is RunState.CANCELING
        gate.open.set()
        run = await harness.wait_finished(run_id)
        assert run.state is RunState.CANCELED
        assert run.failure is None


async def test_a_cancel_without_a_notification_is_found_by_the_next_heartbeat(
    made: MadeHome,
) -> None:
    """As another node would write it: this node learns of it from the store alone."""
    from queryrun.runs.store import CancelRequested

    async with open_node(made) as harness:
        run_id = await computing(harness)
        request = CancelRequested(StopReason.USER, "elsewhere")
        await harness.node.database.runs.cancel(run_id, request)
        await harness.node.dispatcher.extend_leases()
        run = await harness.wait_finished(run_id)
        assert run.state is RunState.CANCELED
        assert_stopped(run, StopReason.USER, "elsewhere", Stage.EXECUTING)

"""A running statement that passes a cap is stopped the one way there is, on a real node."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from queryrun.cli.home import MadeHome
from queryrun.errors import FailureCode
from queryrun.runs.limits import Level, LimitReached
from queryrun.runs.model import Run, StopReason
from queryrun.runs.state import RunState
from tests.faults.node_harness import ENDLESS_ROWS, RUNAWAY, NodeHarness, open_node

pytestmark = pytest.mark.anyio

SORT = "SELECT i, hash(i) AS h FROM range(60000000) t(i) ORDER BY h"


async def set_limit(
    harness: NodeHarness, level: Level, subject: str, name: str, value: int | None
) -> None:
    """Set it, or remove it, and have the node know."""
    await harness.node.database.limits.set_limit(level, subject, name, value)
    assert harness.node.runs.limiter is not None
    harness.node.runs.limiter.forget()


async def test_what_runs_is_limited_while_it_runs_at_every_level(made: MadeHome) -> None:
    """It holds for what begins from then on; removed, the source's own does."""
    async with open_node(made) as harness:
        subjects = {
            Level.TENANT: harness.made.entity.tenant_id,
            Level.ENTITY: harness.made.entity.id,
            Level.CLIENT: harness.made.issued.client.id,
            Level.SOURCE: "live",
        }
        assert set(subjects) == set(Level)
        for level, subject in subjects.items():
            await assert_one_runs_at_a_time(harness, level, subject)


async def assert_one_runs_at_a_time(harness: NodeHarness, level: Level, subject: str) -> None:
    """While there is a limit of one, a second run waits; without it, it begins."""
    await set_limit(harness, level, subject, "running", 1)
    first, second = [await harness.submit(RUNAWAY) for _ in range(2)]
    await harness.wait_computing(first)
    assert (await harness.read(second)).state is RunState.ACCEPTED, level
    await set_limit(harness, level, subject, "running", None)
    third = await harness.submit(RUNAWAY)
    await harness.wait_computing(second)
    for run_id in (first, second, third):
        assert (await harness.cancel(run_id)).state is RunState.CANCELED


async def with_limit(harness: NodeHarness, name: str, value: int, sql: str) -> Run:
    """A run of the caller whose entity has this limit."""
    await set_limit(harness, Level.ENTITY, harness.made.entity.id, name, value)
    run_id = await harness.submit(sql)
    return await harness.wait_finished(run_id)


def assert_limited(run: Run, name: str) -> None:
    """It failed for the limit, was stopped for it, and says which one."""
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert run.failure.code is FailureCode.QUOTA_EXCEEDED
    assert f"'{name}'" in run.failure.message
    assert run.cancellation is not None
    assert run.cancellation.reason is StopReason.LIMIT


CAPS = (
    ("cpu_s", 1, RUNAWAY),
    ("time_s", 1, RUNAWAY),
    ("rows", 1000, ENDLESS_ROWS),
    ("result_bytes", 100_000, ENDLESS_ROWS),
)
OF_A_PERIOD = (
    ("cpu_s_per_day", 1, RUNAWAY),
    ("written_bytes_per_month", 100_000, ENDLESS_ROWS),
)
"""What earlier runs used counts, so each has a node and a home of its own."""


async def assert_stopped(harness: NodeHarness, name: str, value: int, sql: str) -> None:
    """It is stopped at the cap, and leaves nothing."""
    run = await with_limit(harness, name, value, sql)
    assert_limited(run, name)
    assert harness.result_files() == []
    assert harness.workers_of(run.id) == []


async def test_a_statement_that_passes_a_cap_is_stopped(made: MadeHome) -> None:
    async with open_node(made) as harness:
        for name, value, sql in CAPS:
            await assert_stopped(harness, name, value, sql)
            await set_limit(harness, Level.ENTITY, harness.made.entity.id, name, None)


@pytest.mark.parametrize(("name", "value", "sql"), OF_A_PERIOD)
async def test_a_statement_that_passes_the_cap_of_a_period_is_stopped(
    made: MadeHome, name: str, value: int, sql: str
) -> None:
    async with open_node(made) as harness:
        await assert_stopped(harness, name, value, sql)


async def test_a_statement_that_spills_more_than_it_may_is_stopped(made: MadeHome) -> None:
    environ = {"QUERYRUN_SOURCES__LIVE__MEMORY": "200MB"}
    async with open_node(made, environ=environ) as harness:
        run = await with_limit(harness, "spill_bytes", 10**6, SORT)
        assert_limited(run, "spill_bytes")
        used = await harness.node.database.usage.run_usage(run.id)
        assert used.spilled_bytes > 10**6, "a stopped attempt is charged what it reported"


async def test_what_is_surely_too_much_to_read_is_refused_before_it_runs(made: MadeHome) -> None:
    path = Path(made.data_dir) / "numbers.parquet"
    duckdb.sql(f"COPY (SELECT random() AS r, i FROM range(100000) t(i)) TO '{path}'")
    async with open_node(made) as harness:
        with pytest.raises(LimitReached) as refused:
            await with_limit(harness, "read_bytes", 1000, "SELECT sum(r) FROM numbers")
        assert re.search(r"would read \d+ bytes: limit 'read_bytes'", str(refused.value))
        run = await with_limit(
            harness, "read_bytes", 1000, "SELECT sum(r) AS s FROM numbers WHERE r > 0.5"
        )
        assert_limited(run, "read_bytes")
        used = await harness.node.database.usage.run_usage(run.id)
        assert used.read_bytes > 1000
        run = await with_limit(harness, "read_bytes", 10**7, "SELECT sum(r) AS s FROM numbers")
        assert run.state is RunState.COMPLETE


async def test_a_statement_within_its_caps_completes(made: MadeHome) -> None:
    async with open_node(made) as harness:
        for name, value in (("cpu_s", 60), ("rows", 1), ("result_bytes", 1000), ("time_s", 60)):
            run = await with_limit(harness, name, value, "SELECT 1 AS one")
        assert run.state is RunState.COMPLETE

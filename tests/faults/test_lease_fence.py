"""Work under a lease ends before others may take it over, whatever state the node is in.

The promise behind every takeover on another machine: an expired lease proves that the worker which
ran under it is gone, because the kernel killed it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from queryrun.worker.errors import WorkerDied
from queryrun.worker.frames import Done, Failed
from queryrun.worker.worker import Worker
from tests.integration.worker.pool_harness import TIMEOUT_S, bind_to, open_pool, run, statement

pytestmark = pytest.mark.anyio

SIGALRM = -14
SHORT_S = 0.3


async def begin(worker: Worker, text: str, until_s: float) -> asyncio.Task[Done | Failed]:
    """A scripted statement under a lease, once it runs."""
    begun = asyncio.Event()
    frame = msgspec.structs.replace(statement(text), lease_deadline_s=until_s)
    outcome = asyncio.create_task(worker.execute(frame, lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), TIMEOUT_S)
    return outcome


async def test_a_worker_whose_lease_is_not_extended_is_killed_by_the_kernel(tmp_path: Path) -> None:
    """The statement ignores interrupts, and no node stops it."""
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        outcome = await begin(worker, "ignore", time.monotonic() + SHORT_S)
        with pytest.raises(WorkerDied) as died:
            await asyncio.wait_for(outcome, TIMEOUT_S)
        assert died.value.exit_code == SIGALRM


async def test_a_lease_that_has_expired_before_it_begins_lets_nothing_run(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        frame = msgspec.structs.replace(statement("ignore"), lease_deadline_s=time.monotonic() - 1)
        with pytest.raises(WorkerDied) as died:
            await asyncio.wait_for(worker.execute(frame, lambda _: None), TIMEOUT_S)
        assert died.value.exit_code == SIGALRM


async def test_an_extension_keeps_the_statement_running(tmp_path: Path) -> None:
    """One with a deadline of now ends it, so the worker did receive them."""
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        outcome = await begin(worker, "ignore", time.monotonic() + 3600)
        worker.extend_lease(time.monotonic() + 7200)
        worker.extend_lease(time.monotonic())
        with pytest.raises(WorkerDied) as died:
            await asyncio.wait_for(outcome, TIMEOUT_S)
        assert died.value.exit_code == SIGALRM


async def test_a_late_extension_has_no_effect(tmp_path: Path) -> None:
    """The worker is idle by then: its timer was cleared with its statement, and none is set."""
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        frame = msgspec.structs.replace(
            statement("rows 1"), lease_deadline_s=time.monotonic() + 3600
        )
        await worker.execute(frame, lambda _: None)
        worker.extend_lease(time.monotonic())
        await run(worker, "rows 1")
        assert not worker.is_reaped


async def test_without_a_lease_a_statement_has_no_deadline(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        outcome = await begin(worker, "ignore", 0.0)
        assert not outcome.done()
        await pool.stop(worker)
        with pytest.raises(WorkerDied):
            await outcome

"""The pool without faults: reuse, limits, and what `stop` returns."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from queryrun.causes import Cause
from queryrun.worker.errors import NoDirectory, PoolClosed, WorkerDied
from queryrun.worker.frames import Done, Failed, Ready
from queryrun.worker.pool import StopHow
from tests.integration.worker.pool_harness import (
    TIMEOUT_S,
    begin,
    bind_to,
    is_in_process_table,
    open_pool,
    run,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Production runs on uvloop, which watches descriptors in its own way."""
    return "asyncio", {"use_uvloop": request.param}


async def test_a_worker_becomes_ready_and_names_its_process(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        assert await worker.ready() == Ready()
        assert worker.handle.split(":")[1] == str(worker.pid)


async def test_a_worker_executes_a_statement(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        outcome = await run(worker, "rows 3")
        assert isinstance(outcome, Done)
        assert outcome.rows == 3


async def test_a_failed_statement_returns_its_code(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        assert await run(worker, "fail syntax_error") == Failed("syntax_error", "as told")


async def test_an_equal_config_gets_the_same_worker_again(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        await run(worker, "rows 1")
        pool.give_back(worker)
        assert await pool.take(bind_to(tmp_path)) is worker
        assert isinstance(await run(worker, "rows 2"), Done)


async def test_another_entity_never_gets_a_used_worker(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path, "e1"))
        await run(worker, "rows 1")
        pool.give_back(worker)
        assert await pool.take(bind_to(tmp_path, "e2")) is not worker


async def test_at_the_limit_an_idle_worker_makes_room_for_another_entity(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_workers=1) as pool:
        worker = await pool.take(bind_to(tmp_path, "e1"))
        await run(worker, "rows 1")
        pool.give_back(worker)
        other = await asyncio.wait_for(pool.take(bind_to(tmp_path, "e2")), TIMEOUT_S)
        assert worker.is_reaped
        assert isinstance(await run(other, "rows 1"), Done)


async def test_take_waits_while_all_workers_are_in_use(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_workers=1) as pool:
        worker = await pool.take(bind_to(tmp_path))
        waiting = asyncio.ensure_future(pool.take(bind_to(tmp_path)))
        await run(worker, "rows 1")
        assert not waiting.done()
        assert pool.size == 1
        pool.give_back(worker)
        assert await asyncio.wait_for(waiting, TIMEOUT_S) is worker


async def test_a_cancelled_take_leaks_no_worker(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_workers=1) as pool:
        worker = await pool.take(bind_to(tmp_path))
        waiting = asyncio.ensure_future(pool.take(bind_to(tmp_path)))
        await asyncio.sleep(0)
        waiting.cancel()
        pool.give_back(worker)
        assert await asyncio.wait_for(pool.take(bind_to(tmp_path)), TIMEOUT_S) is worker


async def test_a_worker_is_replaced_after_its_maximum_of_runs(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_runs=1) as pool:
        worker = await pool.take(bind_to(tmp_path))
        await run(worker, "rows 1")
        pool.give_back(worker)
        await asyncio.wait_for(worker.wait_reaped(), TIMEOUT_S)


async def test_a_worker_that_retains_memory_is_replaced(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_resident_bytes=1024**2) as pool:
        worker = await pool.take(bind_to(tmp_path))
        await run(worker, "rows 1")
        pool.give_back(worker)
        await asyncio.wait_for(worker.wait_reaped(), TIMEOUT_S)


async def test_an_idle_worker_beyond_the_spares_expires(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", idle_timeout_s=0.01) as pool:
        worker = await pool.take(bind_to(tmp_path))
        await run(worker, "rows 1")
        pool.give_back(worker)
        await asyncio.wait_for(worker.wait_reaped(), TIMEOUT_S)


async def test_each_statement_gets_its_own_spill_directory(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        first, second = await run(worker, "spill one"), await run(worker, "spill one")
        assert isinstance(first, Done)
        assert isinstance(second, Done)
        assert first.columns != second.columns
        await worker.ready()
        spill_dirs = (tmp_path / "spill").glob("worker-*/*")
        assert first.columns[0][1] not in {str(path) for path in spill_dirs}


async def test_progress_is_reported_while_the_statement_runs(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "halfway")
        progress = await running.progress()
        assert (progress.percent, progress.rows, progress.size_bytes) == (50.0, 7, 70)


async def test_a_source_that_cannot_be_opened_fails_the_statement(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path, broken="yes"))
        assert await run(worker, "rows 1") == Failed("data_unreadable", "no data here")


async def test_stop_of_a_statement_that_reacts_is_an_interruption(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "wait_for_interrupt")
        stopped = await pool.stop(running.worker, grace_s=TIMEOUT_S)
        assert (stopped.how, stopped.exit_code) == (StopHow.INTERRUPTED, 0)
        outcome = await running.outcome
        assert isinstance(outcome, Failed)
        assert outcome.interrupted


async def test_stop_of_a_statement_that_ignores_interrupts_kills_and_reaps(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        stopped = await pool.stop(running.worker)
        assert (stopped.how, stopped.exit_code) == (StopHow.KILLED, -9)
        assert not is_in_process_table(running.worker.pid)
        with pytest.raises(WorkerDied):
            await running.outcome


async def test_stop_removes_what_was_spilled(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        await run(worker, "spill one")
        await pool.stop(worker)
        assert list((tmp_path / "spill").glob("worker-*")) == []


async def test_stop_of_an_idle_worker_reports_that_it_never_started(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        assert (await pool.stop(worker)).how is StopHow.NEVER_STARTED


async def test_stop_ends_a_worker_that_is_still_opening_its_source(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path, stuck="yes"))
        waiting = asyncio.ensure_future(run(worker, "rows 1"))
        await asyncio.sleep(0)
        assert (await pool.stop(worker)).how is StopHow.NEVER_STARTED
        with pytest.raises(WorkerDied):
            await waiting


async def test_the_worker_exits_even_if_its_statement_finishes_before_the_stop(
    tmp_path: Path,
) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "finish_late")
        stopped = await pool.stop(running.worker, grace_s=TIMEOUT_S)
        assert stopped.exit_code == 0
        assert isinstance(await running.outcome, Done)


async def test_concurrent_stops_of_a_worker_get_the_same_result(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        first, second = await asyncio.gather(pool.stop(running.worker), pool.stop(running.worker))
        assert first is second is await pool.stop(running.worker)
        running.outcome.exception() if running.outcome.done() else running.outcome.cancel()


async def test_nothing_starts_on_a_worker_once_its_stop_has_begun(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        await worker.ready()
        stopping = asyncio.ensure_future(pool.stop(worker))
        await asyncio.sleep(0)
        with pytest.raises(WorkerDied):
            await run(worker, "rows 1")
        assert (await stopping).how is StopHow.NEVER_STARTED


async def test_stopping_a_worker_that_was_given_back_takes_it_out_of_the_pool(
    tmp_path: Path,
) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        worker = await pool.take(bind_to(tmp_path))
        await run(worker, "rows 1")
        pool.give_back(worker)
        await pool.stop(worker)
        assert await pool.take(bind_to(tmp_path)) is not worker


async def test_close_leaves_nothing_and_fails_pending_takes(tmp_path: Path) -> None:
    async with open_pool(tmp_path / "spill", max_workers=1) as pool:
        running = await begin(await pool.take(bind_to(tmp_path)), "ignore")
        waiting = asyncio.ensure_future(pool.take(bind_to(tmp_path)))
        await asyncio.sleep(0)
        await pool.close()
        assert pool.size == 0
        assert not is_in_process_table(running.worker.pid)
        with pytest.raises(PoolClosed):
            await waiting
        with pytest.raises(WorkerDied):
            await running.outcome


async def test_a_part_without_room_for_a_workers_files_is_named_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    async with open_pool(tmp_path / "spill") as pool:
        config = bind_to(tmp_path)
        results = tmp_path / "results"
        results.rmdir()
        results.write_text("a file")
        with pytest.raises(NoDirectory) as refused:
            await pool.take(config)
        assert (refused.value.part, refused.value.cause) == ("results", Cause.NOT_A_DIRECTORY)
        assert list((tmp_path / "spill").glob("worker-*")) == []
        results.unlink()
        assert await run(await pool.take(config), "rows 1")

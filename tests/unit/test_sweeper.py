"""The hourly sweep of results: begun by one node, beside what else that node looks after."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.runs.leader import LeaderTask
from queryrun.settings import load
from queryrun.wiring.results import Sweeper

pytestmark = pytest.mark.anyio


class Told:
    """Chores that are this node's when the test says so."""

    def __init__(self) -> None:
        self.is_mine = True
        self.asked = 0

    async def held(self, task: LeaderTask, /) -> bool:
        """What the test says."""
        assert task is LeaderTask.SWEEP
        self.asked += 1
        return self.is_mine


class Bucket:
    """Results whose sweep takes until the test lets it end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.sweeps = 0
        self.error: Exception | None = None

    def sweep(self, *_: object) -> list[str]:
        """Nothing is left over."""
        self.sweeps += 1
        self.begun.release()
        self.go_on.acquire()
        if self.error is not None:
            raise self.error
        return []


@pytest.fixture
def leader() -> Told:
    return Told()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
async def sweeper(tmp_path: Path, bucket: Bucket, leader: Told) -> AsyncIterator[Sweeper]:
    results: Any = bucket
    sweeper = Sweeper(load(tmp_path, {}), results, leader)
    yield sweeper
    bucket.go_on.release(9)
    await sweeper.close()


async def test_a_sweep_is_begun_once_and_nothing_waits_for_it(
    sweeper: Sweeper, bucket: Bucket, leader: Told
) -> None:
    for _ in range(3):
        await sweeper.round()
    await asyncio.to_thread(bucket.begun.acquire)
    assert bucket.sweeps == 1
    assert leader.asked == 3, "who sweeps must go on asking, to keep it"


async def test_a_node_that_is_not_to_sweep_does_not_and_does_as_soon_as_it_is(
    sweeper: Sweeper, bucket: Bucket, leader: Told
) -> None:
    leader.is_mine = False
    await sweeper.round()
    leader.is_mine = True
    await sweeper.round()
    await asyncio.to_thread(bucket.begun.acquire)
    assert bucket.sweeps == 1


@pytest.mark.parametrize(
    "error", [OSError("away"), RunFailed.of(FailureCode.STORAGE_FAILED, "x"), ValueError("?")]
)
async def test_a_sweep_that_fails_is_no_trouble_to_anybody(
    sweeper: Sweeper, bucket: Bucket, error: Exception
) -> None:
    bucket.error = error
    bucket.go_on.release()
    await sweeper.sweep(datetime.now(UTC))
    assert bucket.sweeps == 1

"""The hourly sweep of the result store: one leader runs it, and nothing waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.runs.leader import LeaderTask
from queryrun.runs.sweep import Sweeper, SweepOptions

pytestmark = pytest.mark.anyio

OPTIONS = SweepOptions(max_attempt_s=3600, retention_s=24 * 3600)


class FakeLeader:
    """Holds the lease when the test sets it, and counts the renewals."""

    def __init__(self) -> None:
        self.is_leader = True
        self.renewals = 0

    async def held(self, task: LeaderTask, /) -> bool:
        """Whether the test made this node the leader."""
        assert task is LeaderTask.SWEEP
        self.renewals += 1
        return self.is_leader


class Bucket:
    """A result store whose sweep lasts until the test releases it."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.sweeps = 0
        self.error: Exception | None = None

    def sweep(self, *_: object) -> list[str]:
        """Finds nothing to remove."""
        self.sweeps += 1
        self.started.release()
        self.release.acquire()
        if self.error is not None:
            raise self.error
        return []


@pytest.fixture
def leader() -> FakeLeader:
    return FakeLeader()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
async def sweeper(bucket: Bucket, leader: FakeLeader) -> AsyncIterator[Sweeper]:
    results: Any = bucket
    sweeper = Sweeper(OPTIONS, results, leader, lambda: datetime.now(UTC))
    yield sweeper
    bucket.release.release(9)
    await sweeper.close()


async def test_a_sweep_starts_once_and_nothing_waits_for_it(
    sweeper: Sweeper, bucket: Bucket, leader: FakeLeader
) -> None:
    for _ in range(3):
        await sweeper.start_if_due()
    await asyncio.to_thread(bucket.started.acquire)
    assert bucket.sweeps == 1
    assert leader.renewals == 3, "every call has to renew the lease"


async def test_a_node_sweeps_only_while_it_is_the_leader(
    sweeper: Sweeper, bucket: Bucket, leader: FakeLeader
) -> None:
    leader.is_leader = False
    await sweeper.start_if_due()
    leader.is_leader = True
    await sweeper.start_if_due()
    await asyncio.to_thread(bucket.started.acquire)
    assert bucket.sweeps == 1


@pytest.mark.parametrize(
    "error", [OSError("away"), RunFailed.of(FailureCode.STORAGE_FAILED, "x"), ValueError("?")]
)
async def test_a_failed_sweep_raises_nothing(
    sweeper: Sweeper, bucket: Bucket, error: Exception
) -> None:
    bucket.error = error
    bucket.release.release()
    await sweeper.sweep(datetime.now(UTC))
    assert bucket.sweeps == 1

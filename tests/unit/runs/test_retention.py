"""Retention removes what has expired, and nothing when nearly everything seems to have expired."""

from __future__ import annotations

from typing import Any

import pytest

from queryrun.runs.leader import AlwaysLeader
from queryrun.runs.metrics import RunMetrics
from queryrun.runs.retention import BATCH, Retention, RetentionOptions
from queryrun.runs.store import ExpiredShare

pytestmark = pytest.mark.anyio


class CountingStore:
    """A store with so many finished runs, of which so many are expired."""

    def __init__(self, finished: int, expired: int) -> None:
        self.finished, self.expired = finished, expired
        self.batches: list[int] = []

    async def expired_share(self, *, retention_s: float, max_expired: int) -> ExpiredShare:
        assert retention_s > 0
        return ExpiredShare(self.finished, min(self.expired, max_expired))

    async def remove_expired(self, *, retention_s: float, limit: int) -> int:
        assert retention_s > 0
        removed = min(limit, self.expired)
        self.finished -= removed
        self.expired -= removed
        self.batches.append(removed)
        return removed


def retention(store: CountingStore, max_share: float = 0.5, **kwargs: Any) -> Retention:
    bare: Any = store
    return Retention(
        bare, RetentionOptions(max_share=max_share), AlwaysLeader(), RunMetrics(), **kwargs
    )


async def test_what_has_expired_is_removed_in_batches() -> None:
    store = CountingStore(finished=10 * BATCH, expired=2 * BATCH + 5)
    assert await retention(store).round() == 2 * BATCH + 5
    assert store.batches == [BATCH, BATCH, 5]


async def test_one_round_removes_a_share_of_all_at_most() -> None:
    store = CountingStore(finished=200 * BATCH, expired=90 * BATCH)
    one = retention(store)
    assert await one.round() == 20 * BATCH
    assert await one.round() == 18 * BATCH


@pytest.mark.parametrize(("finished", "expired"), [(12, 11), (12, 12), (100_000, 50_001)])
async def test_nearly_everything_is_never_removed_and_the_problem_is_told(
    finished: int, expired: int
) -> None:
    store = CountingStore(finished, expired)
    one = retention(store)
    assert await one.round() == 0
    assert store.batches == []
    assert str(expired) in (one.problem() or "")
    store.expired = 2
    store.finished = 100
    assert await one.round() == 2
    assert one.problem() is None


async def test_a_handful_of_runs_is_removed_whatever_its_share() -> None:
    assert await retention(CountingStore(10, 10)).round() == 10


async def test_an_operator_may_allow_all_of_it() -> None:
    assert await retention(CountingStore(400, 400), max_share=1).round() == 400


async def test_a_node_whose_clock_turns_out_wrong_stops_between_two_batches() -> None:
    store = CountingStore(10 * BATCH, 3 * BATCH)
    assert await retention(store, allowed=lambda: len(store.batches) < 1).round() == BATCH

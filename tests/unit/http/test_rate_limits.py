"""Token buckets over several windows (contract D3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.http.rate_limits import API_PRESETS, MemoryRateLimiter, Quota, Rates

pytestmark = pytest.mark.anyio


class Ticks:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


async def taken(limiter: MemoryRateLimiter, key: str = "t") -> Quota:
    """One request's quota, where there is a limit."""
    quota = await limiter.take(key)
    assert quota is not None
    return quota


async def test_a_quota_can_be_used_in_one_burst_and_not_exceeded() -> None:
    limiter = MemoryRateLimiter(Rates.of(3), Ticks())
    quotas = [await taken(limiter) for _ in range(4)]
    assert [quota.remaining for quota in quotas] == [2, 1, 0, 0]
    assert [quota.retry_after_s for quota in quotas] == [0, 0, 0, 20]


async def test_waiting_for_retry_after_is_enough() -> None:
    ticks = Ticks()
    limiter = MemoryRateLimiter(Rates.of(7, 11), ticks)
    for _ in range(50):
        quota = await taken(limiter)
        if quota.retry_after_s:
            ticks.at_s += quota.retry_after_s
            assert (await taken(limiter)).retry_after_s == 0


async def test_a_refused_request_costs_nothing() -> None:
    ticks = Ticks()
    limiter = MemoryRateLimiter(Rates.of(1), ticks)
    await taken(limiter)
    for _ in range(100):
        assert (await taken(limiter)).retry_after_s
    ticks.at_s += 60
    assert (await taken(limiter)).retry_after_s == 0


async def test_the_tightest_window_is_reported() -> None:
    ticks = Ticks()
    limiter = MemoryRateLimiter(Rates.of(100, 101), ticks)
    first = await taken(limiter)
    assert first.described == "100, 100;w=60, 101;w=3600"
    for _ in range(99):
        await taken(limiter)
    ticks.at_s += 60
    later = await taken(limiter)
    assert later.described == "101, 100;w=60, 101;w=3600"
    assert later.limit == 101


async def test_the_contracts_notation() -> None:
    quota = await taken(MemoryRateLimiter(API_PRESETS["production"], Ticks()))
    assert quota.described == "50000, 50000;w=60, 2250000;w=3600, 27000000;w=86400"
    assert quota.remaining == 49_999
    assert quota.reset_s == 1


async def test_off_is_off() -> None:
    limiter = MemoryRateLimiter(API_PRESETS["off"], Ticks())
    assert await limiter.take("t") is None


async def test_keys_are_independent_and_bounded() -> None:
    limiter = MemoryRateLimiter(Rates.of(1), Ticks(), max_keys=2)
    for key in ("a", "b"):
        assert (await taken(limiter, key)).retry_after_s == 0
    assert (await taken(limiter, "a")).retry_after_s
    await taken(limiter, "c")
    assert (await taken(limiter, "a")).retry_after_s, "used last, so remembered"
    assert len(limiter._buckets) == 2


async def test_a_clock_that_goes_back_adds_no_quota() -> None:
    ticks = Ticks()
    limiter = MemoryRateLimiter(Rates.of(2), ticks)
    await taken(limiter)
    ticks.at_s -= 1000
    assert (await taken(limiter)).remaining == 0


@given(
    st.lists(st.floats(0, 30), max_size=80),
    st.integers(1, 20),
)
async def test_no_more_than_the_quota_and_its_refill_gets_through(
    pauses_s: list[float], quota: int
) -> None:
    """Over any time t, at most quota + quota * t / 60 requests."""
    ticks = Ticks()
    limiter = MemoryRateLimiter(Rates.of(quota), ticks)
    through = 0
    for pause_s in pauses_s:
        ticks.at_s += pause_s
        through += (await taken(limiter)).retry_after_s == 0
    assert through <= quota + quota * sum(pauses_s) / 60 + 1e-6

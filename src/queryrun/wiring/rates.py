"""Rate limits whose counts all nodes on one database share."""

from __future__ import annotations

from math import ceil

from queryrun.db.postgres.rates import PostgresRates, RateWindow
from queryrun.http.rate_limits import MakeLimiter, Quota, RateLimiter, Rates, describe


def shared_limiter(counts: PostgresRates) -> MakeLimiter:
    """Makes limiters whose counts all nodes on the database share."""
    return lambda name, rates: SharedRateLimiter(name, rates, counts)


class SharedRateLimiter(RateLimiter):
    """`http.rate_limits.RateLimiter` with its counts in the database."""

    def __init__(self, name: str, rates: Rates, counts: PostgresRates) -> None:
        self._name = name
        self._windows = rates.windows
        self._counts = counts
        self._rate_windows = [RateWindow(window.quota, window.length_s) for window in rates.windows]

    async def take(self, key: str) -> Quota | None:
        """Count one request. None when there is no limit. A refused request does not count.

        `Unavailable` while the database is down.
        """
        if not self._windows:
            return None
        taken = await self._counts.take(f"{self._name}:{key}", self._rate_windows)
        state, window = min(
            zip(taken.windows, self._windows, strict=True),
            key=lambda pair: pair[0].left / pair[1].quota,
        )
        return Quota(
            limit=window.quota,
            remaining=int(state.left),
            reset_s=ceil(state.whole_in_s),
            retry_after_s=0 if taken.granted else max(1, ceil(taken.retry_after_s)),
            described=describe(window, self._windows),
        )

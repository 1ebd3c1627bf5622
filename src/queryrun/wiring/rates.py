"""Request rates that all nodes on one database count together."""

from __future__ import annotations

from math import ceil

from queryrun.db.postgres.rates import PostgresRates, RateWindow
from queryrun.http.rate_limits import MakeLimiter, Quota, RateLimiter, Rates, describe


def shared(counted: PostgresRates) -> MakeLimiter:
    """Limits of all nodes together."""
    return lambda name, rates: SharedRateLimiter(name, rates, counted)


class SharedRateLimiter(RateLimiter):
    """`http.rate_limits.RateLimiter` on counts in the database; `Unavailable` without it."""

    def __init__(self, name: str, rates: Rates, counted: PostgresRates) -> None:
        self._name = name
        self._windows = rates.windows
        self._counted = counted
        self._asked = [RateWindow(window.quota, window.length_s) for window in rates.windows]

    async def take(self, key: str) -> Quota | None:
        """Count one request. None when there is no limit. A refused request costs nothing."""
        if not self._windows:
            return None
        taken = await self._counted.take(f"{self._name}:{key}", self._asked)
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

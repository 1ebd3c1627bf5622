"""Request rates: several windows per key. `MemoryRateLimiter` keeps one node's; nodes that share a
database count together (`wiring/rates.py`).

Each window is a token bucket that holds its whole quota and refills evenly, so a burst up to
the quota is allowed and the long-run rate is the quota per window.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from queryrun.errors import TooManyRequests

MAX_KEYS = 10_000
"""Keys per limiter (about 300 bytes each). Beyond it the least recently used one is evicted, which
can only favour a caller without recent requests."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `quota` requests per `length_s` seconds."""

    quota: int
    length_s: int


@dataclass(frozen=True, slots=True)
class Rates:
    """The windows of one kind of limit. No windows: no limit, and no headers."""

    windows: tuple[Window, ...] = ()

    @classmethod
    def of(cls, per_minute: int, per_hour: int = 0, per_day: int = 0) -> Rates:
        """Windows from the contract's three figures; 0 leaves a window out."""
        figures = ((per_minute, 60), (per_hour, 3600), (per_day, 86400))
        return cls(tuple(Window(quota, length_s) for quota, length_s in figures if quota))


API_PRESETS: dict[str, Rates] = {
    "off": Rates(),
    "production": Rates.of(50_000, 2_250_000, 27_000_000),
    "developer_sandbox": Rates.of(12_500, 25_000, 50_000),
    "api_sandbox": Rates.of(2_500, 5_000, 10_000),
}
"""Requests per tenant (contract D3)."""

AUTH_PER_TENANT = Rates.of(2_000, 67_500, 810_000)
AUTH_PER_ADDRESS = Rates.of(100)
"""Token requests (contract E); the second of one client."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The state of the tightest window after one request.

    `reset_s` is when that window is full again; `retry_after_s` is 0 when the request was
    admitted, else the seconds after which one request will be.
    """

    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int
    described: str
    """The windows in the contract's notation: `50000, 50000;w=60, …`."""


class RateLimiter(Protocol):
    """Counts requests against a key's windows."""

    async def take(self, key: str) -> Quota | None:
        """Count one request. None when there is no limit. A refused request costs nothing."""
        ...


class MemoryRateLimiter:
    """Token buckets in a bounded dictionary that evicts the least recently used."""

    def __init__(self, rates: Rates, now_s: Callable[[], float], max_keys: int = MAX_KEYS) -> None:
        self._windows = rates.windows
        self._now_s = now_s
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, list[float]] = OrderedDict()
        self._filled_s: dict[str, float] = {}
        self._described = {window: describe(window, rates.windows) for window in rates.windows}

    async def take(self, key: str) -> Quota | None:
        """Count one request against every window of `key`."""
        if not self._windows:
            return None
        tokens = self._refilled(key)
        lacking = [
            (1.0 - left) * window.length_s / window.quota
            for left, window in zip(tokens, self._windows, strict=True)
            if left < 1.0
        ]
        if not lacking:
            for index in range(len(tokens)):
                tokens[index] -= 1.0
        return self._quota(tokens, ceil(max(lacking)) if lacking else 0)

    def _refilled(self, key: str) -> list[float]:
        """Refills on use, so that no timer runs. A clock that goes back refills nothing."""
        now_s = self._now_s()
        tokens = self._buckets.get(key)
        if tokens is None:
            tokens = self._buckets[key] = [float(window.quota) for window in self._windows]
            self._forget_the_oldest()
        else:
            self._buckets.move_to_end(key)
            passed_s = max(0.0, now_s - self._filled_s[key])
            for index, window in enumerate(self._windows):
                grown = tokens[index] + passed_s * window.quota / window.length_s
                tokens[index] = min(float(window.quota), grown)
        self._filled_s[key] = now_s
        return tokens

    def _forget_the_oldest(self) -> None:
        while len(self._buckets) > self._max_keys:
            key, _ = self._buckets.popitem(last=False)
            self._filled_s.pop(key, None)

    def _quota(self, tokens: list[float], retry_after_s: int) -> Quota:
        """Reports the window with the smallest share left: the one that will refuse first."""
        left, window = min(
            zip(tokens, self._windows, strict=True), key=lambda pair: pair[0] / pair[1].quota
        )
        return Quota(
            limit=window.quota,
            remaining=int(left),
            reset_s=ceil((window.quota - left) * window.length_s / window.quota),
            retry_after_s=max(1, retry_after_s) if retry_after_s else 0,
            described=self._described[window],
        )


def describe(current: Window, windows: tuple[Window, ...]) -> str:
    """The windows in the hosted service's notation, the tightest first (contract D3)."""
    listed = (f"{window.quota};w={window.length_s}" for window in windows)
    return ", ".join((str(current.quota), *listed))


@dataclass(frozen=True, slots=True)
class RateLimiters:
    """API requests per tenant, token requests per tenant, token requests per client and address.
    Failed logins are counted apart (`login_failures`)."""

    api: RateLimiter
    auth_tenant: RateLimiter
    auth_address: RateLimiter


MakeLimiter = Callable[[str, Rates], RateLimiter]
"""(name of the limit, its rates) -> its limiter."""


def in_memory(now_s: Callable[[], float]) -> MakeLimiter:
    """Limits of this node alone, kept in memory."""
    return lambda _name, rates: MemoryRateLimiter(rates, now_s)


def raise_if_exceeded(quota: Quota | None, what: str) -> None:
    """Raise `TooManyRequests` if a request exceeded the quota of its tenant or address."""
    if quota is not None and quota.retry_after_s:
        raise TooManyRequests(f"too many requests per {what}", quota.retry_after_s)

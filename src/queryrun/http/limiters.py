"""The three rate limits of the HTTP face, and the moment at which each is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from queryrun.errors import TooManyRequests
from queryrun.http.limits import MemoryRateLimiter, Quota, RateLimiter, Rates


@dataclass(frozen=True, slots=True)
class Limiters:
    """API calls per tenant; token calls per tenant; token calls and bad tokens per address."""

    api: RateLimiter
    auth_tenant: RateLimiter
    auth_address: RateLimiter


MakeLimiter = Callable[[str, Rates], RateLimiter]
"""(what it limits, its rates) -> the limiter."""


def in_memory(now_s: Callable[[], float]) -> MakeLimiter:
    """Limits of this node alone, kept in memory."""
    return lambda _name, rates: MemoryRateLimiter(rates, now_s)


def let_through(quota: Quota | None, what: str) -> None:
    """Raise `TooManyRequests` when the quota was used up."""
    if quota is not None and quota.retry_after_s:
        raise TooManyRequests(f"too many requests per {what}", quota.retry_after_s)


STREAM_RETRY_AFTER_S = 5
AT_ONCE = 40
"""The hosted service's default for concurrent requests (contract D3). Reported, not enforced: the
limits are the rate of requests and the queue of runs."""


class InFlight:
    """How many requests of each tenant are being answered on this node; v1 tells it in headers."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def counted(self, tenant_id: str) -> Iterator[int]:
        """Count one request for as long as the block lasts; how many there are with it."""
        self._counts[tenant_id] += 1
        try:
            yield self._counts[tenant_id]
        finally:
            self._counts[tenant_id] -= 1
            if not self._counts[tenant_id]:
                del self._counts[tenant_id]


class Streams:
    """How many live streams each client holds open on this node, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    def take(self, client_id: str) -> Callable[[], None]:
        """Count one stream, and give what ends it; `TooManyRequests` when there are too many."""
        if self._held[client_id] >= self._most:
            raise TooManyRequests(f"at most {self._most} streams per client", STREAM_RETRY_AFTER_S)
        self._held[client_id] += 1

        def end() -> None:
            self._held[client_id] -= 1
            if not self._held[client_id]:
                del self._held[client_id]

        return end


def concurrency_headers(at_once: int) -> list[tuple[str, str]]:
    """Plain integers, because clients pass them to `int()` (contract D3, A11)."""
    return [
        ("concurrency-limit-type", "Default"),
        ("concurrency-limit-limit", str(AT_ONCE)),
        ("concurrency-limit-remaining", str(max(0, AT_ONCE - at_once))),
    ]

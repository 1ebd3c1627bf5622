"""The three rate limits of the HTTP face, and the moment at which each is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from queryrun.errors import TooManyRequests
from queryrun.http.limits import MemoryRateLimiter, Quota, RateLimiter, Rates


@dataclass(frozen=True, slots=True)
class Limiters:
    """API calls per tenant; token calls per tenant; token calls and bad tokens per address."""

    api: RateLimiter
    auth_tenant: RateLimiter
    auth_address: RateLimiter


def memory_limiters(
    api: Rates, auth_tenant: Rates, auth_address: Rates, now_s: Callable[[], float]
) -> Limiters:
    """Limits of this node alone, kept in memory."""
    return Limiters(
        MemoryRateLimiter(api, now_s),
        MemoryRateLimiter(auth_tenant, now_s),
        MemoryRateLimiter(auth_address, now_s),
    )


def let_through(quota: Quota | None, what: str) -> None:
    """Raise `TooManyRequests` when the quota was used up."""
    if quota is not None and quota.retry_after_s:
        raise TooManyRequests(f"too many requests per {what}", quota.retry_after_s)

"""How many requests and streams are open at once. Each node counts its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from queryrun.errors import TooManyRequests

STREAM_RETRY_AFTER_S = 5
CONCURRENCY_LIMIT = 40
"""The hosted service's default of concurrent requests (contract D3). Reported, not enforced: the
rate of requests and the queue of runs limit an entity here."""


class RequestConcurrency:
    """How many requests of each entity are in progress on this node. v1 reports it in headers."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def counted(self, entity_id: str) -> Iterator[int]:
        """Count one request while the block runs. Yields how many there are, this one included."""
        self._counts[entity_id] += 1
        try:
            yield self._counts[entity_id]
        finally:
            self._counts[entity_id] -= 1
            if not self._counts[entity_id]:
                del self._counts[entity_id]


class StreamLimit:
    """The live streams that each client holds open on this node, at most `max_per_client`."""

    def __init__(self, max_per_client: int) -> None:
        self._max = max_per_client
        self._open: Counter[str] = Counter()

    def acquire(self, client_id: str) -> None:
        """Count one stream until `release`; `TooManyRequests` when there are too many already."""
        if self._open[client_id] >= self._max:
            raise TooManyRequests(f"at most {self._max} streams per client", STREAM_RETRY_AFTER_S)
        self._open[client_id] += 1

    def release(self, client_id: str) -> None:
        """Release one stream of the client."""
        self._open[client_id] -= 1
        if not self._open[client_id]:
            del self._open[client_id]


def concurrency_headers(concurrent_requests: int) -> list[tuple[bytes, bytes]]:
    """Plain integers, because clients pass them to `int()` (contract D3, A11)."""
    remaining = max(0, CONCURRENCY_LIMIT - concurrent_requests)
    return [
        (b"concurrency-limit-type", b"Default"),
        (b"concurrency-limit-limit", b"%d" % CONCURRENCY_LIMIT),
        (b"concurrency-limit-remaining", b"%d" % remaining),
    ]

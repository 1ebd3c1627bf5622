"""What large request bodies may take of a node: threads, which entities use in turn, and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from queryrun.errors import TooManyRequests, Unavailable
from queryrun.results.bounded_threads import BoundedThreads
from queryrun.services.turns import TurnSlots

T = TypeVar("T")

THREADS = 2
MAX_WAITING_PER_ENTITY = 200
MAX_ENTITY_BYTES = 64 * 1024**2
"""Of large bodies in progress, of one entity: eight of the largest that `max_body_bytes` allows by
default. A body counts from its first bytes until its response."""
MAX_BYTES = 512 * 1024**2
"""Of all entities."""
_RETRY_AFTER_S = 1


class BodyLimiter:
    """Of all requests of a node. Used from one event loop."""

    def __init__(
        self, max_entity_bytes: int = MAX_ENTITY_BYTES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._threads = BoundedThreads("body", threads=THREADS, max_waiting=2000)
        self._turns = TurnSlots(THREADS, max_waiting_per_key=MAX_WAITING_PER_ENTITY)
        self._max_entity_bytes = max_entity_bytes
        self._max_bytes = max_bytes
        self._held: Counter[str] = Counter()
        self._total_bytes = 0

    def limit(self, key: str) -> BodyLimit:
        """A limit for the body of one request of this entity."""
        return BodyLimit(self, key)

    def close(self) -> None:
        """Start no more work. Idempotent."""
        self._threads.close()

    async def run(self, key: str, work: Callable[[], T]) -> T:
        """The result of `work`, called in a thread when it is the turn of `key`. `Unavailable`
        when too many of `key` wait."""
        async with self._turns.slot(key):
            return await self._threads.run(work)

    def hold(self, key: str, size: int) -> None:
        """Count bytes of a body. `TooManyRequests` or `Unavailable` when they are too many."""
        if self._held[key] + size > self._max_entity_bytes:
            message = "this entity has too many large bodies in progress at once"
            raise TooManyRequests(message, _RETRY_AFTER_S)
        if self._total_bytes + size > self._max_bytes:
            raise Unavailable("the node has too many large bodies in progress; try again")
        self._held[key] += size
        self._total_bytes += size

    def release(self, key: str, size: int) -> None:
        """Count them no more."""
        self._total_bytes -= size
        self._held[key] -= size
        if not self._held[key]:
            del self._held[key]


class BodyLimit:
    """What the body of one request has of the limiter."""

    def __init__(self, limiter: BodyLimiter, key: str) -> None:
        self._limiter = limiter
        self._key = key
        self._held_bytes = 0

    async def run(self, work: Callable[[], T]) -> T:
        """See `BodyLimiter.run`."""
        return await self._limiter.run(self._key, work)

    def hold(self, size: int) -> None:
        """See `BodyLimiter.hold`."""
        self._limiter.hold(self._key, size)
        self._held_bytes += size

    def close(self) -> None:
        """The request has been answered: nothing of its body is held any more. Idempotent."""
        size, self._held_bytes = self._held_bytes, 0
        if size:
            self._limiter.release(self._key, size)

"""The IdempotencyStore protocol: answers kept under a caller's key (contract C11).

A request that makes a run keeps its answer together with the run (`RunStore.accept` with a
`Once`); so does a cancel (`RunStore.cancel`). This protocol is for everything around that: the
look before, answers that had no effect on a run (a 400), and the end of a cancel that waited.
"""

from __future__ import annotations

from typing import Protocol

from queryrun.runs.model import StoredAnswer

KEPT_S = 24 * 3600.0
"""How long an answer is kept after its key was first seen (contract C11)."""

IN_FLIGHT_S = 60.0
"""How long a key that was begun and never finished (its node died) turns repeats away."""


class IdempotencyStore(Protocol):
    """Keys per tenant, each bound to the fingerprint of the first request that used it.

    A key that is older than `KEPT_S`, or was begun more than `IN_FLIGHT_S` ago without any
    answer, counts as unused.
    """

    async def look_once(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """The answer to replay, or None when the key is unused. Claims nothing.

        `IdempotencyMismatch` when the key belongs to another request, `IdempotencyInFlight`
        when its first request is still being answered. Look before `accept` and `cancel`, which
        cannot replay an answer that made no run.
        """
        ...

    async def begin_once(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """Like `look_once`, and on None the key is now in flight for this caller.

        The caller must then `finish_once` or `drop_once`. Of two callers at once, one gets None.
        """
        ...

    async def finish_once(self, tenant_id: str, key: str, answer: StoredAnswer) -> None:
        """Store the answer for replay, durably. Nothing happens when the key is not in flight."""
        ...

    async def drop_once(self, tenant_id: str, key: str) -> None:
        """Free a key in flight whose outcome is not to be stored; an answered one stays."""
        ...

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEPT_S`; how many."""
        ...

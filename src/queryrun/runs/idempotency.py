"""The IdempotencyStore protocol: answers kept under a caller's key (contract C11).

A request that makes a run keeps its answer together with the run (`RunStore.accept` with an
`IdempotentWrite`); so does a cancel (`RunStore.cancel`). This protocol is for everything around
that: the look-up before, answers that had no effect on a run (a 400), and the end of a cancel
that waited.
"""

from __future__ import annotations

from typing import Protocol

from queryrun.runs.model import StoredAnswer

KEY_RETENTION_S = 24 * 3600.0
"""How long an answer is kept after its key was first seen (contract C11)."""

KEY_RESERVATION_S = 60.0
"""How long a key that was begun and never finished (its node died) turns repeats away."""


class IdempotencyStore(Protocol):
    """Keys per tenant, each bound to the fingerprint of the first request that used it.

    A key that is older than `KEY_RETENTION_S`, or was reserved more than `KEY_RESERVATION_S` ago
    without any answer, counts as unused.
    """

    async def find_key(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """The answer to replay, or None when the key is unused. Claims nothing.

        `IdempotencyMismatch` when the key belongs to another request, `IdempotencyInFlight`
        when its first request is still being answered. Look before `accept` and `cancel`, which
        cannot replay an answer that made no run.
        """
        ...

    async def reserve_key(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """Like `find_key`, and on None the key is now in flight for this caller.

        The caller must then `complete_key` or `release_key`. Of two callers at once, one gets None.
        """
        ...

    async def complete_key(self, tenant_id: str, key: str, answer: StoredAnswer) -> None:
        """Store the answer for replay, durably. Nothing happens when the key is not in flight."""
        ...

    async def release_key(self, tenant_id: str, key: str) -> None:
        """Free a key in flight whose outcome is not to be stored; an answered one stays."""
        ...

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; how many."""
        ...

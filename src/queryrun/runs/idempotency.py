"""The IdempotencyStore protocol: responses kept under a caller's key (contract C11).

A write that changes a run stores its response together with the run: `RunStore.accept` and
`RunStore.cancel` take an `IdempotentWrite`. This protocol covers the rest: the lookup before,
refusals that changed no run, and the final response of a cancel that waited.

Responses are opaque bytes here.
"""

from __future__ import annotations

from typing import Protocol

from queryrun.runs.model import IdempotencyKey

KEY_RETENTION_S = 24 * 3600.0
"""How long a response is kept after its key was first used (contract C11)."""

KEY_RESERVATION_S = 60.0
"""How long a reserved key that is never completed (its node died) refuses repeats."""


class IdempotencyStore(Protocol):
    """Keys per tenant, each bound to the fingerprint of the first request that used it.

    A key that is older than `KEY_RETENTION_S`, or was reserved more than `KEY_RESERVATION_S` ago
    and has no response, counts as unused.
    """

    async def find_key(self, key: IdempotencyKey) -> bytes | None:
        """The response to replay, or None when the key is unused. Reserves nothing.

        `IdempotencyMismatch` when the key belongs to another request, `IdempotencyInFlight`
        while the first request is still in progress. Call this before `accept` and `cancel`,
        which cannot replay the response to a request that changed no run.
        """
        ...

    async def reserve_key(self, key: IdempotencyKey) -> bytes | None:
        """Like `find_key`; None means that the key is now reserved for this caller.

        The caller must then `complete_key`. Of two callers at once, one gets None.
        """
        ...

    async def complete_key(self, key: IdempotencyKey, response: bytes) -> None:
        """Store the response for replay, durably. Does nothing when the key is not reserved."""
        ...

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; returns how many."""
        ...

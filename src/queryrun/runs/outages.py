"""Outages of the store, told from one node to the next: a run is not charged for one.

A node that lives through an outage puts it on record in the store as soon as that is back. One that
is stopped meanwhile cannot: it leaves a marker for the process that follows it, which records it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Protocol

from queryrun.errors import Unavailable

_RECORD_TIMEOUT_S = 1.0
"""How long a node that stops tries to say in the store that it left attempts."""


class OutageRecord(Protocol):
    """What `RunStore` keeps of outages."""

    async def record_outage(self, *, age_s: float) -> None:
        """See `RunStore.record_outage`."""
        ...

    async def outage_age_s(self) -> float:
        """See `RunStore.outage_age_s`."""
        ...


class ShutdownMarker(Protocol):
    """Survives the process, without the store: the next one on the same home reads it."""

    def is_set(self) -> bool:
        """Whether the process before this one left attempts when it was stopped."""
        ...

    def set(self) -> None:
        """Attempts are being stopped. What is not written after this is nobody's fault."""
        ...

    def clear(self) -> None:
        """Nothing is left."""
        ...


class NoMarker:
    """For a process without a home of its own."""

    def is_set(self) -> bool:
        """Never."""
        return False

    def set(self) -> None:
        """Does nothing."""

    def clear(self) -> None:
        """Does nothing."""


_NO_MARKER = NoMarker()


class StoreOutages:
    """When this node last found the store to be away, whichever of its loops it was."""

    def __init__(self, marker: ShutdownMarker = _NO_MARKER) -> None:
        """Attempts that the process before this one left count as left in an outage."""
        self._marker = marker
        self._last_s = float("-inf")
        self._is_recorded = True
        if marker.is_set():
            self.note()

    def note(self) -> None:
        """It is away now."""
        self._last_s = time.monotonic()
        self._is_recorded = False

    async def age_s(self, store: OutageRecord) -> float:
        """Seconds since it was last away, as far as any node knows; infinite when it never was."""
        return min(time.monotonic() - self._last_s, await store.outage_age_s())

    async def record(self, store: OutageRecord) -> None:
        """Tell other nodes and later processes what was noted. `Unavailable`: try again later."""
        if self._is_recorded:
            return
        self._is_recorded = True  # before the write: what is noted meanwhile is written again
        try:
            await store.record_outage(age_s=time.monotonic() - self._last_s)
        except BaseException:
            self._is_recorded = False
            raise
        self._marker.clear()

    def begin_shutdown(self) -> None:
        """Attempts are about to be stopped: however this process ends, no run is charged."""
        self._marker.set()

    async def end_shutdown(self, store: OutageRecord, *, left: bool) -> None:
        """Whether attempts were `left` that could not be settled. In bounded time."""
        if not left:
            self._marker.clear()
            return
        self.note()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_RECORD_TIMEOUT_S):
                await self.record(store)

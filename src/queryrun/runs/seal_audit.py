"""Every node takes waiting entries of the audit log into the chain, one node at a time."""

from __future__ import annotations

import asyncio
import time

import structlog

from queryrun.audit.model import AuditEntry
from queryrun.audit.store import SEALED_AT_ONCE, AuditStore
from queryrun.runs.loop import survive

log = structlog.get_logger()

SEAL_INTERVAL_S = 1.0
"""About how long an entry waits outside the chain."""
ANCHOR_INTERVAL_S = 60.0
"""How often the end of the chain is logged when it has moved: what `queryrun audit verify --anchor`
compares with."""


class AuditSealer:
    """Seals until it is closed."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._task: asyncio.Task[None] | None = None
        self._first: AuditEntry | None = None
        self._anchored = -1
        self._anchored_at_s = 0.0

    def start(self, first: AuditEntry) -> None:
        """Begin, on the running event loop, with an entry; it is retried until it is written."""
        self._first = first
        self._task = asyncio.create_task(self._seal_forever(), name="audit")

    async def close(self) -> None:
        """Stop, and seal what waits, once. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await survive(self.seal, operation="audit", error_event="audit_error")

    async def _seal_forever(self) -> None:
        while True:
            await survive(self.seal, operation="audit", error_event="audit_error")
            await asyncio.sleep(SEAL_INTERVAL_S)

    async def seal(self) -> None:
        """Seal everything that waits, and log where the chain ends."""
        if self._first is not None:
            await self._store.append(self._first)
            self._first = None
        while await self._store.seal() == SEALED_AT_ONCE:
            pass
        if time.monotonic() - self._anchored_at_s >= ANCHOR_INTERVAL_S:
            head = await self._store.head()
            self._anchored_at_s = time.monotonic()
            if head.position != self._anchored:
                self._anchored = head.position
                log.info("audit_anchor", position=head.position, digest=head.digest)

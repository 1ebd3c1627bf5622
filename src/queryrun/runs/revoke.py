"""What follows the revocation of a client: its runs are canceled, by whoever notices it first.

`queryrun clients revoke` cancels what it finds in the store. A node looks for revocations too, so
that a run which was being accepted at that moment is canceled as well, and so that the node which
holds an attempt stops it at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from queryrun.errors import NotCancellable, NotFound
from queryrun.runs.loop import BackgroundLoops, survive
from queryrun.runs.model import Run, StopReason
from queryrun.runs.state import RunState
from queryrun.runs.store import CancelRequested, RunQuery, RunStore

log = structlog.get_logger()

CHECK_INTERVAL_S = 0.5
FOLLOW_S = 90.0
"""How long after a revocation new runs of the client are looked for: longer than a request may
take, with a minute for clocks that differ."""

_PAGE = 100
_UNFINISHED = frozenset({RunState.ACCEPTED, RunState.IN_PROGRESS, RunState.CANCELING})


FIRST_FOLLOW_S = 24 * 3600.0
"""The same in the first round of a node: what ended while no node looked."""


class Revocations(Protocol):
    """The part of the store of clients that is used here."""

    async def revoked_since(self, since: datetime, now: datetime) -> list[tuple[str, str]]:
        """See `auth.store.AuthStore`: tenant and id of each that has ended."""
        ...


async def cancel_runs_of(store: RunStore, tenant_id: str, client_id: str) -> list[Run]:
    """Cancel every run of the client that has not finished. Returns them as they are then.

    Running ones are `canceling`: the node that holds the attempt stops it.
    """
    query = RunQuery(tenant_id, client_id=client_id, states=_UNFINISHED, limit=_PAGE)
    canceled: list[Run] = []
    while True:
        page = await store.find(query)
        for run in page.runs:
            with suppress(NotCancellable, NotFound):  # it has just finished
                requested = CancelRequested(StopReason.ADMIN, canceled_by=None)
                canceled.append(await store.cancel(run.id, requested))
        if page.next_after is None:
            return canceled
        query = replace(query, after=page.next_after)


class RevocationWatch:
    """Looks for clients that have expired or were revoked, on any node or by the command line, and
    for logins at another issuer that were revoked."""

    def __init__(
        self,
        clients: Revocations,
        runs: RunStore,
        on_canceled: Callable[[Run], None],
        now: Callable[[], datetime],
    ) -> None:
        self._clients = clients
        self._runs = runs
        self._on_canceled = on_canceled
        self._now = now
        self._known: set[tuple[str, str]] = set()
        self._follow_s = FIRST_FOLLOW_S
        self._loops = BackgroundLoops()

    def start(self) -> None:
        """Begin to look, on the running event loop."""
        self._loops.start("revocations", self._check_forever())

    async def close(self) -> None:
        """Stop looking. Idempotent."""
        await self._loops.close()

    async def _check_forever(self) -> None:
        while True:
            await survive(self.check, operation="revocations", error_event="revocation_error")
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def check(self) -> None:
        """One round: cancel what clients that have lately ended have waiting or running."""
        now = self._now()
        revoked = await self._clients.revoked_since(now - timedelta(seconds=self._follow_s), now)
        for tenant_id, client_id in revoked:
            if (tenant_id, client_id) not in self._known:
                log.info("client_revoked", client_id=client_id)
            for run in await cancel_runs_of(self._runs, tenant_id, client_id):
                self._on_canceled(run)
        self._known, self._follow_s = set(revoked), FOLLOW_S

"""Runs that end when nobody listens to them any more (`cancel_on_disconnect`).

Who waits for a run with `Prefer: wait`, follows its events or reads it is a listener. The store has
until when somebody listens; the node that serves a listener renews that while it is connected. So
it does not matter which node that is, nor whether it dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.audit.store import AuditStore
from queryrun.errors import NotCancellable, NotFound
from queryrun.runs.context import RequestContext
from queryrun.runs.loop import BackgroundLoops, survive
from queryrun.runs.model import Run, StopReason
from queryrun.runs.store import CancelRequested, RunStore

log = structlog.get_logger()

RENEW_INTERVAL_S = 1.0
GRACE_S = 3.0
"""How much longer than its delay a run is kept: a renewal may come late on a busy node."""
CHECK_INTERVAL_S = 1.0
CHECKED_AT_ONCE = 100


async def renew_listener_of(context: RequestContext, run: Run) -> None:
    """Somebody listens at this moment."""
    delay_s = run.request.cancel_on_disconnect_s
    if delay_s is not None and not run.state.is_terminal:
        await context.store.renew_listener(run.id, for_s=delay_s + GRACE_S)


async def _connected() -> bool:
    return True


@asynccontextmanager
async def listening(
    context: RequestContext, run: Run, is_connected: Callable[[], Awaitable[bool]] = _connected
) -> AsyncIterator[None]:
    """Somebody listens to the run inside the block, as long as they are connected."""
    if run.request.cancel_on_disconnect_s is None or run.state.is_terminal:
        yield
        return

    async def renew() -> None:
        while await is_connected():
            await survive(
                lambda: renew_listener_of(context, run),
                operation="listen",
                error_event="listen_error",
            )
            await asyncio.sleep(RENEW_INTERVAL_S)

    task = asyncio.create_task(renew(), name=f"listen {run.id}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class DisconnectWatch:
    """Cancels runs whose listeners are gone, of any node."""

    def __init__(
        self, runs: RunStore, audit: AuditStore, on_canceled: Callable[[Run], None]
    ) -> None:
        self._runs = runs
        self._audit = audit
        self._on_canceled = on_canceled
        self._loops = BackgroundLoops()

    def start(self) -> None:
        """Begin to look, on the running event loop."""
        self._loops.start("disconnects", self._check_forever())

    async def close(self) -> None:
        """Stop looking. Idempotent."""
        await self._loops.close()

    async def _check_forever(self) -> None:
        while True:
            await survive(self.check, operation="disconnects", error_event="disconnect_error")
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def check(self) -> None:
        """One round. The request is in the audit log before it has an effect."""
        for run in await self._runs.abandoned_runs(limit=CHECKED_AT_ONCE):
            with suppress(NotCancellable, NotFound):  # it has just finished
                await self._audit.append(_entry(run))
                requested = CancelRequested(StopReason.DISCONNECT, canceled_by=None)
                self._on_canceled(await self._runs.cancel(run.id, requested))
                log.info("run_abandoned", run_id=run.id)


def _entry(run: Run) -> AuditEntry:
    return AuditEntry(
        AuditEvent.RUN_CANCEL_REQUESTED,
        run.request.tenant_id,
        run.request.entity_id,
        subject=run.id,
        detail={"reason": StopReason.DISCONNECT.value},
    )

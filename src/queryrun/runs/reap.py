"""The reaper: settles attempts whose lease expired, and nothing else: no maintenance delays it.

It stops work, requeues or finishes runs, and never starts an attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from queryrun.errors import Failure, FailureCode, LostRace, Unavailable
from queryrun.processes.errors import NotReaped
from queryrun.runs.context import AttemptContext
from queryrun.runs.leader import LeaderLease, LeaderTask
from queryrun.runs.loop import BackgroundLoops, survive
from queryrun.runs.model import (
    Attempt,
    AttemptRef,
    Cancellation,
    EngineStop,
    Run,
    Stage,
    StopReason,
)
from queryrun.runs.retry import after_failure, while_down
from queryrun.runs.state import RunState
from queryrun.runs.store import Failed, Freed, Requeued

log = structlog.get_logger()

_BATCH = 100
_PARALLEL = 8
"""Attempts settled at the same time: one that is slow to stop must not delay the others until the
leases that we took over expire."""


@dataclass(frozen=True, slots=True)
class ReapOptions:
    """How often the reaper runs, and how long it holds what it settles."""

    interval_s: float = 5.0
    lease_s: float = 30.0


class Reaper:
    """Settles what dead nodes left behind."""

    def __init__(
        self,
        context: AttemptContext,
        options: ReapOptions,
        kill_by_handle: Callable[[str], Awaitable[EngineStop]],
        leader: LeaderLease,
        is_held: Callable[[AttemptRef], bool] = lambda _ref: False,
    ) -> None:
        """`is_held`: whether this node runs the attempt. Its lease may have expired because the
        store was away or the clock was set; the attempt itself is well, and stays."""
        self._context = context
        self._options = options
        self._kill_by_handle = kill_by_handle
        self._leader = leader
        self._is_held = is_held
        self._loops = BackgroundLoops()
        self._outage_s = float("-inf")
        """When the reaper itself last found the store to be away."""
        self._unconfirmed: set[AttemptRef] = set()
        """Attempts whose last stop could not be confirmed."""

    def start(self) -> None:
        """Begin to reap every `interval_s`."""
        self._loops.start("reaper", self._reap_forever())

    async def close(self) -> None:
        """Stop reaping."""
        await self._loops.close()

    async def _reap_forever(self) -> None:
        """A node that has just started does not know whether the store was away until a moment ago:
        it leaves holders the time of a lease, as after an outage that it has seen."""
        await asyncio.sleep(max(0.0, self._options.lease_s - self._options.interval_s))
        while True:
            await asyncio.sleep(self._options.interval_s)
            await survive(self.reap_expired_leases, operation="reap", error_event="reaper_error")

    async def recover(self) -> int:
        """At the start of a node that owns its store alone: settle every attempt left behind.

        No other process can hold one, so their leases need not have expired. Returns how many
        were settled.
        """
        return await self._settle_all(exclude_node=self._context.node)

    async def reap_expired_leases(self) -> int:
        """Settle the attempts whose lease has expired. Returns how many were settled."""
        return await self._settle_all(exclude_node=None)

    async def _settle_all(self, exclude_node: str | None) -> int:
        """After an outage of the store nobody could extend a lease: holders get the time of one to
        report what they have, before anything is taken over."""
        try:
            expired = await self._context.store.expired_leases(
                exclude_node=exclude_node, limit=_BATCH
            )
        except Unavailable:
            self._outage_s = time.monotonic()
            self._context.outages.note()
            raise
        if time.monotonic() - self._outage_s < self._options.lease_s:
            return 0
        slots = asyncio.Semaphore(_PARALLEL)
        others = [attempt for attempt in expired if not self._is_held(attempt.ref)]
        return sum(await asyncio.gather(*(self._take_over(attempt, slots) for attempt in others)))

    async def _take_over(self, attempt: Attempt, slots: asyncio.Semaphore) -> int:
        """Settle the attempt unless another node's reaper was faster. 1 when it was settled."""
        async with slots:
            is_ours = await self._context.store.take_over(
                attempt.ref, self._context.node, lease_s=self._options.lease_s
            )
            return await self._settle(attempt) if is_ours else 0

    async def _settle(self, attempt: Attempt) -> int:
        """Stop the attempt's work, and only then requeue or finish its run.

        An attempt that cannot be stopped keeps its state. It is retried when the lease that
        we took over expires, and does not delay the others.
        """
        try:
            engine_stop = await self._stop(attempt)
        except (NotReaped, Unavailable, OSError):  # OSError: no file can be opened to find it
            self._alert(attempt)
            return 0
        self._clear_alert(attempt.ref)
        try:
            await self._write(attempt, engine_stop)
        except LostRace:
            return await self._settle_canceled(attempt, engine_stop)
        return self._count(attempt, engine_stop)

    async def _settle_canceled(self, attempt: Attempt, engine_stop: EngineStop) -> int:
        """A cancel that committed between our read and our write must not wait for another lease.
        Whoever else was faster, a node that was considered lost among them, keeps what it wrote."""
        current = await self._context.store.get(attempt.ref.run_id)
        if current is None or current.state is not RunState.CANCELING:
            return 0
        try:
            await self._write(attempt, engine_stop)
        except LostRace:
            return 0
        return self._count(attempt, engine_stop)

    def _count(self, attempt: Attempt, engine_stop: EngineStop) -> int:
        self._context.metrics.reaped.labels("attempt").inc()
        log.warning(
            "expired_attempt_recovered",
            run_id=attempt.ref.run_id,
            attempt=attempt.ref.number,
            lost_node=attempt.node,
            state=attempt.run.state,
            engine_stop=engine_stop,
        )
        return 1

    async def _stop(self, attempt: Attempt) -> EngineStop:
        """Stop the attempt's work; `NotReaped` or `Unavailable` when that is not confirmed.

        A worker on another machine exits before its lease expires (`worker/control.py`), so the
        kill finds nothing here. A remote engine has to confirm the stop.
        """
        if attempt.handle is None:
            return EngineStop.NEVER_STARTED
        engine_stop = await self._kill_by_handle(attempt.handle)
        request = attempt.run.request
        if not self._context.remote.is_remote(request.source):
            return engine_stop
        await self._context.remote.stop(attempt.ref, request.source, request.entity_id)
        return EngineStop.REMOTE_CONFIRMED

    def _alert(self, attempt: Attempt) -> None:
        """Log every failed stop, but count the attempt once."""
        ref = attempt.ref
        log.exception("worker_not_reaped", run_id=ref.run_id, attempt=ref.number)
        if ref not in self._unconfirmed:
            self._unconfirmed.add(ref)
            self._context.metrics.stops_unconfirmed.inc()

    def _clear_alert(self, ref: AttemptRef) -> None:
        if ref in self._unconfirmed:
            self._unconfirmed.remove(ref)
            self._context.metrics.stops_unconfirmed.dec()

    async def _write(self, attempt: Attempt, engine_stop: EngineStop) -> None:
        """Reads the run again, because a cancel may have arrived during the stop."""
        current = await self._context.store.get(attempt.ref.run_id)
        if current is not None and current.state is RunState.CANCELING:
            run = await self._write_canceled(attempt, engine_stop)
        else:
            run = await self._write_lost(attempt)
            await self._context.files.discard(attempt.file_key)
        if self._context.tracer is not None:
            self._context.tracer.attempt_lost(attempt, run)
        self._context.notifier.publish(run)

    async def _write_canceled(self, attempt: Attempt, engine_stop: EngineStop) -> Run:
        """Discards the file first: a run that reads `canceled` has none, unless its removal is on
        record."""
        await self._context.files.discard(attempt.file_key)
        stage = Stage.CLAIMED if attempt.handle is None else None  # only its lost node knew
        return await self._context.store.freed(attempt.ref, Freed(engine_stop, stage))

    async def _write_lost(self, attempt: Attempt) -> Run:
        """Requeue the run with one retry less, or fail it when none is left. An attempt that never
        started a worker costs nothing: its node stopped while the claim was under way.

        Written before the file is discarded: a node that was considered lost may be completing
        the run at this moment, and then the file belongs to the run.
        """
        lost = Failure(FailureCode.NODE_LOST, "The node that ran the statement was lost")
        now = self._context.now()
        stop = Cancellation(now, StopReason.LEASE, None)
        if attempt.handle is None or await self._expired_in_outage():
            detail: Failed | Requeued = while_down(lost, self._context.retry, stop)
        else:
            detail = after_failure(attempt.run, lost, self._context.retry, stop)
        if isinstance(detail, Requeued):
            return await self._context.store.requeue(attempt.ref, detail)
        return await self._context.store.fail(attempt.ref, detail)

    async def _expired_in_outage(self) -> bool:
        """Whether the lease may have expired because the store was away, and not its node. A node
        that stopped meanwhile could not write what it had stopped."""
        age_s = await self._context.outages.age_s(self._context.store)
        return age_s < 3 * self._options.lease_s

    async def stop_orphans(self) -> int:
        """Stop work in remote engines that no attempt owns, if this node is the leader for it.

        Returns how many orphans there were.
        """
        remote = self._context.remote
        if not remote.is_used or not await self._leader.held(LeaderTask.ORPHANS):
            return 0
        return await remote.stop_orphans(self._context.store)

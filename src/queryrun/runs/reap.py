"""The reaper: lapsed leases, expired runs. It stops, frees, re-queues; it runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from queryrun.errors import Failure, FailureCode, LostRace, RunFailed, Unavailable
from queryrun.processes.errors import NotReaped
from queryrun.runs.context import AttemptContext
from queryrun.runs.leader import LeaderLease, LeaderTask
from queryrun.runs.model import (
    Attempt,
    AttemptRef,
    Cancellation,
    EngineStop,
    Run,
    Stage,
    StopReason,
)
from queryrun.runs.retry import after_failure
from queryrun.runs.state import RunState
from queryrun.runs.store import Freed, Requeued

log = structlog.get_logger()

_BATCH = 100
_AT_ONCE = 8
"""Attempts settled side by side: one that is slow to stop must not keep the others waiting until
the leases we took over lapse."""


@dataclass(frozen=True, slots=True)
class ReapOptions:
    """How often the reaper looks, and how long ended runs and files are kept (contract F9)."""

    every_s: float = 5.0
    lease_s: float = 30.0
    retention_s: float = 30 * 24 * 3600.0


class Reaper:
    """Settles what dead nodes left behind, and removes what has been kept long enough."""

    def __init__(
        self,
        context: AttemptContext,
        options: ReapOptions,
        kill_by_handle: Callable[[str], Awaitable[EngineStop]],
        housekeeping: Callable[[], Awaitable[None]],
        leader: LeaderLease,
    ) -> None:
        self._context = context
        self._options = options
        self._kill_by_handle = kill_by_handle
        self._housekeeping = housekeeping
        self._leader = leader
        self._loop: asyncio.Task[None] | None = None
        self._unproven: set[AttemptRef] = set()
        """Attempts that could not be killed when it was their turn."""

    def start(self) -> None:
        """Begin to look every `every_s`."""
        self._loop = asyncio.create_task(self._reap_forever(), name="reaper")

    async def close(self) -> None:
        """Stop looking."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _reap_forever(self) -> None:
        while True:
            await asyncio.sleep(self._options.every_s)
            try:
                await self.reap_lapsed()
                await self.end_orphans()
                await self.remove_expired()
                await self._housekeeping()
            except Unavailable:
                log.warning("store_unavailable_retrying", operation="reap")
            except Exception as error:  # the loop must outlive any single surprise
                log.exception("reaper_error", error=type(error).__name__)

    async def recover(self) -> int:
        """At the start of a node that owns its store alone: settle all that others held.

        Whatever an earlier process of this node held is lapsed by definition. Returns how many
        attempts were settled.
        """
        return await self._settle_all(exclude_node=self._context.node)

    async def reap_lapsed(self) -> int:
        """Settle the attempts whose lease has run out; how many."""
        return await self._settle_all(exclude_node=None)

    async def _settle_all(self, exclude_node: str | None) -> int:
        expired = await self._context.store.expired_leases(exclude_node=exclude_node, limit=_BATCH)
        turns = asyncio.Semaphore(_AT_ONCE)
        return sum(await asyncio.gather(*(self._take(attempt, turns) for attempt in expired)))

    async def _take(self, attempt: Attempt, turns: asyncio.Semaphore) -> int:
        """Settle it, if no other node's reaper was quicker: 1 when it was settled."""
        async with turns:
            mine = await self._context.store.take_over(
                attempt.ref, self._context.node, lease_s=self._options.lease_s
            )
            return await self._settle(attempt) if mine else 0

    async def _settle(self, attempt: Attempt) -> int:
        """Kill by the stored handle, and only then let the run go on.

        What cannot be killed is left as it is, and its turn comes again when the lease that we
        have taken over lapses; it does not keep the others waiting.
        """
        try:
            engine_stop = await self._stop(attempt)
        except (NotReaped, Unavailable):
            self._alarm(attempt)
            return 0
        self._all_clear(attempt.ref)
        try:
            await self._write(attempt, engine_stop)
        except LostRace:
            return 0
        self._context.metrics.reaped.labels("attempt").inc()
        log.warning(
            "expired_attempt_recovered",
            run_id=attempt.ref.run_id,
            attempt=attempt.ref.number,
            state=attempt.run.state,
            engine_stop=engine_stop,
        )
        return 1

    async def _stop(self, attempt: Attempt) -> EngineStop:
        """End the attempt's work for certain; `NotReaped` or `Unavailable` when it cannot be.

        A worker on another machine has ended before its lease did (`worker/control.py`), and
        the kill finds nothing here; an engine elsewhere is asked.
        """
        if attempt.handle is None:
            return EngineStop.NEVER_STARTED
        engine_stop = await self._kill_by_handle(attempt.handle)
        request = attempt.run.request
        if not self._context.remote.is_remote(request.source):
            return engine_stop
        await self._context.remote.end(attempt.ref, request.source, request.entity_id)
        return EngineStop.REMOTE_CONFIRMED

    def _alarm(self, attempt: Attempt) -> None:
        """Say it loudly each time, and count the attempt once."""
        ref = attempt.ref
        log.exception("worker_not_reaped", run_id=ref.run_id, attempt=ref.number)
        if ref not in self._unproven:
            self._unproven.add(ref)
            self._context.metrics.stops_unconfirmed.inc()

    def _all_clear(self, ref: AttemptRef) -> None:
        if ref in self._unproven:
            self._unproven.remove(ref)
            self._context.metrics.stops_unconfirmed.dec()

    async def _write(self, attempt: Attempt, engine_stop: EngineStop) -> None:
        current = await self._context.store.get(attempt.ref.run_id)
        if current is not None and current.state is RunState.CANCELING:
            run = await self._free(attempt, engine_stop)
        else:
            run = await self._give_another_chance(attempt)
            await self._discard(attempt.file_key)
        self._context.notifier.publish(run)

    async def _free(self, attempt: Attempt, engine_stop: EngineStop) -> Run:
        """`canceled` means that the file is gone too."""
        await self._discard(attempt.file_key)
        stage = Stage.CLAIMED if attempt.handle is None else None  # unknown: its node is gone
        return await self._context.store.freed(attempt.ref, Freed(engine_stop, stage))

    async def _give_another_chance(self, attempt: Attempt) -> Run:
        """Queued again with a retry less, or failed when none is left.

        Written before the file is discarded: a node that was given up for lost may be completing
        the run at this moment, and then the file is the run's.
        """
        lost = Failure(FailureCode.NODE_LOST, "The node that ran the statement was lost")
        now = self._context.now()
        stop = Cancellation(now, StopReason.LEASE, None)
        detail = after_failure(attempt.run, lost, self._context.retry, now, stop)
        if isinstance(detail, Requeued):
            return await self._context.store.requeue(attempt.ref, detail)
        return await self._context.store.fail(attempt.ref, detail)

    async def _discard(self, file_key: str | None) -> None:
        if file_key is None:
            return
        try:
            await asyncio.to_thread(self._context.results.discard, file_key)
        except (RunFailed, OSError) as error:
            log.warning("result_file_discard_failed", error=type(error).__name__)

    async def end_orphans(self) -> int:
        """End work in engines elsewhere that no attempt owns, if that is this node's to do; how
        many there were."""
        remote = self._context.remote
        if not remote.is_used or not await self._leader.held(LeaderTask.ORPHANS):
            return 0
        return await remote.end_orphans(self._context.store)

    async def remove_expired(self) -> int:
        """Remove all runs past their retention: the row first, then the file; how many.

        A crash between the two leaves a file that no run names and no link opens; the store of
        results sweeps those.
        """
        before, removed = self._context.now() - timedelta(seconds=self._options.retention_s), 0
        while True:
            expired = await self._context.store.remove_expired(ended_before=before, limit=_BATCH)
            for key in (key for run in expired for key in run.file_keys):
                await self._discard(key)
            self._context.metrics.reaped.labels("run").inc(len(expired))
            removed += len(expired)
            if len(expired) < _BATCH:
                return removed

"""The loop of a node: claim fairly, keep leases, drain. Nothing else starts attempts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from queryrun.errors import Unavailable
from queryrun.runs.attempt import AttemptRunner
from queryrun.runs.context import AttemptContext
from queryrun.runs.model import Attempt, AttemptProgress, AttemptRef, Run, StopReason
from queryrun.runs.state import RunState
from queryrun.runs.store import ClaimLimits, HeldAttempt

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """How a node takes part. A lease must outlive several heartbeats, or load would lose it."""

    slots: int = 5
    """Attempts this node holds at most."""
    lease_s: float = 15.0
    heartbeat_s: float = 3.0
    poll_s: float = 1.0
    """How long the loop trusts hints alone before it looks into the store."""
    fence_s: float | None = None
    """Where other nodes can take over a lapsed lease: how long after the last extension what was
    held by it ends by itself, in time for the lease to prove it. None: this node owns its store
    alone, and going on without it harms nobody."""


class Dispatcher:
    """Claims waiting runs while it has free slots, and supervises the attempts it holds."""

    def __init__(
        self,
        context: AttemptContext,
        options: DispatchOptions,
        sources: Callable[[], Sequence[str]],
    ) -> None:
        self._context = context
        self._options = options
        self._sources = sources
        self._live: dict[AttemptRef, AttemptRunner] = {}
        self._tasks: dict[AttemptRef, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._beat = asyncio.Event()
        self._looks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._draining = False
        context.notifier.add_listener(self._hint)

    @property
    def accepting(self) -> bool:
        """False from the moment the node drains."""
        return not self._draining

    @property
    def held(self) -> int:
        """How many attempts this node holds at the moment."""
        return len(self._tasks)

    def progress(self, run_id: str) -> AttemptProgress | None:
        """How far the run's attempt is, when this node holds it; of others, the store knows."""
        for ref, live in self._live.items():
            if ref.run_id == run_id:
                return live.progress
        return None

    def start(self) -> None:
        """Begin to claim. Call once, on the event loop, after recovery."""
        self._loops = [
            asyncio.create_task(self._claim_forever(), name="claim"),
            asyncio.create_task(self._keep_leases_forever(), name="leases"),
        ]
        self._wake.set()

    async def drain(self, timeout_s: float) -> None:
        """Stop claiming, give running attempts `timeout_s` to end, then stop and re-queue them.

        Returns when nothing of this node's attempts runs any more.
        """
        self._draining = True
        self._wake.set()
        self._context.notifier.notify_all()
        await self._let_end(timeout_s)
        for live in list(self._live.values()):
            live.stop(StopReason.SHUTDOWN)
        await self._let_end(None)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _let_end(self, timeout_s: float | None) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=timeout_s)

    # --- hints -------------------------------------------------------------------------------

    def on_remote_change(self, run_id: str, state: RunState) -> None:
        """Another node has changed the run, and says so: like a hint of our own."""
        if state is RunState.ACCEPTED:
            self._wake.set()
        elif state is RunState.CANCELING:
            for live in [live for live in self._live.values() if live.ref.run_id == run_id]:
                self._in_background(self._look_at(live))

    def resync(self) -> None:
        """Hints may have been lost: look at everything at once instead of at the next beat."""
        self._wake.set()
        self._beat.set()

    def _hint(self, run: Run) -> None:
        """A run changed: perhaps there is something to claim, perhaps something to stop."""
        if run.state is RunState.ACCEPTED:
            self._wake.set()
        elif run.state is RunState.CANCELING:
            self._stop_canceled(run)

    def _stop_canceled(self, run: Run) -> None:
        live = self._live.get(AttemptRef(run.id, run.attempt))
        if live is not None and run.cancellation is not None:
            live.stop(run.cancellation.reason, run.cancellation.canceled_by)

    # --- claiming ----------------------------------------------------------------------------

    async def _claim_forever(self) -> None:
        while not self._draining:
            self._wake.clear()
            try:
                await self._claim()
            except Unavailable:
                log.warning("store_unavailable_retrying", operation="claim")
            except Exception as error:  # a node that stops claiming would look healthy and be dead
                log.exception("claim_error", error=type(error).__name__)
            await self._until_woken()

    async def _until_woken(self) -> None:
        """Wait for a hint, for the next back-off to end, or for the poll."""
        try:
            async with asyncio.timeout(await self._poll_timeout_s()):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _poll_timeout_s(self) -> float:
        try:
            ready = await self._context.store.next_ready_time(self._sources())
        except Exception:  # said by the claim, if it lasts
            return self._options.poll_s
        if ready is None:
            return self._options.poll_s
        until_s = (ready - self._context.now()).total_seconds()
        return min(max(until_s, 0.01), self._options.poll_s)

    async def _claim(self) -> None:
        """Take as many runs as there are free slots and start an attempt on each."""
        free = self._options.slots - len(self._tasks)
        if free <= 0 or self._draining:
            return
        asked_s = time.monotonic()
        for attempt in await self._context.store.claim(
            self._context.node, lease_s=self._options.lease_s, limits=self._limits(free)
        ):
            self._begin(attempt, self._until_s(asked_s))

    def _until_s(self, asked_s: float) -> float | None:
        """Until when a lease asked for at `asked_s` is surely ours: it began later than that."""
        fence_s = self._options.fence_s
        return None if fence_s is None else asked_s + fence_s

    def _limits(self, free: int) -> ClaimLimits:
        sources = self._sources()
        running = {
            source: self._context.policy(source).max_running_per_tenant for source in sources
        }
        return ClaimLimits(sources, free, running)

    def _begin(self, attempt: Attempt, until_s: float | None) -> None:
        live = AttemptRunner(attempt, self._context)
        live.set_lease_deadline(until_s)
        self._live[attempt.ref] = live
        self._tasks[attempt.ref] = asyncio.create_task(self._run_attempt(live))
        self._context.metrics.busy_slots.set(len(self._tasks))
        self._context.notifier.publish(attempt.run)

    async def _run_attempt(self, live: AttemptRunner) -> None:
        """Let the attempt live; its slot is free only when nothing of it runs any more."""
        try:
            await live.live()
        except Exception as error:  # its lease lapses now, and the reaper stops what it left
            log.exception("attempt_task_error", run_id=live.ref.run_id, error=type(error).__name__)
        finally:
            self._live.pop(live.ref, None)
            self._tasks.pop(live.ref, None)
            self._context.metrics.busy_slots.set(len(self._tasks))
            self._wake.set()

    # --- leases ------------------------------------------------------------------------------

    async def _keep_leases_forever(self) -> None:
        while True:
            await self._until_beat()
            try:
                await self.keep_leases()
            except Unavailable:
                log.warning("store_unavailable_retrying", operation="extend_leases")
            except Exception as error:  # without heartbeats every attempt here would be lost
                log.exception("lease_extension_error", error=type(error).__name__)

    async def _until_beat(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.heartbeat_s):
                await self._beat.wait()
        self._beat.clear()

    async def keep_leases(self) -> None:
        """Extend the leases of what lives here, say how far it is (for other nodes to show), and
        act on what the store says: the truth behind hints.

        An attempt that the store no longer gives us has lost its lease: it is stopped here,
        and settled by whoever holds it now. One that the store gives this node but that does
        not live here (its claim was committed, the answer lost) is left to lapse.
        """
        before, asked_s = dict(self._live), time.monotonic()
        held = await self._context.store.extend(
            self._context.node,
            list(before),
            lease_s=self._options.lease_s,
            progress={ref: live.progress for ref, live in before.items()},
        )
        states = {item.ref: item for item in held}
        for ref, live in before.items():
            if ref in states:
                live.set_lease_deadline(self._until_s(asked_s))
            await self._check(live, states.get(ref))

    async def _check(self, live: AttemptRunner, held: HeldAttempt | None) -> None:
        if live.ref not in self._live:
            return
        if held is None:
            await self._stop_if_lost(live)
        elif held.state is RunState.CANCELING:
            await self._look_at(live)

    async def _look_at(self, live: AttemptRunner) -> None:
        """Stop the attempt if its run is being canceled. What fails here, the next beat finds."""
        with suppress(Unavailable):
            run = await self._context.store.get(live.ref.run_id)
            if run is not None and run.state is RunState.CANCELING:
                self._stop_canceled(run)

    def _in_background(self, look: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(look)
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _stop_if_lost(self, live: AttemptRunner) -> None:
        """Missing from the extension: it ended a moment ago, or another node has it."""
        run = await self._context.store.get(live.ref.run_id)
        ended = run is not None and run.attempt == live.ref.number and run.state.is_terminal
        if not ended and live.ref in self._live:
            live.stop(StopReason.LEASE)

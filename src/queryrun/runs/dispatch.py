"""The dispatcher of a node: claims runs, extends leases, drains. Only it starts attempts."""

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
from queryrun.runs.loop import BackgroundLoops, survive
from queryrun.runs.model import Attempt, AttemptProgress, AttemptRef, Run, StopReason
from queryrun.runs.state import RunState
from queryrun.runs.store import ClaimLimits, HeldAttempt

log = structlog.get_logger()


CLAIM_TIMEOUT_S = 2.0
"""How long a drain waits for a claim that is under way."""
SETTLE_S = 3.0
"""How long stopped attempts may take to write their outcome when the node ends."""


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """How a node claims. A lease must last for several heartbeats, or load alone would lose it."""

    slots: int = 5
    """Attempts that this node holds at the same time."""
    fair_slots: int = 0
    """More, for entities that have nothing running."""
    lease_s: float = 15.0
    heartbeat_s: float = 3.0
    poll_s: float = 1.0
    """Interval between claims without a notification."""
    fence_s: float | None = None
    """Where other nodes can take over an expired lease: how long after the last extension an
    attempt stops on its own. Shorter than the lease, so that an expired lease proves it has
    stopped. None: this node owns its store alone, and working without a lease is harmless."""


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
        self._runners: dict[AttemptRef, AttemptRunner] = {}
        self._tasks: dict[AttemptRef, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._beat = asyncio.Event()
        self._checks: set[asyncio.Task[None]] = set()
        self._loops = BackgroundLoops()
        self._draining = self._leaving = False
        self._has_claimed = asyncio.Event()
        """Not set while a claim is under way."""
        self._has_claimed.set()
        context.notifier.add_listener(self._on_change)

    @property
    def accepting(self) -> bool:
        """False from the moment the node drains."""
        return not self._draining

    @property
    def is_leaving(self) -> bool:
        """True from the moment the node is going to stop: it claims nothing, and still accepts."""
        return self._leaving or self._draining

    def leave(self) -> None:
        """Claim nothing more; `drain` follows."""
        self._leaving = True

    @property
    def held(self) -> int:
        """How many attempts this node holds at the moment."""
        return len(self._tasks)

    def holds(self, ref: AttemptRef) -> bool:
        """Whether the attempt runs here, or is being settled here."""
        return ref in self._tasks

    def progress(self, run_id: str) -> AttemptProgress | None:
        """Progress of the run's attempt when this node holds it. For others, read the store."""
        for ref, runner in self._runners.items():
            if ref.run_id == run_id:
                return runner.progress
        return None

    def start(self) -> None:
        """Begin to claim. Call once, on the event loop, after recovery."""
        self._loops.start("claim", self._claim_forever())
        self._loops.start("leases", self._extend_leases_forever())
        self._wake.set()

    async def drain(self, timeout_s: float) -> None:
        """Stop claiming, give running attempts `timeout_s` to finish, then stop and requeue them.

        Returns once nothing of this node's attempts runs, or `SETTLE_S` after they were stopped:
        what cannot be written then, because the store or an engine does not respond, the next
        start or another node settles by the attempt's lease.
        """
        self._draining = True
        self._wake.set()
        self._context.notifier.notify_all()
        await self._wait_for_claim()
        await self._wait_for_attempts(timeout_s)
        if self._tasks:
            await self._stop_attempts()
        await self._loops.close()

    async def _stop_attempts(self) -> None:
        """Requeue what still runs, uncharged: also what cannot be written now."""
        outages = self._context.outages
        outages.begin_shutdown()
        for runner in list(self._runners.values()):
            runner.stop(StopReason.SHUTDOWN)
        await self._wait_for_attempts(SETTLE_S)
        left = await self._leave_attempts()
        await outages.end_shutdown(self._context.store, left=left > 0)

    async def _leave_attempts(self) -> int:
        """Give up what did not settle. Its processes are killed with the pool."""
        left = list(self._tasks.values())
        for task in left:
            task.cancel()
        if left:
            log.error("attempts_left", attempts=len(left))
            await asyncio.wait(left, timeout=SETTLE_S)
        return len(left)

    async def _wait_for_claim(self) -> None:
        """What a claim under way brings is an attempt of this node too, and has to be stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLAIM_TIMEOUT_S):
                await self._has_claimed.wait()

    async def _wait_for_attempts(self, timeout_s: float) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=timeout_s)

    # --- notifications -----------------------------------------------------------------------

    def on_remote_change(self, run_id: str, state: RunState) -> None:
        """Another node has changed the run: perhaps there is work to claim, or one to stop."""
        if state is RunState.ACCEPTED:
            self._wake.set()
        elif state is RunState.CANCELING:
            for runner in [held for held in self._runners.values() if held.ref.run_id == run_id]:
                self._in_background(self._stop_if_canceling(runner))

    def resync(self) -> None:
        """Notifications may have been lost: claim and extend leases now, not at the next beat."""
        self._wake.set()
        self._beat.set()

    def _on_change(self, run: Run) -> None:
        """This node has changed the run: perhaps there is work to claim, or an attempt to stop."""
        if run.state is RunState.ACCEPTED:
            self._wake.set()
        elif run.state is RunState.CANCELING:
            self._stop_canceled(run)

    def _stop_canceled(self, run: Run) -> None:
        runner = self._runners.get(AttemptRef(run.id, run.attempt))
        if runner is not None and run.cancellation is not None:
            runner.stop(run.cancellation.reason, run.cancellation.canceled_by)

    # --- claiming ----------------------------------------------------------------------------

    async def _claim_forever(self) -> None:
        while not self._draining:
            self._wake.clear()
            self._has_claimed.clear()
            await survive(
                self._claim,
                operation="claim",
                error_event="claim_error",
                outages=self._context.outages,
            )
            self._has_claimed.set()
            await self._until_woken()

    async def _until_woken(self) -> None:
        """Wait for a notification, for the end of the next back-off, or for the poll.

        Attempts that have just been started go first: the question when to wake can wait.
        """
        await asyncio.sleep(0)
        if self._wake.is_set():
            return
        try:
            async with asyncio.timeout(await self._poll_timeout_s()):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _poll_timeout_s(self) -> float:
        """Not later than the next run becomes ready: a short back-off must not wait for a poll."""
        try:
            until_s = await self._context.store.next_ready_s(self._sources())
        except Exception:  # the claim reports it, if it lasts
            return self._options.poll_s
        if until_s is None:
            return self._options.poll_s
        return min(max(until_s, 0.01), self._options.poll_s)

    async def _claim(self) -> None:
        """Claim as many runs as there are free slots and start an attempt on each."""
        free = self._options.slots - len(self._tasks)
        fair = self._options.fair_slots + min(free, 0)
        if (free <= 0 and fair <= 0) or self.is_leaving or self._context.health.blocking():
            return
        requested_s = time.monotonic()
        for attempt in await self._context.store.claim(
            self._context.node,
            lease_s=self._options.lease_s,
            limits=await self._limits(max(free, 0), max(fair, 0)),
        ):
            self._start_attempt(attempt, self._lease_deadline_s(requested_s))

    def _lease_deadline_s(self, requested_s: float) -> float | None:
        """The earliest expiry of a lease: counted from the request, which precedes its start."""
        fence_s = self._options.fence_s
        return None if fence_s is None else requested_s + fence_s

    async def _limits(self, free: int, fair: int) -> ClaimLimits:
        sources = self._sources()
        policies = {source: self._context.policy(source) for source in sources}
        limits = ClaimLimits(
            sources,
            free,
            {source: policy.running_per_tenant for source, policy in policies.items()},
            {source: policy.running_per_entity for source, policy in policies.items()},
            {source: policy.running_per_client for source, policy in policies.items()},
            fair_slots=fair,
        )
        limiter = self._context.limiter
        return limits if limiter is None else await limiter.running(limits)

    def _start_attempt(self, attempt: Attempt, deadline_s: float | None) -> None:
        runner = AttemptRunner(attempt, self._context)
        runner.set_lease_deadline(deadline_s)
        self._runners[attempt.ref] = runner
        self._context.wait_reasons.clear(attempt.ref.run_id)
        self._tasks[attempt.ref] = asyncio.create_task(self._run_attempt(runner))
        self._context.metrics.busy_slots.set(len(self._tasks))
        self._observe_wait(attempt.run)
        self._context.notifier.publish(attempt.run)

    def _observe_wait(self, run: Run) -> None:
        """Both times are the store's, so no clock of a node counts."""
        if run.started_time is not None:
            waited_s = (run.started_time - run.ready_time).total_seconds()
            self._context.metrics.wait_s.labels(run.request.source).observe(max(0.0, waited_s))

    async def _run_attempt(self, runner: AttemptRunner) -> None:
        """Run the attempt. Its slot becomes free only once nothing of it runs."""
        try:
            await runner.run()
        except Exception as error:  # its lease expires, and a reaper stops what is left
            log.exception(
                "attempt_task_error", run_id=runner.ref.run_id, error=type(error).__name__
            )
        finally:
            self._runners.pop(runner.ref, None)
            self._tasks.pop(runner.ref, None)
            self._context.metrics.busy_slots.set(len(self._tasks))
            self._wake.set()

    # --- leases ------------------------------------------------------------------------------

    async def _extend_leases_forever(self) -> None:
        """A round that fails must not stop the loop: all leases of the node would expire."""
        while True:
            await self._until_beat()
            await survive(
                self.extend_leases,
                operation="extend_leases",
                error_event="lease_extension_error",
                outages=self._context.outages,
            )

    async def _until_beat(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.heartbeat_s):
                await self._beat.wait()
        self._beat.clear()

    async def extend_leases(self) -> None:
        """Extend the leases of the attempts that run here, and write their progress for other
        nodes to read. Then act on the states that the store returns: a notification may be lost,
        this is not.

        An attempt that the store no longer returns has lost its lease. It is stopped here, and its
        run waits again, uncharged, unless the node that holds it now has settled it before. An
        attempt that the store has for this node but that does not run here is left to expire: its
        claim was committed and the reply was lost.
        """
        before, requested_s = dict(self._runners), time.monotonic()
        held = await self._context.store.extend(
            self._context.node,
            list(before),
            lease_s=self._options.lease_s,
            progress={ref: runner.progress for ref, runner in before.items()},
        )
        states = {item.ref: item for item in held}
        for ref, runner in before.items():
            if ref in states:
                runner.set_lease_deadline(self._lease_deadline_s(requested_s))
            await self._apply_extension(runner, states.get(ref))
        await self._context.outages.record(self._context.store)

    async def _apply_extension(self, runner: AttemptRunner, held: HeldAttempt | None) -> None:
        if runner.ref not in self._runners:
            return
        if held is None:
            await self._stop_if_lost(runner)
        elif held.state is RunState.CANCELING:
            await self._stop_if_canceling(runner)

    async def _stop_if_canceling(self, runner: AttemptRunner) -> None:
        """Read the run, and stop its attempt if it is being canceled.

        A read that fails is repeated by the next lease extension.
        """
        with suppress(Unavailable):
            run = await self._context.store.get(runner.ref.run_id)
            if run is not None and run.state is RunState.CANCELING:
                self._stop_canceled(run)

    def _in_background(self, check: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(check)
        self._checks.add(task)  # the event loop keeps only a weak reference
        task.add_done_callback(self._checks.discard)

    async def _stop_if_lost(self, runner: AttemptRunner) -> None:
        """Missing from the extension: it finished a moment ago, or another node holds it."""
        run = await self._context.store.get(runner.ref.run_id)
        is_newest = run is not None and run.attempt == runner.ref.number
        has_finished = run is not None and is_newest and run.state.is_terminal
        if not has_finished and runner.ref in self._runners:
            runner.stop(StopReason.LEASE)

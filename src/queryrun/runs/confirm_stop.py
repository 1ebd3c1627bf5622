"""Confirms that an attempt's engine has stopped: worker reaped, remote work stopped.

Always in this order. Once the worker has exited, nothing starts more work under the attempt's name,
so what the remote engine then reports is final.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from structlog.typing import FilteringBoundLogger

from queryrun.errors import Unavailable
from queryrun.processes.errors import NotReaped
from queryrun.runs.context import AttemptContext
from queryrun.runs.model import Attempt, EngineStop, StopStep
from queryrun.worker.pool import Stopped
from queryrun.worker.worker import Worker

STOP_RETRY_S = 1.0
"""Pause before the next attempt to stop what is not confirmed stopped."""


@dataclass(frozen=True, slots=True)
class ConfirmedStop:
    """How a stop was confirmed, and when each step of it was taken, on the monotonic clock."""

    engine_stop: EngineStop
    moments: tuple[tuple[StopStep, float], ...] = ()

    def then(self, step: StopStep) -> ConfirmedStop:
        """With a step that was taken now."""
        return replace(self, moments=(*self.moments, (step, time.monotonic())))

    def steps_since(self, requested_s: float) -> tuple[tuple[str, str], ...] | None:
        """The steps as the record keeps them (`Cancellation.steps`). A step that was taken before
        the request, because the worker had died, counts as taken at once."""
        if self.engine_stop is EngineStop.NEVER_STARTED:
            return None
        return tuple(
            (step.value, str(round(max(0.0, at_s - requested_s) * 1000)))
            for step, at_s in self.moments
        )


class StopConfirmation:
    """Stops the work of one attempt and confirms it. Retries, and alerts, until it is confirmed."""

    def __init__(
        self, attempt: Attempt, context: AttemptContext, log: FilteringBoundLogger
    ) -> None:
        self._ref = attempt.ref
        self._request = attempt.run.request
        self._context = context
        self._log = log
        self._is_alerting = False

    async def stop(self, worker: Worker) -> ConfirmedStop:
        """Stop the worker and what it started remotely. Returns when both are confirmed.

        There is no timeout: until then the run keeps its state and the attempt keeps its slot.
        """
        with self._clear_alert_at_end():
            stop = _of_worker(await self._until_reaped(worker))
            if self._is_remote:
                await self._until_remote_stopped()
                stop = replace(stop, engine_stop=EngineStop.REMOTE_CONFIRMED)
                return stop.then(StopStep.ENGINE_CONFIRMED)
        return stop

    async def try_stop_remote(self) -> None:
        """Stop what may be left in a remote engine, if the engine responds.

        Tries once: an engine that is down must not occupy our slots. What it keeps running is
        found later by `RemoteWork.stop_orphans`.
        """
        if not self._is_remote:
            return
        try:
            await self._stop_remote()
        except Unavailable as error:
            self._log.warning("orphan_cleanup_deferred", reason=str(error))

    @property
    def _is_remote(self) -> bool:
        return self._context.remote.is_remote(self._request.source)

    async def _until_reaped(self, worker: Worker) -> Stopped:
        while True:
            try:
                return await self._context.workers.stop(worker)
            except NotReaped:
                self._alert("worker_not_reaped")
                await asyncio.sleep(STOP_RETRY_S)

    async def _until_remote_stopped(self) -> None:
        while True:
            try:
                return await self._stop_remote()
            except Unavailable as error:
                self._alert("engine_stop_unconfirmed", reason=str(error))
                await asyncio.sleep(STOP_RETRY_S)

    async def _stop_remote(self) -> None:
        await self._context.remote.stop(self._ref, self._request.source, self._request.entity_id)

    @contextmanager
    def _clear_alert_at_end(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._is_alerting:
                self._is_alerting = False
                self._context.metrics.stops_unconfirmed.dec()

    def _alert(self, event: str, **fields: str) -> None:
        """Log every failed stop, but count the attempt once."""
        if not self._is_alerting:
            self._is_alerting = True
            self._context.metrics.stops_unconfirmed.inc()
        self._log.error(event, **fields)


def _of_worker(stopped: Stopped) -> ConfirmedStop:
    moments = [(StopStep.INTERRUPT_SENT, stopped.interrupted_s)]
    if stopped.killed_s is not None:
        moments.append((StopStep.KILL_SENT, stopped.killed_s))
    moments.append((StopStep.REAPED, stopped.reaped_s))
    return ConfirmedStop(EngineStop(stopped.how.value), tuple(moments))

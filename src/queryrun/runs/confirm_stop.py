"""The proof that an attempt's engine has let go: its worker reaped, its work elsewhere gone.

Always in this order: once the worker has ended nobody starts anything under the attempt's name any
more, so what the engine elsewhere then says holds for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.typing import FilteringBoundLogger

from queryrun.engines.base import work_name
from queryrun.errors import Unavailable
from queryrun.processes.errors import NotReaped
from queryrun.processes.handles import with_work
from queryrun.runs.context import AttemptContext
from queryrun.runs.model import Attempt, EngineStop
from queryrun.worker.worker import Worker

STOP_RETRY_S = 1.0
"""Pause between tries to stop what could not be proven stopped."""


class StopConfirmation:
    """Ends one attempt's work for certain. While that cannot be proven, it says so and goes on."""

    def __init__(
        self, attempt: Attempt, context: AttemptContext, log: FilteringBoundLogger
    ) -> None:
        self._ref = attempt.ref
        self._request = attempt.run.request
        self._context = context
        self._log = log
        self._alarmed = False

    def handle(self, worker: Worker) -> str:
        """What any process needs to stop this attempt: its process, and its work elsewhere."""
        if not self._is_remote:
            return worker.handle
        return with_work(worker.handle, work_name(self._ref.run_id, self._ref.number))

    async def of(self, worker: Worker) -> EngineStop:
        """End the worker, and what it began elsewhere; returns when both are proven, however long
        that takes: until then the run stays as it is, and its slot stays held."""
        with self._alarm():
            engine_stop = await self._until_reaped(worker)
            if self._is_remote:
                await self._until_let_go()
                return EngineStop.REMOTE_CONFIRMED
        return engine_stop

    async def check_once(self) -> None:
        """End what may be left elsewhere, if the engine answers.

        Asked for once: an engine that is in trouble must not hold our slots for it. What it
        keeps running then is found by `RemoteWork.end_orphans`.
        """
        if not self._is_remote:
            return
        try:
            await self._end_elsewhere()
        except Unavailable as error:
            self._log.warning("orphan_cleanup_deferred", reason=str(error))

    @property
    def _is_remote(self) -> bool:
        return self._context.remote.is_remote(self._request.source)

    async def _until_reaped(self, worker: Worker) -> EngineStop:
        while True:
            try:
                return EngineStop((await self._context.workers.stop(worker)).how.value)
            except NotReaped:
                self._raise_alarm("worker_not_reaped")
                await asyncio.sleep(STOP_RETRY_S)

    async def _until_let_go(self) -> None:
        while True:
            try:
                return await self._end_elsewhere()
            except Unavailable as error:
                self._raise_alarm("engine_stop_unconfirmed", reason=str(error))
                await asyncio.sleep(STOP_RETRY_S)

    async def _end_elsewhere(self) -> None:
        await self._context.remote.end(self._ref, self._request.source, self._request.entity_id)

    @contextmanager
    def _alarm(self) -> Iterator[None]:
        """Whatever was raised meanwhile is over when the proof is there."""
        try:
            yield
        finally:
            if self._alarmed:
                self._alarmed = False
                self._context.metrics.stops_unconfirmed.dec()

    def _raise_alarm(self, event: str, **more: str) -> None:
        """Say it each time, and count the attempt once."""
        if not self._alarmed:
            self._alarmed = True
            self._context.metrics.stops_unconfirmed.inc()
        self._log.error(event, **more)

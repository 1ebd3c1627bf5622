"""One attempt of a run: claim -> worker -> file -> store. One way out, whatever happens.

Everything that ends an attempt early (a cancel, the time limit, a shutdown, a lost lease) goes
through `AttemptRunner.stop`, and everything that ends it at all goes through `_settle`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import structlog

from queryrun.errors import Blame, Failure, FailureCode, LostRace, RunFailed, Unavailable
from queryrun.processes.errors import ForkServerLost
from queryrun.results.names import file_key
from queryrun.runs.confirm_stop import StopConfirmation
from queryrun.runs.context import AttemptContext
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    Cancellation,
    EngineStop,
    ResultFile,
    Run,
    Stage,
    StopReason,
)
from queryrun.runs.retry import after_failure, on_leaving, while_away
from queryrun.runs.store import Completed, Failed, Freed, Requeued
from queryrun.worker.errors import PoolClosed, WorkerDied
from queryrun.worker.frames import Done, Execute, Progress, StageReached
from queryrun.worker.worker import Worker

log = structlog.get_logger()

STORE_RETRY_S = 0.5
"""Pause between tries to write an outcome while the store is away."""

_CANCELS = frozenset({StopReason.USER, StopReason.ADMIN})

_LIMITS = frozenset(
    {
        FailureCode.ROW_LIMIT_EXCEEDED,
        FailureCode.SIZE_LIMIT_EXCEEDED,
        FailureCode.MEMORY_LIMIT_EXCEEDED,
    }
)
_NOT_CLEAN = _LIMITS | {FailureCode.WORKER_LOST, FailureCode.INTERNAL_ERROR}
"""Ends after which the worker is not trusted again: it is stopped like any other."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Why an attempt was told to stop, when, and how far it was."""

    reason: StopReason
    by: str | None
    stage: Stage
    at: datetime
    at_s: float
    """On the monotonic clock, to measure the stop."""


class AttemptRunner:
    """An attempt that this node holds, from its claim to its one way out."""

    def __init__(self, attempt: Attempt, context: AttemptContext) -> None:
        self.attempt = attempt
        self.progress = AttemptProgress(Stage.CLAIMED)
        self._context = context
        self._told: StopRequest | None = None
        self._stop_requested = asyncio.Event()
        self._worker: Worker | None = None
        self._until_s: float | None = None
        self._lease_end: asyncio.TimerHandle | None = None
        self._key = _file_key(attempt.run)
        self._log = log.bind(
            run_id=attempt.run.id, attempt=attempt.ref.number, entity=attempt.run.request.entity_id
        )
        self._proof = StopConfirmation(attempt, context, self._log)

    @property
    def ref(self) -> AttemptRef:
        """Which attempt this is."""
        return self.attempt.ref

    def stop(self, reason: StopReason, by: str | None = None) -> None:
        """Stop this attempt's work: the one way, whoever asks. The first reason is the record.

        Returns at once. What follows (`live`) interrupts, kills and reaps the worker, discards
        the file and only then writes how the run goes on.
        """
        if self._told is None:
            stage = self.progress.stage
            self._told = StopRequest(reason, by, stage, self._context.now(), time.monotonic())
            self._stop_requested.set()
            self._log.info("attempt_stop_requested", reason=reason, stage=stage)

    def set_lease_deadline(self, until_s: float | None) -> None:
        """The lease is ours until then, on the monotonic clock; None: nobody else can take it.

        When that is not moved in time the attempt stops, and its worker, should this process
        be in no state to stop it, is ended by the kernel.
        """
        if self._lease_end is not None:
            self._lease_end.cancel()
        self._until_s = until_s
        if until_s is None:
            return
        left_s = max(0.0, until_s - time.monotonic())
        loop = asyncio.get_running_loop()
        self._lease_end = loop.call_later(left_s, self.stop, StopReason.LEASE)
        if self._worker is not None:
            self._worker.keep(until_s)

    async def live(self) -> Run | None:
        """Do the work and write how it ended; the run as written, None when it was lost to us.

        Returns only when nothing of the attempt runs any more.
        """
        began_s = time.monotonic()
        limit = asyncio.get_running_loop().call_later(
            self._time_limit_s(), self.stop, StopReason.TIMEOUT
        )
        worker: Worker | None = None
        end: Done | Failure | None = None
        try:
            worker = self._worker = await self._until_stopped(self._take_worker())
            if worker is not None and await self._may_start(worker):
                end = await self._until_stopped(self._execute(worker))
        except WorkerDied as death:
            end = _worker_lost(death)
        except Unavailable:
            end = Failure(FailureCode.ENGINE_UNAVAILABLE, "The store could not be reached")
        except (ForkServerLost, PoolClosed):
            end = Failure(FailureCode.ENGINE_UNAVAILABLE, "No worker process could be started")
        except Exception as error:  # whatever goes wrong, the run must have an end
            self._log.exception("attempt_error", error=type(error).__name__)
            end = Failure(FailureCode.INTERNAL_ERROR, "The service failed to run the statement")
        finally:
            limit.cancel()
        run = await self._settle(worker, end)
        self.set_lease_deadline(None)
        self._context.metrics.attempt_s.labels(self.attempt.run.request.source).observe(
            time.monotonic() - began_s
        )
        return run

    # --- the way in --------------------------------------------------------------------------

    def _time_limit_s(self) -> float:
        """Seconds this attempt may take: the request's own limit, or its source's."""
        request = self.attempt.run.request
        return request.timeout_s or self._context.policy(request.source).time_limit_s

    async def _take_worker(self) -> Worker:
        request = self.attempt.run.request
        return await self._context.workers.take(
            await self._context.bind(request.source, request.entity_id)
        )

    async def _may_start(self, worker: Worker) -> bool:
        """Save the handle before anything waits on the engine; False when a cancel was first."""
        try:
            handle = self._proof.handle(worker)
            await self._context.store.save_handle(self.ref, handle=handle, file_key=self._key)
        except LostRace:
            self.stop(*await self._why_lost())
            return False
        self.progress = AttemptProgress(Stage.STARTING)
        return self._told is None

    async def _why_lost(self) -> tuple[StopReason, str | None]:
        """The reason that made a write of ours come too late: a cancel, or a lost lease."""
        run = await self._read()
        ours = run is not None and run.attempt == self.ref.number
        if run is not None and ours and run.cancellation is not None:
            return run.cancellation.reason, run.cancellation.canceled_by
        return StopReason.LEASE, None

    async def _read(self) -> Run | None:
        """The run as last written, however long the store is away."""
        while True:
            try:
                return await self._context.store.get(self.ref.run_id)
            except Unavailable:
                self._log.warning("store_unavailable_retrying", operation="read_run")
                await asyncio.sleep(STORE_RETRY_S)

    async def _execute(self, worker: Worker) -> Done | Failure:
        """Run the statement to its end, keeping track of how far it is."""
        # Opening may take a while, and the frame says until when the lease is ours.
        await worker.ready()
        end = await worker.execute(self._execute_frame(), self._take_note)
        if isinstance(end, Done):
            return end
        return Failure(FailureCode(end.code), end.message, end.line, end.column)

    def _execute_frame(self) -> Execute:
        run = self.attempt.run
        rules = self._context.policy(run.request.source)
        output = run.request.output
        return Execute(
            run_id=run.id,
            attempt=self.ref.number,
            statement=run.request.sql,
            file_key=self._key,
            content_type=output.content_type.value,
            content_encoding=output.content_encoding.value,
            column_separator=output.column_separator,
            encryption_key=output.encryption_key,
            row_limit=rules.max_output_rows,
            size_limit_bytes=rules.max_output_bytes,
            deleted_rows=run.request.deleted_rows.value,
            org_column=rules.org_column,
            org_ids=run.request.org_ids,
            until_s=self._until_s or 0.0,
        )

    def _take_note(self, frame: StageReached | Progress) -> None:
        """How far the attempt is, as its worker says; numbers only grow (`worker/control.py`)."""
        if isinstance(frame, StageReached):
            self.progress = replace(self.progress, stage=Stage(frame.stage))
        else:
            self.progress = replace(
                self.progress, percent=frame.percent, rows=frame.rows, size_bytes=frame.size_bytes
            )
        self._context.notifier.notify_progress(self.ref.run_id)

    async def _until_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`, or None when the attempt was told to stop before it was done.

        A result that is there at the same moment counts: the store decides who was first.
        """
        task = asyncio.ensure_future(work)
        told = asyncio.ensure_future(self._stop_requested.wait())
        try:
            await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            told.cancel()
            await _cancelled(task)

    # --- the one way out ---------------------------------------------------------------------

    async def _settle(self, worker: Worker | None, end: Done | Failure | None) -> Run | None:
        """Write a clean end while the worker is still ours; otherwise stop first, then write."""
        if end is not None and _is_clean(end):
            await self._tidy_up_elsewhere(end)
            run = await self._persist(lambda: self._write_clean(end))
            if run is not None:
                self._give_back(worker)
                return self._ended(run)
            self.stop(*await self._why_lost())
        elif isinstance(end, Failure) and end.code in _LIMITS:
            self.stop(StopReason.LIMIT)
        engine_stop = await self._stop_for_certain(worker)
        await self._discard_file()
        run = await self._persist(lambda: self._write_stopped(end, engine_stop))
        if run is None and not self._is_told_to_cancel():
            # A cancel came while we were stopping for another reason; the work is stopped already.
            self._told = None
            self.stop(*await self._why_lost())
            run = await self._persist(lambda: self._write_stopped(end, engine_stop))
        return self._ended(run)

    def _is_told_to_cancel(self) -> bool:
        return self._told is not None and self._told.reason in _CANCELS

    def _give_back(self, worker: Worker | None) -> None:
        if worker is not None:
            self._context.workers.give_back(worker)

    async def _write_clean(self, end: Done | Failure) -> Run:
        """The statement came to its own end and the worker is whole."""
        if isinstance(end, Done):
            file = ResultFile(self._key, end.size_bytes, end.sha256, end.rows)
            return await self._context.store.complete(self.ref, Completed(file, self._took_ms()))
        return await self._write_failure(end, None)

    def _took_ms(self) -> int:
        """Milliseconds since the attempt was claimed: `processing_duration` (contract A5)."""
        began = self.attempt.run.started_time or self._context.now()
        return max(0, round((self._context.now() - began).total_seconds() * 1000))

    async def _write_failure(self, failure: Failure, stop: Cancellation | None) -> Run:
        self._log.info("attempt_failed", code=failure.code, blame=failure.code.blame)
        if failure.code is FailureCode.ENGINE_UNAVAILABLE and not await self._is_source_up():
            detail = while_away(failure, self._context.retry, self._context.now(), stop)
            return await self._write(detail)
        return await self._write(
            after_failure(self.attempt.run, failure, self._context.retry, self._context.now(), stop)
        )

    async def _is_source_up(self) -> bool:
        """Whether another attempt could start now; if not, the run waits and is not to blame."""
        return await self._context.sources.look(self.attempt.run.request.source)

    async def _write(self, detail: Failed | Requeued) -> Run:
        if isinstance(detail, Requeued):
            return await self._context.store.requeue(self.ref, detail)
        return await self._context.store.fail(self.ref, detail)

    async def _write_stopped(self, end: Done | Failure | None, engine_stop: EngineStop) -> Run:
        """The work is proven stopped: how the run goes on depends on why it was stopped."""
        told = self._told
        failure = end if isinstance(end, Failure) else _no_answer()
        if told is None:
            return await self._write_failure(failure, None)
        match told.reason:
            case StopReason.USER | StopReason.ADMIN:
                freed = Freed(engine_stop, told.stage)
                return await self._context.store.freed(self.ref, freed)
            case StopReason.LIMIT:
                return await self._write_failure(failure, _record(told, engine_stop))
            case StopReason.TIMEOUT:
                limit = _time_limit_exceeded(self._time_limit_s())
                return await self._write_failure(limit, _record(told, engine_stop))
            case StopReason.SHUTDOWN:
                left = Failure(FailureCode.NODE_LOST, "The node is shutting down")
                return await self._write(
                    on_leaving(left, self._context.now(), _record(told, engine_stop))
                )
            case StopReason.LEASE:
                raise LostRace("the lease was lost; the attempt is another node's to settle")

    async def _persist(self, write: Callable[[], Awaitable[Run]]) -> Run | None:
        """Write an outcome, however long the store is away; None when it came too late."""
        while True:
            try:
                return await write()
            except LostRace:
                return None
            except Unavailable:
                self._log.warning("store_unavailable_retrying", operation="write_outcome")
                await asyncio.sleep(STORE_RETRY_S)

    async def _stop_for_certain(self, worker: Worker | None) -> EngineStop:
        """End the worker and return when that is proven; never before, however long it takes."""
        if worker is None or not worker.started:
            self._give_back(worker)
            return EngineStop.NEVER_STARTED
        engine_stop = await self._proof.of(worker)
        if self._told is not None:
            duration_s = time.monotonic() - self._told.at_s
            self._context.metrics.stop_s.labels(self._told.reason, engine_stop).observe(duration_s)
            duration_ms = round(duration_s * 1000)
            self._log.info("attempt_stopped", engine_stop=engine_stop, duration_ms=duration_ms)
        return engine_stop

    async def _tidy_up_elsewhere(self, end: Done | Failure) -> None:
        """After a failure that is not the statement's, something may still run there."""
        if isinstance(end, Failure) and end.code.blame is not Blame.USER:
            await self._proof.check_once()

    async def _discard_file(self) -> None:
        """Leave nothing under the attempt's key. What cannot be removed now, the reaper finds."""
        try:
            await asyncio.to_thread(self._context.results.discard, self._key)
        except (RunFailed, OSError) as error:
            self._log.warning("result_file_discard_failed", error=type(error).__name__)

    def _ended(self, run: Run | None) -> Run | None:
        """Tell everyone who waits, count it, and say it in the log."""
        outcome = run.state.value if run is not None else "lost"
        self._context.metrics.attempts.labels(self.attempt.run.request.source, outcome).inc()
        self._log.info("attempt_finished", outcome=outcome)
        if run is not None:
            self._context.notifier.publish(run)
        return run


def _record(told: StopRequest, engine_stop: EngineStop) -> Cancellation:
    """The record of a stop that nobody asked for through the API."""
    return Cancellation(told.at, told.reason, told.by, told.stage, engine_stop)


def _file_key(run: Run) -> str:
    """A key of this attempt's own: the digits are microseconds, 16 of them (contract F4)."""
    output = run.request.output
    return file_key(
        run.id,
        str(time.time_ns() // 1000),
        output.content_type.value,
        output.content_encoding.value,
        encrypted=output.encryption_key is not None,
    )


def _is_clean(end: Done | Failure) -> bool:
    """Whether the worker answered by itself and is fit to serve again."""
    return isinstance(end, Done) or end.code not in _NOT_CLEAN


def _worker_lost(death: WorkerDied) -> Failure:
    """A worker that died under a run: an OOM kill, a crash of the engine, a kill from outside."""
    return Failure(FailureCode.WORKER_LOST, f"The worker process died ({death})")


def _no_answer() -> Failure:
    return Failure(FailureCode.INTERNAL_ERROR, "The attempt ended without an outcome")


def _time_limit_exceeded(limit_s: float) -> Failure:
    """In the words that users of the contract know (contract F10)."""
    return Failure(
        FailureCode.TIME_LIMIT_EXCEEDED, f"Query exceeded the maximum time limit of {limit_s:.2f}s"
    )


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """End the task if it still runs, and wait until it has."""
    if task.done():
        return
    task.cancel()
    await asyncio.wait({task})

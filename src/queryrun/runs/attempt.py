"""One attempt of a run: claim -> worker -> file -> store. One way out, whatever happens.

Everything that stops an attempt early (a cancel, the time limit, a shutdown, a lost lease) goes
through `AttemptRunner.stop`, and every outcome goes through `_settle`, which has it written by
`runs/outcome.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import structlog

from queryrun.errors import Blame, Failure, FailureCode, LostRace, RunFailed, Unavailable
from queryrun.results.names import file_key
from queryrun.runs.caps import NO_CAPS, Caps
from queryrun.runs.confirm_stop import ConfirmedStop, StopConfirmation
from queryrun.runs.context import AttemptContext
from queryrun.runs.failures import failure_of, reported_bug
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    EngineStop,
    Run,
    Stage,
    StopReason,
    StopStep,
)
from queryrun.runs.outcome import STORE_RETRY_S, Observed, OutcomeWriter, StopRequest
from queryrun.runs.quotas import ResultRoom
from queryrun.runs.trace import AttemptTrace, StopTrace
from queryrun.runs.used import attempt_usage
from queryrun.tracing.context import parse_traceparent
from queryrun.worker.errors import EXIT_NOT_SET_UP, NotSetUp, WorkerDied
from queryrun.worker.frames import Done, Execute, Progress, StageReached
from queryrun.worker.frames import Failed as WorkerFailed
from queryrun.worker.worker import Worker

log = structlog.get_logger()

OUTAGE_GRACE_S = 30.0
"""How much longer than its limit an attempt may take, again and again while its result cannot be
written, and once after that."""
_CANCELS = frozenset({StopReason.USER, StopReason.ADMIN, StopReason.DISCONNECT})

_LIMITS = frozenset(
    {
        FailureCode.ROW_LIMIT_EXCEEDED,
        FailureCode.SIZE_LIMIT_EXCEEDED,
        FailureCode.MEMORY_LIMIT_EXCEEDED,
        FailureCode.QUOTA_EXCEEDED,
    }
)
_NOT_CLEAN = _LIMITS | {FailureCode.WORKER_LOST, FailureCode.INTERNAL_ERROR}
"""Outcomes after which the worker is stopped instead of being reused."""
_MAX_MESSAGE_CHARS = 20_000
"""What a run keeps of a failure's message: engines of ours say less."""

T = TypeVar("T")


class AttemptRunner:
    """Runs an attempt that this node holds, from its claim to its outcome."""

    def __init__(self, attempt: Attempt, context: AttemptContext) -> None:
        self.attempt = attempt
        self._observed = Observed(_new_file_key(attempt.run))
        self._context = context
        self._stop_request: StopRequest | None = None
        self._stop_requested = asyncio.Event()
        self._worker: Worker | None = None
        self._lease_deadline_s: float | None = None
        self._time_limit: asyncio.TimerHandle | None = None
        self._lease_end: asyncio.TimerHandle | None = None
        self._caps: Caps = NO_CAPS
        self._log = log.bind(
            run_id=attempt.run.id, attempt=attempt.ref.number, entity=attempt.run.request.entity_id
        )
        self._trace = AttemptTrace(context.tracer, attempt)
        if (traced := parse_traceparent(attempt.run.request.traceparent)) is not None:
            self._log = self._log.bind(trace_id=traced.trace_id)
        self._confirmation = StopConfirmation(attempt, context, self._log)
        self._outcome = OutcomeWriter(
            attempt, context, self._observed, self._time_limit_s(), self._log
        )

    @property
    def ref(self) -> AttemptRef:
        """Which attempt this is."""
        return self.attempt.ref

    @property
    def progress(self) -> AttemptProgress:
        """How far the attempt is, as its worker last reported."""
        return self._observed.progress

    def stop(self, reason: StopReason, by: str | None = None) -> None:
        """Request that this attempt stops. Only the first call counts: its reason is recorded.

        Returns at once. `run` then interrupts, kills and reaps the worker, discards the file, and
        only after that writes the outcome.
        """
        if self._stop_request is None:
            stage = self._observed.progress.stage
            at, at_s = self._context.now(), time.monotonic()
            self._stop_request = StopRequest(reason, by, stage, at, at_s)
            self._stop_requested.set()
            self._log.info("attempt_stop_requested", reason=reason, stage=stage)

    def set_lease_deadline(self, deadline_s: float | None) -> None:
        """Set when the lease expires, on the monotonic clock. None: no other node can take it over.

        Unless a later call moves the deadline, the attempt stops when it passes. The worker has
        the same deadline and exits on its own if this process cannot stop it.
        """
        if self._lease_end is not None:
            self._lease_end.cancel()
        self._lease_deadline_s = deadline_s
        if deadline_s is None:
            return
        left_s = max(0.0, deadline_s - time.monotonic())
        loop = asyncio.get_running_loop()
        self._lease_end = loop.call_later(left_s, self.stop, StopReason.LEASE)
        if self._worker is not None:
            self._worker.extend_lease(deadline_s)

    async def run(self) -> Run | None:
        """Execute the statement and write the outcome. Returns when nothing of the attempt runs.

        The result is the run as written, or None when this node lost the attempt: another node
        holds it now, or the run was removed. Errors of the attempt are never raised.
        """
        started_s = time.monotonic()
        self._arm_time_limit(self._time_limit_s())
        worker: Worker | None = None
        outcome: Done | Failure | None = None
        try:
            await self._read_caps()
            worker = self._worker = await self._until_stopped(self._take_worker())
            if worker is not None and await self._may_start(worker):
                outcome = await self._until_stopped(self._execute(worker))
        except Exception as error:  # whatever happens, the run needs an outcome
            failed = failure_of(error, self._log)
            outcome, self._observed.shortage = failed.failure, failed.shortage
        finally:
            if self._time_limit is not None:
                self._time_limit.cancel()
        run = await self._settle(worker, outcome)
        self.set_lease_deadline(None)
        self._context.metrics.attempt_duration_s.labels(self.attempt.run.request.source).observe(
            time.monotonic() - started_s
        )
        return run

    def _arm_time_limit(self, after_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._time_limit = loop.call_later(after_s, self._on_time_limit)

    def _on_time_limit(self) -> None:
        """An attempt that waits for a part of the node, such as the store of results, does not use
        up its run's time."""
        if self._context.health.blocking() is None:
            limit_s = self._caps.value("time")
            if limit_s is not None and limit_s < self._time_limit_s():
                self._observed.passed = self._caps.failure("time", limit_s)
                self.stop(StopReason.LIMIT)
            else:
                self.stop(StopReason.TIMEOUT)
        else:
            self._arm_time_limit(min(self._time_limit_s(), OUTAGE_GRACE_S))

    # --- start and execute -------------------------------------------------------------------

    def _time_limit_s(self) -> float:
        """Seconds this attempt may take: the request's limit, or else the source's."""
        request = self.attempt.run.request
        return request.timeout_s or self._context.policy(request.source).time_limit_s

    async def _read_caps(self) -> None:
        """What the limits leave of this attempt. A shorter time than the source's begins anew."""
        limiter = self._context.limiter
        request = self.attempt.run.request
        if limiter is None or not await limiter.values(request):
            return
        self._caps = Caps.of(request, await limiter.states(request))
        time_s = self._caps.value("time")
        if time_s is not None and time_s < self._time_limit_s() and self._time_limit is not None:
            self._time_limit.cancel()
            self._arm_time_limit(time_s)

    async def _take_worker(self) -> Worker:
        request = self.attempt.run.request
        return await self._context.workers.take(
            await self._context.worker_config(request.source, request.entity_id, request.org_ids)
        )

    async def _may_start(self, worker: Worker) -> bool:
        """Save the worker's handle. False: the attempt was canceled or lost, so do not start.

        Saved before anything waits on the engine, so that any node can kill what this one starts.
        """
        try:
            handle = worker.handle
            await self._context.store.save_handle(
                self.ref, handle=handle, file_key=self._observed.file_key
            )
        except LostRace:
            self.stop(*await self._lost_race_reason())
            return False
        self._observed.progress = AttemptProgress(Stage.STARTING)
        return self._stop_request is None

    async def _lost_race_reason(self) -> tuple[StopReason, str | None]:
        """Why the store refused a write of this attempt: a cancel, or a lost lease."""
        run = await self._read_run()
        is_newest = run is not None and run.attempt == self.ref.number
        if run is not None and is_newest and run.cancellation is not None:
            return run.cancellation.reason, run.cancellation.canceled_by
        return StopReason.LEASE, None

    async def _read_run(self) -> Run | None:
        """The run as last written. Retries for as long as the store is unavailable."""
        while True:
            try:
                return await self._context.store.get(self.ref.run_id)
            except Unavailable:
                self._log.warning("store_unavailable_retrying", operation="read_run")
                await asyncio.sleep(STORE_RETRY_S)

    async def _execute(self, worker: Worker) -> Done | Failure:
        """Raises `NotSetUp` for a worker that exited before a statement could do anything on it."""
        try:
            return await self._execute_on(worker)
        except WorkerDied as died:
            if worker.is_cut_off or (not worker.started and died.exit_code == EXIT_NOT_SET_UP):
                raise NotSetUp from died
            self._observed.lost_directory = worker.died_without_directory
            self._observed.missed_lease = died.at_lease_end
            raise

    async def _execute_on(self, worker: Worker) -> Done | Failure:
        """Run the statement on the worker and track its progress."""
        # Opening may take a while, and the frame carries the lease deadline: build it afterwards.
        await worker.ready()
        room = await self._context.quotas.result_room(self.attempt.run.request)
        if room.is_full:
            return room.failure()
        if self._caps.value("result") == 0 and (full := self._caps.failure("result", 0)):
            return full
        frame = self._execute_frame(room)
        permit = self._context.results.upload_permit(self._observed.file_key)
        self._trace.mark("engine")
        end = await worker.execute(frame, self._on_progress, permit)
        self._observed.used = end.used
        if isinstance(end, Done):
            passed = self._caps.passed_at_end(attempt_usage(end.used, self._observed.progress))
            if passed is not None:
                return passed
            room = await self._context.quotas.result_room(self.attempt.run.request)
            return end if room.holds(end.size_bytes) else room.failure()
        if (passed := self._cap_behind(end, frame)) is not None:
            return passed
        if (
            end.code == FailureCode.SIZE_LIMIT_EXCEEDED
            and room.size_bytes == frame.size_limit_bytes
        ):
            return room.failure()
        self._observed.lost_directory = not end.interrupted and worker.has_lost_directory()
        if end.code == FailureCode.INTERNAL_ERROR and worker.internal_error is not None:
            return reported_bug(worker.internal_error, self._log)
        message = end.message[:_MAX_MESSAGE_CHARS]
        return Failure(FailureCode(end.code), message, end.line, end.column)

    def _cap_behind(self, end: WorkerFailed, frame: Execute) -> Failure | None:
        """The cap that the worker has enforced; None when it was a limit of the source."""
        if end.code == FailureCode.ROW_LIMIT_EXCEEDED:
            is_cap = frame.row_limit == self._caps.value("rows")
            return self._caps.failure("rows", frame.row_limit + 1) if is_cap else None
        if end.code == FailureCode.SIZE_LIMIT_EXCEEDED:
            is_cap = frame.size_limit_bytes == self._caps.value("result")
            return self._caps.failure("result", frame.size_limit_bytes) if is_cap else None
        return None

    def _execute_frame(self, room: ResultRoom) -> Execute:
        """The frame includes the limits: the worker enforces them without this process."""
        run = self.attempt.run
        policy = self._context.policy(run.request.source)
        output = run.request.output
        return Execute(
            run_id=run.id,
            attempt=self.ref.number,
            sql=run.request.sql,
            parameters=run.request.parameters,
            file_key=self._observed.file_key,
            content_type=output.content_type.value,
            content_encoding=output.content_encoding.value,
            column_separator=output.column_separator,
            encryption_key=output.encryption_key,
            row_limit=_smaller(policy.max_output_rows, self._caps.value("rows")),
            size_limit_bytes=_smaller(
                _smaller(policy.max_output_bytes, room.size_bytes), self._caps.value("result")
            ),
            deleted_rows=run.request.deleted_rows.value,
            marks_deleted=policy.marks_deleted,
            org_column=policy.org_column,
            org_ids=run.request.org_ids,
            lease_deadline_s=self._lease_deadline_s or 0.0,
            traceparent=self._trace.traceparent,
        )

    def _on_progress(self, frame: StageReached | Progress) -> None:
        """Keep what the worker reports. Its numbers never decrease (`worker/control.py`)."""
        if isinstance(frame, StageReached):
            self._trace.mark(frame.stage)
            self._observed.progress = replace(self._observed.progress, stage=Stage(frame.stage))
        else:
            self._observed.progress = replace(
                self._observed.progress,
                percent=frame.percent,
                rows=frame.rows,
                size_bytes=frame.size_bytes,
                cpu_ms=frame.cpu_ms,
                peak_memory_bytes=frame.peak_memory_bytes,
                read_bytes=frame.read_bytes,
                spilled_bytes=frame.spilled_bytes,
            )
            if self._observed.passed is None and (
                passed := self._caps.passed_by(self._observed.progress)
            ):
                self._observed.passed = passed
                self.stop(StopReason.LIMIT)
        self._context.notifier.notify_progress(self.ref.run_id)

    async def _until_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`, or None when a stop is requested before it is done.

        A result that arrives at the same moment counts: the store decides which came first.
        """
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop_requested.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            stop.cancel()
            await _cancel_and_wait(task)

    # --- settle ------------------------------------------------------------------------------

    async def _settle(self, worker: Worker | None, outcome: Done | Failure | None) -> Run | None:
        """Write the outcome. Unless the worker finished cleanly, stop it first.

        A run may be read as finished, or start its next attempt, the moment the outcome is written.
        Nothing of this attempt may then still run.
        """
        self._trace.mark("written")
        if isinstance(outcome, Done) and worker is not None:
            outcome = await self._take_over_file(worker, outcome)
            self._trace.mark("committed")
        if outcome is not None and _is_clean(outcome):
            await self._stop_remote_leftovers(outcome)
            run = await self._outcome.finished(outcome)
            run = run or await self._completed_before()
            if run is not None:
                self._give_back(worker)
                return self._report(run)
            self.stop(*await self._lost_race_reason())
        elif isinstance(outcome, Failure) and outcome.code in _LIMITS:
            self.stop(StopReason.LIMIT)
        stop = await self._stop_and_confirm(worker)
        await self._discard_file()
        stop = stop.then(StopStep.FILE_REMOVED)
        request = self._stop_request
        if request is not None:
            how = request.reason, request.stage, request.at_s, stop.engine_stop, stop.moments
            self._trace.stopped(StopTrace(*how))
        run = await self._outcome.stopped(outcome, request, stop)
        if run is None and (request is None or request.reason not in _CANCELS):
            # A cancel arrived while we stopped for another reason; the work is stopped already.
            # Its own request may have reached us meanwhile: the one we wrote by decides.
            if not self._is_cancel_requested():
                self._stop_request = None
                self.stop(*await self._lost_race_reason())
            run = await self._outcome.stopped(outcome, self._stop_request, stop)
        return self._report(run)

    async def _completed_before(self) -> Run | None:
        """The run when this attempt has completed it: a write was accepted, and its reply lost.
        Then its file is the run's, and must stay."""
        run = await self._read_run()
        is_ours = (
            run is not None and run.file is not None and run.file.key == self._observed.file_key
        )
        return run if is_ours else None

    async def _take_over_file(self, worker: Worker, done: Done) -> Done | Failure:
        """Commit what the worker has finished. One that still holds the file open is stopped first.

        From here on no worker can change it, not even the one that wrote it.
        """
        results = self._context.results
        take_over = partial(
            results.take_over, worker.outbox, self._observed.file_key, done.size_bytes
        )
        try:
            if not await asyncio.to_thread(take_over):
                await self._confirmation.stop(worker)
                await asyncio.to_thread(take_over, is_stopped=True)
        except RunFailed as error:
            # A directory that was moved away may hold a second name of the file.
            self._observed.lost_directory = worker.has_lost_directory()
            await self._discard_file()
            return error.failure
        return done

    def _is_cancel_requested(self) -> bool:
        return self._stop_request is not None and self._stop_request.reason in _CANCELS

    def _give_back(self, worker: Worker | None) -> None:
        if worker is not None:
            self._context.workers.give_back(worker)

    async def _stop_and_confirm(self, worker: Worker | None) -> ConfirmedStop:
        """Stop the worker. Returns only when the stop is confirmed, however long that takes."""
        if worker is None or not worker.started:
            self._give_back(worker)
            return ConfirmedStop(EngineStop.NEVER_STARTED)
        stop = await self._confirmation.stop(worker)
        if (request := self._stop_request) is not None:
            duration_s = time.monotonic() - request.at_s
            stops = self._context.metrics.stop_duration_s
            stops.labels(request.reason, stop.engine_stop).observe(duration_s)
            duration_ms = round(duration_s * 1000)
            self._log.info("attempt_stopped", engine_stop=stop.engine_stop, duration_ms=duration_ms)
        return stop

    async def _stop_remote_leftovers(self, outcome: Done | Failure) -> None:
        """After a failure that is not the statement's, the remote engine may still work on it."""
        if isinstance(outcome, Failure) and outcome.code.blame is not Blame.USER:
            await self._confirmation.try_stop_remote()

    async def _discard_file(self) -> None:
        """Remove the attempt's file, if there is one. A store of files that does not respond must
        not delay the outcome: the removal is put on record then."""
        await self._context.files.discard(self._observed.file_key)

    def _report(self, run: Run | None) -> Run | None:
        """Count and log the outcome, and notify all waiters of the run."""
        outcome = run.state.value if run is not None else "lost"
        self._context.metrics.attempts.labels(self.attempt.run.request.source, outcome).inc()
        self._log.info("attempt_finished", outcome=outcome)
        self._trace.finished(run)
        if run is not None:
            self._context.notifier.publish(run)
        return run


def _new_file_key(run: Run) -> str:
    """A key that only this attempt uses. Its digits are microseconds, 16 of them (contract F4)."""
    output = run.request.output
    return file_key(
        run.id,
        str(time.time_ns() // 1000),
        output.content_type,
        output.content_encoding,
        encrypted=output.encryption_key is not None,
    )


def _smaller(limit_bytes: int, room_bytes: int | None) -> int:
    """The smaller of two limits of a result's size. A limit of 0 is none."""
    if room_bytes is None or 0 < limit_bytes <= room_bytes:
        return limit_bytes
    return room_bytes


def _is_clean(outcome: Done | Failure) -> bool:
    """Whether the worker reported the outcome itself and may be reused."""
    return isinstance(outcome, Done) or outcome.code not in _NOT_CLEAN


async def _cancel_and_wait(task: asyncio.Future[Any]) -> None:
    """Cancel the task if it still runs, and wait until it has finished."""
    if task.done():
        return
    task.cancel()
    await asyncio.wait({task})

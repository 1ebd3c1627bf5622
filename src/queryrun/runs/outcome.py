"""The outcome of an attempt, as the store keeps it: `runs/attempt.py` decides which one it is.

Here is what follows from it: a retry that is charged or not, a shortage of the node that the run
waits for, and the record of a stop.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from queryrun.errors import Failure, FailureCode, LostRace, Unavailable
from queryrun.runs.confirm_stop import ConfirmedStop
from queryrun.runs.context import AttemptContext
from queryrun.runs.failures import reported_bug
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    Cancellation,
    ResultFile,
    Run,
    Stage,
    StopReason,
)
from queryrun.runs.retry import after_failure, on_shortage, on_shutdown, while_down
from queryrun.runs.shortages import FailedAttempt, shortage_behind
from queryrun.runs.store import Completed, Failed, Freed, Requeued
from queryrun.runs.used import attempt_usage
from queryrun.tables.faults import ABOUT_DATA, position_of
from queryrun.worker.frames import Done, Used

STORE_RETRY_S = 0.5
"""Pause before another read or write while the store is unavailable."""
_MAX_COLUMNS_CHARS = 64 * 1024
"""Names and types of a result's columns that a run keeps: its row is rewritten at each change."""


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Why an attempt has to stop, when that was requested, and its stage then."""

    reason: StopReason
    by: str | None
    stage: Stage
    at: datetime
    at_s: float
    """The same moment on the monotonic clock, to measure how long the stop takes."""


@dataclass(slots=True)
class Observed:
    """What is known of an attempt so far. Its runner writes it; the outcome is made of it."""

    file_key: str
    progress: AttemptProgress = field(default_factory=lambda: AttemptProgress(Stage.CLAIMED))
    claimed_s: float = field(default_factory=time.monotonic)
    used: Used | None = None
    """What the engine has used, once the worker has reported its end."""
    passed: Failure | None = None
    """How the run ends for the cap that the attempt has passed, once it has."""
    shortage: str | None = None
    """What the node was short of, when an error of its own has ended the attempt."""
    lost_directory: bool = False
    """Whether the worker missed a directory that the node has to make anew."""
    missed_lease: bool = False
    """Whether the worker ended by itself, because it heard of no extension of its lease."""


class OutcomeWriter:
    """Writes how an attempt ended. The caller has confirmed that nothing of it runs any more, or
    that the worker finished by itself."""

    def __init__(
        self,
        attempt: Attempt,
        context: AttemptContext,
        observed: Observed,
        time_limit_s: float,
        log: FilteringBoundLogger,
    ) -> None:
        self._attempt = attempt
        self._context = context
        self._observed = observed
        self._time_limit_s = time_limit_s
        self._log = log

    async def finished(self, outcome: Done | Failure) -> Run | None:
        """Write the outcome of a statement that was not stopped and left its worker intact.

        Retries while the store is unavailable. None: it came too late, the attempt was lost.
        """
        return await self._persist(lambda: self._write_clean(outcome))

    async def stopped(
        self, outcome: Done | Failure | None, request: StopRequest | None, stop: ConfirmedStop
    ) -> Run | None:
        """Write the outcome of an attempt whose work is confirmed stopped, by the stop's reason.

        Without a request the worker was stopped because it did not end cleanly. Retries while
        the store is unavailable. None: it came too late.
        """
        return await self._persist(lambda: self._write_stopped(outcome, request, stop))

    async def _persist(self, write: Callable[[], Awaitable[Run]]) -> Run | None:
        """Write an outcome, retrying while the store is unavailable. None: it came too late."""
        while True:
            try:
                return await write()
            except LostRace:
                return None
            except Unavailable:
                self._log.warning("store_unavailable_retrying", operation="write_outcome")
                await asyncio.sleep(STORE_RETRY_S)

    async def _write_clean(self, outcome: Done | Failure) -> Run:
        if isinstance(outcome, Done):
            file = _file_of(outcome, self._observed.file_key)
            completed = Completed(
                file,
                self._processing_ms(),
                attempt_usage(self._observed.used, self._observed.progress),
            )
            return await self._context.store.complete(self._attempt.ref, completed)
        return await self._write_failure(outcome, None)

    def _processing_ms(self) -> int:
        """Milliseconds since the attempt was claimed: `processing_duration` (contract A5). Counted
        on the monotonic clock: a clock that is set meanwhile must not change it."""
        return round((time.monotonic() - self._observed.claimed_s) * 1000)

    async def _write_failure(self, failure: Failure, stop: Cancellation | None) -> Run:
        """Requeue the run or let it fail. While its source is down, a requeue costs no retry."""
        where = position_of(failure.message) if failure.code in ABOUT_DATA else {}
        self._log.info("attempt_failed", code=failure.code, blame=failure.code.blame, **where)
        if (shortage := await self._find_shortage(failure)) is not None:
            self._log.warning("attempt_short", shortage=shortage)
            self._context.wait_reasons.note(self._attempt.ref.run_id, shortage)
            policy = self._context.retry
            return await self._write(on_shortage(self._attempt.run, failure, policy, stop))
        if failure.code is FailureCode.ENGINE_UNAVAILABLE and not await self._is_source_up():
            detail = while_down(failure, self._context.retry, stop)
            return await self._write(detail)
        return await self._write(
            after_failure(self._attempt.run, failure, self._context.retry, stop)
        )

    async def _find_shortage(self, failure: Failure) -> str | None:
        return await shortage_behind(
            failure,
            self._context.health,
            FailedAttempt(
                number=self._attempt.ref.number,
                began_s=self._observed.claimed_s,
                written_bytes=self._observed.progress.size_bytes + self._spilled_bytes(),
                is_embedded=not self._context.remote.is_remote(self._attempt.run.request.source),
                lost_directory=self._observed.lost_directory,
                missed_lease=self._observed.missed_lease,
                lacked=self._observed.shortage,
            ),
        )

    def _spilled_bytes(self) -> float:
        """Infinite where the engine does not tell: it may have filled the disk."""
        if self._observed.used is None:
            return 0
        return (
            math.inf
            if self._observed.used.spilled_bytes is None
            else self._observed.used.spilled_bytes
        )

    async def _is_source_up(self) -> bool:
        """Whether another attempt could start now."""
        return await self._context.sources.check(self._attempt.run.request.source)

    async def _write(self, detail: Failed | Requeued) -> Run:
        detail = replace(detail, usage=attempt_usage(self._observed.used, self._observed.progress))
        if isinstance(detail, Requeued):
            run = await self._context.store.requeue(self._attempt.ref, detail)
            charged = "yes" if detail.charge else "no"
            self._context.metrics.requeues.labels(detail.failure.code.value, charged).inc()
            return run
        return await self._context.store.fail(self._attempt.ref, detail)

    async def _write_stopped(
        self, outcome: Done | Failure | None, request: StopRequest | None, stop: ConfirmedStop
    ) -> Run:
        failure = outcome if isinstance(outcome, Failure) else None
        if request is None:
            return await self._write_failure(failure or reported_bug(None, self._log), None)
        match request.reason:
            case StopReason.USER | StopReason.ADMIN | StopReason.DISCONNECT:
                usage = attempt_usage(self._observed.used, self._observed.progress)
                steps = stop.steps_since(request.at_s)
                freed = Freed(stop.engine_stop, request.stage, usage, steps)
                return await self._context.store.freed(self._attempt.ref, freed)
            case StopReason.LIMIT:
                limit = self._observed.passed or failure or reported_bug(None, self._log)
                return await self._write_failure(limit, _stop_record(request, stop))
            case StopReason.TIMEOUT:
                limit = _time_limit_exceeded(self._time_limit_s)
                return await self._write_failure(limit, _stop_record(request, stop))
            case StopReason.SHUTDOWN:
                left = Failure(FailureCode.NODE_LOST, "The node is shutting down")
                return await self._write(on_shutdown(left, _stop_record(request, stop)))
            case StopReason.LEASE:
                lost = Failure(FailureCode.NODE_LOST, "The store was away for longer than a lease")
                stopped = _stop_record(request, stop)
                return await self._write(while_down(lost, self._context.retry, stopped))


def _stop_record(request: StopRequest, stop: ConfirmedStop) -> Cancellation:
    """The record of a stop that no caller of the API requested."""
    return Cancellation(
        request.at,
        request.reason,
        request.by,
        request.stage,
        stop.engine_stop,
        steps=stop.steps_since(request.at_s),
    )


def _file_of(done: Done, key: str) -> ResultFile:
    """The file's record. Columns that would make the run's row long are left out, all of them."""
    size = sum(len(name) + len(kind) for name, kind in done.columns)
    columns = done.columns if size <= _MAX_COLUMNS_CHARS else ()
    return ResultFile(key, done.size_bytes, done.sha256, done.rows, columns)


def _time_limit_exceeded(limit_s: float) -> Failure:
    """The contract's message (contract F10)."""
    return Failure(
        FailureCode.TIME_LIMIT_EXCEEDED, f"Query exceeded the maximum time limit of {limit_s:.2f}s"
    )

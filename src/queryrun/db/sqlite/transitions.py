"""How a run changes state. `move` is the only function of this store that writes `runs.state`.

It asks `runs.state.advance`, writes with a compare-and-set on the state and the attempt number,
and leaves one row of `run_events`. The other functions are the moves by name, each with what it
writes beside the state. All of them run inside one unit of the writer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from queryrun.db.rows import StoredRun
from queryrun.db.sqlite.rows import read_run, read_run_at
from queryrun.db.times import to_ms, to_ms_or_none
from queryrun.errors import Failure, LostRace, NotCancellable
from queryrun.runs.model import AttemptOutcome, AttemptRef, Cancellation, EngineStop, Run, Stage
from queryrun.runs.read import not_found
from queryrun.runs.state import RunEvent, RunState, advance
from queryrun.runs.store import CancelRequested, Completed, Failed, Freed, Requeued

_STOP_COLUMNS = (
    "cancel_requested_ms",
    "cancel_reason",
    "canceled_by",
    "cancel_stage",
    "cancel_engine_stop",
    "canceled_ms",
)
_COLUMNS: dict[RunEvent, tuple[str, ...]] = {
    RunEvent.CLAIM: ("started_ms",),
    RunEvent.COMPLETE: (
        "file_key",
        "file_size_bytes",
        "file_sha256",
        "file_rows",
        "processing_ms",
    ),
    RunEvent.FAIL: (
        "failure_code",
        "failure_message",
        "failure_line",
        "failure_column",
        *_STOP_COLUMNS,
    ),
    RunEvent.REQUEUE: ("ready_ms", "remaining_attempts"),
    RunEvent.CANCEL: _STOP_COLUMNS,
    RunEvent.FREED: ("cancel_stage", "cancel_engine_stop", "canceled_ms"),
}
"""What each event may change beside the state."""

UPDATES = {
    event: "UPDATE runs SET state = :after, attempt = :next_attempt, updated_ms = :at_ms, "
    + ", ".join(f"{column} = :{column}" for column in columns)
    + " WHERE seq = :seq AND state = :before AND attempt = :attempt"
    for event, columns in _COLUMNS.items()
}
_ADD_EVENT = (
    "INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)"
    " VALUES (:seq, :at_ms, :attempt, :event, :state, :detail)"
)
_END_ATTEMPT = (
    "UPDATE attempts SET ended_ms = :at_ms, outcome = :outcome, failure_code = :failure_code,"
    " failure_message = :failure_message, stop_requested_ms = :stop_requested_ms,"
    " stop_reason = :stop_reason, stop_by = :stop_by, stop_stage = :stop_stage,"
    " stop_engine = :stop_engine WHERE run_seq = :seq AND number = :number"
)


def move(
    connection: sqlite3.Connection,
    stored: StoredRun,
    event: RunEvent,
    values: Mapping[str, object],
    *,
    at_ms: int,
    detail: str | None = None,
) -> None:
    """Apply `event` to the run as it was read, or raise `LostRace` and write nothing.

    `values` are the columns of `_COLUMNS[event]`; `at_ms` is `stored.next_ms(now)`.
    """
    run = stored.run
    after = advance(run.state, event)
    attempt = run.attempt + 1 if event is RunEvent.CLAIM else run.attempt
    fence = {"seq": stored.seq, "before": run.state, "attempt": run.attempt}
    target = {"after": after, "next_attempt": attempt, "at_ms": at_ms}
    if connection.execute(UPDATES[event], {**values, **fence, **target}).rowcount != 1:
        raise LostRace(f"run {run.id} has moved on")
    history = {"seq": stored.seq, "at_ms": at_ms, "attempt": attempt, "detail": detail}
    connection.execute(_ADD_EVENT, {**history, "event": event, "state": after})


def record_creation(connection: sqlite3.Connection, seq: int, at_ms: int) -> None:
    """The first row of a run's history."""
    history = {"seq": seq, "at_ms": at_ms, "attempt": 0, "detail": None}
    connection.execute(_ADD_EVENT, {**history, "event": None, "state": RunState.ACCEPTED})


# --- the moves of an attempt ----------------------------------------------------------------


def complete(
    connection: sqlite3.Connection, ref: AttemptRef, detail: Completed, now_ms: int
) -> Run:
    """`in_progress` -> `complete`."""
    stored = _fenced(connection, ref)
    at_ms = stored.next_ms(now_ms)
    values = {
        "file_key": detail.file.key,
        "file_size_bytes": detail.file.size_bytes,
        "file_sha256": detail.file.sha256,
        "file_rows": detail.file.rows,
        "processing_ms": detail.processing_ms,
    }
    move(connection, stored, RunEvent.COMPLETE, values, at_ms=at_ms)
    _end_attempt(connection, stored, _Ending(AttemptOutcome.COMPLETE, at_ms))
    return read_run_at(connection, stored.seq).run


def fail(connection: sqlite3.Connection, ref: AttemptRef, detail: Failed, now_ms: int) -> Run:
    """`in_progress` -> `failed`."""
    stored = _fenced(connection, ref)
    at_ms, failure = stored.next_ms(now_ms), detail.failure
    values = {
        "failure_code": failure.code,
        "failure_message": failure.message,
        "failure_line": failure.line,
        "failure_column": failure.column,
        **_stop_values(detail.stop),
    }
    move(connection, stored, RunEvent.FAIL, values, at_ms=at_ms, detail=failure.code)
    _end_attempt(connection, stored, _Ending(AttemptOutcome.FAILED, at_ms, failure, detail.stop))
    return read_run_at(connection, stored.seq).run


def requeue(connection: sqlite3.Connection, ref: AttemptRef, detail: Requeued, now_ms: int) -> Run:
    """`in_progress` -> `accepted`; `LostRace` when there is no attempt left to charge."""
    stored = _fenced(connection, ref)
    at_ms, failure = stored.next_ms(now_ms), detail.failure
    remaining = stored.run.remaining_attempts - (1 if detail.charge else 0)
    if remaining < 0:
        raise LostRace(f"run {ref.run_id} has no attempts left")
    values = {"ready_ms": to_ms(detail.ready_time), "remaining_attempts": remaining}
    move(connection, stored, RunEvent.REQUEUE, values, at_ms=at_ms, detail=failure.code)
    _end_attempt(connection, stored, _Ending(AttemptOutcome.REQUEUED, at_ms, failure, detail.stop))
    return read_run_at(connection, stored.seq).run


def freed(connection: sqlite3.Connection, ref: AttemptRef, detail: Freed, now_ms: int) -> Run:
    """`canceling` -> `canceled`."""
    stored = _fenced(connection, ref)
    at_ms = stored.next_ms(now_ms)
    values = {
        "cancel_stage": detail.stage,
        "cancel_engine_stop": detail.engine_stop,
        "canceled_ms": at_ms,
    }
    move(connection, stored, RunEvent.FREED, values, at_ms=at_ms, detail=detail.engine_stop)
    run = read_run_at(connection, stored.seq).run
    _end_attempt(connection, stored, _Ending(AttemptOutcome.CANCELED, at_ms, stop=run.cancellation))
    return run


def _fenced(connection: sqlite3.Connection, ref: AttemptRef) -> StoredRun:
    """The run, when `ref` is its newest attempt."""
    stored = read_run(connection, ref.run_id)
    if stored is None or stored.run.attempt != ref.number:
        raise LostRace(f"attempt {ref.number} of run {ref.run_id} is no longer the newest")
    return stored


# --- cancel ---------------------------------------------------------------------------------


def cancel(
    connection: sqlite3.Connection, run_id: str, detail: CancelRequested, now_ms: int
) -> Run:
    """`accepted` -> `canceled`, `in_progress` -> `canceling`; `canceling` stays as it is."""
    stored = read_run(connection, run_id)
    if stored is None:
        raise not_found(run_id)
    if stored.run.state is RunState.CANCELING:
        return stored.run
    if stored.run.state.is_terminal:
        raise NotCancellable(run_id, stored.run.state)
    at_ms = stored.next_ms(now_ms)
    never_started = stored.run.state is RunState.ACCEPTED
    values = {
        "cancel_requested_ms": at_ms,
        "cancel_reason": detail.reason,
        "canceled_by": detail.canceled_by,
        "cancel_stage": Stage.QUEUED if never_started else None,
        "cancel_engine_stop": EngineStop.NEVER_STARTED if never_started else None,
        "canceled_ms": at_ms if never_started else None,
    }
    move(connection, stored, RunEvent.CANCEL, values, at_ms=at_ms, detail=detail.reason)
    return read_run_at(connection, stored.seq).run


# --- attempts -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an attempt ended."""

    outcome: AttemptOutcome
    at_ms: int
    failure: Failure | None = None
    stop: Cancellation | None = None


def _end_attempt(connection: sqlite3.Connection, stored: StoredRun, ending: _Ending) -> None:
    failure, stop = ending.failure, ending.stop
    values = {
        "seq": stored.seq,
        "number": stored.run.attempt,
        "at_ms": ending.at_ms,
        "outcome": ending.outcome,
        "failure_code": failure.code if failure else None,
        "failure_message": failure.message if failure else None,
        "stop_requested_ms": to_ms(stop.requested_time) if stop else None,
        "stop_reason": stop.reason if stop else None,
        "stop_by": stop.canceled_by if stop else None,
        "stop_stage": stop.stage if stop else None,
        "stop_engine": stop.engine_stop if stop else None,
    }
    connection.execute(_END_ATTEMPT, values)


def _stop_values(stop: Cancellation | None) -> dict[str, object]:
    if stop is None:
        return dict.fromkeys(_STOP_COLUMNS)
    return {
        "cancel_requested_ms": to_ms(stop.requested_time),
        "cancel_reason": stop.reason,
        "canceled_by": stop.canceled_by,
        "cancel_stage": stop.stage,
        "cancel_engine_stop": stop.engine_stop,
        "canceled_ms": to_ms_or_none(stop.canceled_time),
    }

"""How a run changes state. `change_state` is the only function here that writes `runs.state`.

It calls `runs.state.advance`, writes with a compare-and-set on the state and the attempt number,
and adds one row to `run_events` and what webhooks are told. The other functions are the individual
changes. All of them run inside one unit of the writer.
"""

from __future__ import annotations

import sqlite3

from queryrun.db.details import (
    cancel_values,
    complete_values,
    fail_values,
    freed_values,
    requeue_values,
)
from queryrun.db.rows import StoredRun, Values, event_values
from queryrun.db.sqlite.run_reads import read_run, read_run_at
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.usage import add_usage
from queryrun.db.sqlite.webhook_store import announce
from queryrun.errors import LostRace, NotCancellable
from queryrun.runs.model import ATTEMPT_OUTCOMES, AttemptRef, Run
from queryrun.runs.read import not_found
from queryrun.runs.state import RunEvent, RunState, advance
from queryrun.runs.store import CancelRequested, Completed, Failed, Freed, Requeued

UPDATES = {event: SQL[f"update_{event}"] for event in RunEvent}


def change_state(
    connection: sqlite3.Connection, stored: StoredRun, event: RunEvent, values: Values, at_ms: int
) -> StoredRun:
    """Apply `event` to the run as it was read and return the changed run.

    `values` are what the event's statement binds, and the event record's `detail`; `at_ms` is
    `stored.next_ms(now)`. `LostRace` when the run has changed since; nothing is written then.
    """
    run = stored.run
    after = advance(run.state, event)
    attempt = run.attempt + 1 if event is RunEvent.CLAIM else run.attempt
    fence = {"seq": stored.seq, "before": run.state, "attempt": run.attempt}
    target = {"after": after, "next_attempt": attempt, "at_ms": at_ms}
    if connection.execute(UPDATES[event], {**values, **fence, **target}).rowcount != 1:
        raise LostRace(f"run {run.id} has changed since it was read")
    record = {"seq": stored.seq, "at_ms": at_ms, "attempt": attempt, "detail": values["detail"]}
    connection.execute(SQL["add_event"], {**record, "event": event, "state": after})
    changed = read_run_at(connection, stored.seq)
    announce(connection, stored.seq, changed.run, event, at_ms)
    return changed


def record_creation(connection: sqlite3.Connection, seq: int, run: Run, at_ms: int) -> None:
    """The first row of a run's history."""
    record = {"seq": seq, "at_ms": at_ms, "attempt": 0, "detail": None}
    connection.execute(SQL["add_event"], {**record, "event": None, "state": RunState.ACCEPTED})
    announce(connection, seq, run, None, at_ms)


# --- changes that finish an attempt ---------------------------------------------------------


def complete(
    connection: sqlite3.Connection, ref: AttemptRef, detail: Completed, now_ms: int
) -> Run:
    """`in_progress` -> `complete`."""
    return _end(connection, ref, RunEvent.COMPLETE, complete_values(detail), now_ms)


def fail(connection: sqlite3.Connection, ref: AttemptRef, detail: Failed, now_ms: int) -> Run:
    """`in_progress` -> `failed`."""
    return _end(connection, ref, RunEvent.FAIL, fail_values(detail), now_ms)


def requeue(connection: sqlite3.Connection, ref: AttemptRef, detail: Requeued, now_ms: int) -> Run:
    """`in_progress` -> `accepted`; `LostRace` when there is no attempt left to charge."""
    stored = _fenced(connection, ref)
    if detail.charge and stored.run.remaining_attempts == 0:
        raise LostRace(f"run {ref.run_id} has no attempts left")
    values = requeue_values(detail)
    ready = {"ready_ms": now_ms + round(detail.delay_s * 1000)}
    return _end(connection, ref, RunEvent.REQUEUE, {**values, **ready}, now_ms)


def freed(connection: sqlite3.Connection, ref: AttemptRef, detail: Freed, now_ms: int) -> Run:
    """`canceling` -> `canceled`."""
    return _end(connection, ref, RunEvent.FREED, freed_values(detail), now_ms)


def _end(
    connection: sqlite3.Connection,
    ref: AttemptRef,
    event: RunEvent,
    values: Values,
    now_ms: int,
) -> Run:
    """Change the state of the attempt's run and finish the attempt.

    The attempt of a run that is freed gets the stop from the run: the request was recorded with
    the cancel, and this event adds only how it was stopped.
    """
    stored = _fenced(connection, ref)
    at_ms = stored.next_ms(now_ms)
    changed = change_state(connection, stored, event, values, at_ms).run
    source = changed if event is RunEvent.FREED else None
    kept = {**event_values(RunEvent.FAIL, source), **values}
    end = {"seq": stored.seq, "number": ref.number, "at_ms": at_ms}
    connection.execute(SQL["end_attempt"], {**kept, **end, "outcome": ATTEMPT_OUTCOMES[event]})
    if changed.file is not None:
        size = changed.file.size_bytes
        add_usage(connection, changed.request, now_ms, result_bytes=size, written_bytes=size)
    else:
        (written,) = connection.execute(SQL["written_by_attempt"], end).fetchone()
        add_usage(connection, changed.request, now_ms, written_bytes=written)
    connection.execute(SQL["record_usage"], {**values, **end})
    return changed


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
    return change_state(connection, stored, RunEvent.CANCEL, cancel_values(detail), at_ms).run

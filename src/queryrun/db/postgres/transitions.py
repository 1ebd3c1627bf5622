"""How a run changes state, on PostgreSQL: each move is one statement, so one round trip.

The statement compares and sets (the state that `runs.state.TRANSITIONS` lets the event begin from,
and the attempt's number), leaves one row of `run_events`, ends the attempt where the move does, and
returns the run. The claim, which chooses what it moves, is in `functions.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from queryrun.db.postgres.connect import Connection
from queryrun.db.rows import RUN_COLUMNS, stored_run
from queryrun.db.times import to_ms, to_ms_or_none
from queryrun.errors import Failure, LostRace
from queryrun.runs.model import ATTEMPT_OUTCOMES, AttemptRef, Cancellation, EngineStop, Run, Stage
from queryrun.runs.state import TRANSITIONS, RunEvent, RunState, sources_of
from queryrun.runs.store import CancelRequested, Completed, Failed, Freed, Requeued

_INTEGERS = frozenset(
    {
        "file_size_bytes",
        "file_rows",
        "processing_ms",
        "failure_line",
        "failure_column",
        "cancel_requested_ms",
        "canceled_ms",
        "ready_ms",
        "stop_requested_ms",
    }
)


def _bound(column: str, parameter: str | None = None) -> str:
    kind = "bigint" if column in _INTEGERS else "text"
    return f"{column} = %({parameter or column})s::{kind}"


AT = "greatest((SELECT ms FROM clock), r.updated_ms + 1)"
"""The time of a run's next change: now, yet always after its last change."""

_STOP_COLUMNS = (
    "cancel_requested_ms",
    "cancel_reason",
    "canceled_by",
    "cancel_stage",
    "cancel_engine_stop",
    "canceled_ms",
)
_FAILURE_COLUMNS = ("failure_code", "failure_message", "failure_line", "failure_column")
_FILE_COLUMNS = ("file_key", "file_size_bytes", "file_sha256", "file_rows", "processing_ms")
_QUEUED = f"r.state = '{RunState.ACCEPTED}'"
_CHANGES: dict[RunEvent, tuple[str, ...]] = {
    RunEvent.COMPLETE: tuple(map(_bound, _FILE_COLUMNS)),
    RunEvent.FAIL: tuple(map(_bound, (*_FAILURE_COLUMNS, *_STOP_COLUMNS))),
    RunEvent.REQUEUE: (
        _bound("ready_ms"),
        "remaining_attempts = r.remaining_attempts - %(charge)s",
    ),
    RunEvent.CANCEL: (
        f"cancel_requested_ms = {AT}",
        _bound("cancel_reason"),
        _bound("canceled_by"),
        f"cancel_stage = CASE WHEN {_QUEUED} THEN '{Stage.QUEUED}' END",
        f"cancel_engine_stop = CASE WHEN {_QUEUED} THEN '{EngineStop.NEVER_STARTED}' END",
        f"canceled_ms = CASE WHEN {_QUEUED} THEN {AT} END",
    ),
    RunEvent.FREED: (
        _bound("cancel_stage"),
        _bound("cancel_engine_stop"),
        f"canceled_ms = {AT}",
    ),
}
"""What each event changes beside the state."""

_FENCES = {
    RunEvent.REQUEUE: " AND r.attempt = %(number)s AND r.remaining_attempts >= %(charge)s",
    RunEvent.CANCEL: "",  # whoever holds it
}
_FENCE = " AND r.attempt = %(number)s"

_ATTEMPT_COLUMNS = ("failure_code", "failure_message")
_ATTEMPT_STOP = {
    "stop_requested_ms": "cancel_requested_ms",
    "stop_reason": "cancel_reason",
    "stop_by": "canceled_by",
    "stop_stage": "cancel_stage",
    "stop_engine": "cancel_engine_stop",
}


def state_of(run: str) -> str:
    """The state of a run that is looked up by its id.

    Written so that the planner does not take the condition for an invitation to read one of the
    partial indexes on the state, which look small to it and are full of what has moved on.
    """
    return f"({run}.state || '')"


def move_sql(event: RunEvent, now: str) -> str:
    """The one statement that moves a run by `event`: its columns as they are then, or no row."""
    after = "".join(
        f" WHEN '{state}' THEN '{TRANSITIONS[state, event]}'" for state in sorted(sources_of(event))
    )
    before = ", ".join(f"'{state}'" for state in sorted(sources_of(event)))
    return f"""
WITH clock AS MATERIALIZED (SELECT {now} AS ms), moved AS (
    UPDATE runs r SET state = CASE r.state{after} END, updated_ms = {AT},
        {", ".join(_CHANGES[event])}
    WHERE r.id = %(run_id)s AND {state_of("r")} IN ({before}){_FENCES.get(event, _FENCE)}
    RETURNING r.*
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, updated_ms, attempt, '{event}', state, %(detail)s::text FROM moved
){_ending(event)}
SELECT {RUN_COLUMNS} FROM moved r JOIN run_requests q ON q.run_seq = r.seq
"""


def _ending(event: RunEvent) -> str:
    """The part that ends the attempt; empty for a cancel, which ends none."""
    if event not in ATTEMPT_OUTCOMES:
        return ""
    freed = event is RunEvent.FREED
    stop = (
        f"{column} = m.{of_run}" if freed else _bound(column, of_run)
        for column, of_run in _ATTEMPT_STOP.items()
    )
    return f""", ended AS (
    UPDATE attempts a SET ended_ms = m.updated_ms, outcome = '{ATTEMPT_OUTCOMES[event]}',
        {", ".join(map(_bound, _ATTEMPT_COLUMNS))}, {", ".join(stop)}
    FROM moved m WHERE a.run_seq = m.seq AND a.number = m.attempt
)"""


def moved(connection: Connection, statement: str, values: Mapping[str, object]) -> Run | None:
    """Run a statement of `move_sql`; None when the run was not as the event needs it."""
    row = connection.execute(statement, values).fetchone()
    return None if row is None else stored_run(row).run


def reported(
    connection: Connection, statement: str, ref: AttemptRef, values: Mapping[str, object]
) -> Run:
    """A move that an attempt asks for; `LostRace` when it comes too late."""
    run = moved(connection, statement, {**values, "run_id": ref.run_id, "number": ref.number})
    if run is None:
        raise LostRace(f"attempt {ref.number} of run {ref.run_id} comes too late")
    return run


# --- what is bound ---------------------------------------------------------------------------


def complete_values(detail: Completed) -> dict[str, object]:
    """For `complete`."""
    file = detail.file
    return {
        "file_key": file.key,
        "file_size_bytes": file.size_bytes,
        "file_sha256": file.sha256,
        "file_rows": file.rows,
        "processing_ms": detail.processing_ms,
        "detail": None,
        **_failure_values(None),
        **_stop_values(None),
    }


def fail_values(detail: Failed) -> dict[str, object]:
    """For `fail`."""
    failure = _failure_values(detail.failure)
    return {**failure, **_stop_values(detail.stop), "detail": detail.failure.code.value}


def requeue_values(detail: Requeued) -> dict[str, object]:
    """For `requeue`."""
    return {
        "ready_ms": to_ms(detail.ready_time),
        "charge": 1 if detail.charge else 0,
        "detail": detail.failure.code.value,
        **_failure_values(detail.failure),
        **_stop_values(detail.stop),
    }


def freed_values(detail: Freed) -> dict[str, object]:
    """For `freed`; the attempt's stop is that of the run."""
    return {
        "cancel_stage": detail.stage,
        "cancel_engine_stop": detail.engine_stop,
        "detail": detail.engine_stop.value,
        **_failure_values(None),
    }


def cancel_values(run_id: str, detail: CancelRequested) -> dict[str, object]:
    """For `cancel`."""
    return {
        "run_id": run_id,
        "cancel_reason": detail.reason,
        "canceled_by": detail.canceled_by,
        "detail": detail.reason.value,
    }


def _failure_values(failure: Failure | None) -> dict[str, object]:
    if failure is None:
        return dict.fromkeys(_FAILURE_COLUMNS)
    place = {"failure_line": failure.line, "failure_column": failure.column}
    return {"failure_code": failure.code, "failure_message": failure.message, **place}


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

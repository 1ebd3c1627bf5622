"""The statements of the run store, each with the expression for the time put in once."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.db.postgres.functions import groups_sql
from queryrun.db.postgres.idempotency import RESERVE, find_sql
from queryrun.db.postgres.transitions import move_sql, state_of
from queryrun.db.rows import ATTEMPT_COLUMNS, PROGRESS_COLUMNS, RUN_COLUMNS, created_columns
from queryrun.runs.fields import FieldKind, Table
from queryrun.runs.state import RunEvent

_LIVES = "coalesce(a.ended_ms, 0) = 0"
"""Of an attempt that is looked up by its key; see `transitions.state_of`."""
_RUNS = "runs r JOIN run_requests q ON q.run_seq = r.seq"
RUN_BY_ID = f"SELECT {RUN_COLUMNS} FROM {_RUNS} WHERE r.id = %s"
RUNS_AT = f"SELECT {RUN_COLUMNS} FROM {_RUNS} WHERE r.seq = ANY (%s::bigint[])"
CLAIM = (
    "SELECT run_seq, number, at_ms, lease_until_ms FROM"
    " pg_temp.claim_runs(%s::text, %s, %s::text[], %s::bigint[], %s)"
)
FORGET_KEY = (
    "DELETE FROM idempotency_keys WHERE tenant_id = %s AND idempotency_key = %s AND run_id = %s"
)
SAVE_HANDLE = (
    "UPDATE attempts a SET handle = %s, file_key = %s FROM runs r"
    f" WHERE r.id = %s AND r.attempt = %s AND {state_of('r')} = 'in_progress'"
    " AND a.run_seq = r.seq AND a.number = r.attempt"
)
MOVES = (
    "SELECT at_ms, attempt, event, state, detail FROM run_events"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = %s) ORDER BY at_ms"
)
POSITION = (
    "SELECT (SELECT count(*) FROM runs b WHERE b.state = 'accepted' AND b.source = r.source"
    " AND b.tenant_id = r.tenant_id AND b.entity_id = r.entity_id"
    " AND (b.ready_ms, b.seq) < (r.ready_ms, r.seq))"
    f" FROM runs r WHERE r.id = %s AND {state_of('r')} = 'accepted'"
)
PROGRESS = (
    f"SELECT {PROGRESS_COLUMNS} FROM runs r JOIN attempts a ON a.run_seq = r.seq"
    f" AND a.number = r.attempt WHERE r.id = %s AND {_LIVES} AND a.progress_stage IS NOT NULL"
)
COUNTS = (
    "SELECT source, state, count(*) FROM runs WHERE state = 'accepted' GROUP BY source, state"
    " UNION ALL SELECT source, state, count(*) FROM runs"
    " WHERE state IN ('in_progress', 'canceling') GROUP BY source, state"
)
REMOVE_ENDED = """
WITH gone AS MATERIALIZED (
    SELECT seq, id, file_key FROM runs
    WHERE state IN ('complete', 'failed', 'canceled') AND updated_ms < %s
    ORDER BY updated_ms LIMIT %s FOR UPDATE SKIP LOCKED
), events AS (
    DELETE FROM run_events e USING gone g WHERE e.run_seq = g.seq
), tried AS (
    DELETE FROM attempts a USING gone g WHERE a.run_seq = g.seq RETURNING a.run_seq, a.file_key
), asked AS (
    DELETE FROM run_requests q USING gone g WHERE q.run_seq = g.seq
), removed AS (
    DELETE FROM runs r USING gone g WHERE r.seq = g.seq RETURNING r.seq
)
SELECT g.id, array(
    SELECT g.file_key WHERE g.file_key IS NOT NULL
    UNION SELECT t.file_key FROM tried t WHERE t.run_seq = g.seq AND t.file_key IS NOT NULL)
FROM gone g JOIN removed USING (seq)
"""
_TYPES = {
    FieldKind.INTEGER: "bigint",
    FieldKind.TIME: "bigint",
    FieldKind.NUMBER: "double precision",
}


def _columns(table: Table) -> str:
    return ", ".join(field.column for field in created_columns(table))


def _bound(table: Table) -> str:
    """What these columns hold in a new run, whose times are the statement's."""
    return ", ".join(
        "clock.ms"
        if field.kind is FieldKind.TIME
        else f"%({field.column})s::{_TYPES.get(field.kind, 'text')}"
        for field in created_columns(table)
    )


_ADD = f"""
added AS (
    INSERT INTO runs ({_columns(Table.RUNS)})
    SELECT {_bound(Table.RUNS)} FROM clock, {{after}}
    RETURNING seq, created_ms
), request AS (
    INSERT INTO run_requests (run_seq, {_columns(Table.RUN_REQUESTS)})
    SELECT seq, {_bound(Table.RUN_REQUESTS)} FROM added
), history AS (
    INSERT INTO run_events (run_seq, at_ms, attempt, event, state, detail)
    SELECT seq, created_ms, 0, NULL, 'accepted', NULL FROM added
)
SELECT (SELECT count(*) FROM room), (SELECT max(created_ms) FROM added)
"""
_ROOM = """room AS MATERIALIZED (
    SELECT 1 WHERE pg_temp.queue_has_room(%(source)s, %(tenant_id)s, %(queue_limit)s)
)"""


@dataclass(frozen=True, slots=True)
class Statements:
    """Those that need the time."""

    accept: str
    accept_idempotent: str
    find_key: str
    reserve_key: str
    cancel: str
    complete: str
    fail: str
    requeue: str
    freed: str
    extend: str
    expired_leases: str
    end_other_leases: str
    take_over: str
    next_ready: str


def statements(now: str) -> Statements:
    """All of them, for one expression of the time in milliseconds."""
    clock = f"WITH clock AS MATERIALIZED (SELECT {now} AS ms)"
    given = "WITH clock AS MATERIALIZED (SELECT %(now_ms)s::bigint AS ms)"
    reserve_in_room = RESERVE.format(also=", room")
    return Statements(
        accept=f"{clock}, {_ROOM}, {_ADD.format(after='room')}",
        accept_idempotent=(
            f"{given}, {_ROOM}, taken AS ({reserve_in_room}), {_ADD.format(after='taken')}"
        ),
        find_key=find_sql(now),
        reserve_key=clock + RESERVE.format(also=""),
        cancel=move_sql(RunEvent.CANCEL, now),
        complete=move_sql(RunEvent.COMPLETE, now),
        fail=move_sql(RunEvent.FAIL, now),
        requeue=move_sql(RunEvent.REQUEUE, now),
        freed=move_sql(RunEvent.FREED, now),
        # Nothing is left to a guess of the planner: ids to runs, and those to their attempts.
        extend=f"""{clock}, mine AS MATERIALIZED (
    SELECT named.*, run.seq, run.state
    FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::float8[], %s::bigint[], %s::bigint[])
        AS named (run_id, number, stage, percent, written, size_bytes)
    CROSS JOIN LATERAL (SELECT seq, state FROM runs WHERE id = named.run_id OFFSET 0) run
)
UPDATE attempts a SET lease_until_ms = (SELECT ms FROM clock) + %s,
    progress_stage = coalesce(mine.stage, a.progress_stage),
    progress_percent = CASE WHEN mine.stage IS NULL THEN a.progress_percent ELSE mine.percent END,
    progress_rows = coalesce(mine.written, a.progress_rows),
    progress_size_bytes = coalesce(mine.size_bytes, a.progress_size_bytes)
FROM mine WHERE a.run_seq = mine.seq AND a.number = mine.number
    AND a.node || '' = %s AND {_LIVES}
RETURNING mine.run_id, mine.number, mine.state""",
        expired_leases=f"""{clock}, late AS MATERIALIZED (
    SELECT * FROM attempts
    WHERE ended_ms IS NULL AND node >= '' AND lease_until_ms <= (SELECT ms FROM clock)
    ORDER BY lease_until_ms, run_seq LIMIT %s
)
SELECT {RUN_COLUMNS}, {ATTEMPT_COLUMNS} FROM late a
JOIN runs r ON r.seq = a.run_seq JOIN run_requests q ON q.run_seq = r.seq
ORDER BY a.lease_until_ms, a.run_seq""",
        end_other_leases=f"""{clock}
UPDATE attempts SET lease_until_ms = least(lease_until_ms, (SELECT ms FROM clock))
WHERE ended_ms IS NULL AND node <> %s""",
        take_over=f"""{clock}
UPDATE attempts a SET node = %s, lease_until_ms = (SELECT ms FROM clock) + %s,
    progress_stage = NULL
FROM runs r WHERE r.id = %s AND r.attempt = %s AND a.run_seq = r.seq AND a.number = r.attempt
    AND {_LIVES} AND a.lease_until_ms <= (SELECT ms FROM clock)""",
        next_ready=f"""
WITH RECURSIVE clock AS MATERIALIZED (SELECT {now} AS ms),
wanted AS (SELECT unnest(%s::text[]) AS source), {groups_sql()}
SELECT min(later.ready_ms) FROM groups g CROSS JOIN LATERAL (
    SELECT r.ready_ms FROM runs r
    WHERE r.state = 'accepted' AND r.source = g.source AND r.tenant_id = g.tenant_id
        AND r.entity_id = g.entity_id AND r.ready_ms > (SELECT ms FROM clock)
    ORDER BY r.ready_ms LIMIT 1) later""",
    )

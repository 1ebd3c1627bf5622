"""RunStore on SQLite. `transitions.py` changes states, `claims.py` chooses what to claim."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from queryrun.db.rows import (
    ATTEMPT_COLUMNS,
    PROGRESS_COLUMNS,
    RUN_COLUMNS,
    attempt_of,
    created_columns,
    creation_values,
    event_record_of,
    progress_of,
    progress_values,
)
from queryrun.db.sqlite import claims, transitions
from queryrun.db.sqlite import idempotency as keys
from queryrun.db.sqlite.list_query import find
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.rows import read_run
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import from_ms, to_ms
from queryrun.errors import IdempotencyInFlight, LostRace, QueueFull, Unavailable
from queryrun.runs.fields import Table
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    IdempotentWrite,
    Run,
    RunEventRecord,
    RunRequest,
)
from queryrun.runs.state import RunState
from queryrun.runs.store import (
    Accepted,
    CancelRequested,
    ClaimLimits,
    Completed,
    Failed,
    Freed,
    HeldAttempt,
    RemovedRun,
    Requeued,
    RunPage,
    RunQuery,
)

QUEUE_FULL_RETRY_AFTER_S = 5
"""What a caller is told to wait when its queue is full: about the time of a short run."""


def _insert(table: Table, *more: str) -> str:
    columns = [*more, *(field.column for field in created_columns(table))]
    bound = ", ".join(f":{column}" for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({bound})"


_ADD_RUN = _insert(Table.RUNS)
_ADD_REQUEST = _insert(Table.RUN_REQUESTS, "run_seq")
QUEUE_REACHES = (
    "SELECT 1 FROM runs WHERE state = 'accepted' AND source = ? AND tenant_id = ? LIMIT 1 OFFSET ?"
)
_SAVE_HANDLE = (
    "UPDATE attempts SET handle = ?, file_key = ?"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = ? AND attempt = ?"
    " AND state = 'in_progress') AND number = ?"
)
EXTEND = (
    "UPDATE attempts SET lease_until_ms = :until_ms,"
    " progress_stage = coalesce(:stage, progress_stage),"
    " progress_percent = CASE WHEN :stage IS NULL THEN progress_percent ELSE :percent END,"
    " progress_rows = coalesce(:rows, progress_rows),"
    " progress_size_bytes = coalesce(:size_bytes, progress_size_bytes)"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = :run_id) AND number = :number"
    " AND node = :node AND ended_ms IS NULL"
)
_PROGRESS_NAMES = ("stage", "percent", "rows", "size_bytes")
PROGRESS = (
    f"SELECT {PROGRESS_COLUMNS} FROM runs r JOIN attempts a ON a.run_seq = r.seq"
    " AND a.number = r.attempt"
    " WHERE r.id = ? AND a.ended_ms IS NULL AND a.progress_stage IS NOT NULL"
)
HELD = "SELECT state FROM runs WHERE id = ? AND attempt = ?"
_END_OTHER_LEASES = (
    "UPDATE attempts SET lease_until_ms = min(lease_until_ms, ?)"
    " WHERE ended_ms IS NULL AND node <> ?"
)
LAPSED = (
    f"SELECT {RUN_COLUMNS}, {ATTEMPT_COLUMNS} FROM attempts a INDEXED BY attempts_live"
    " JOIN runs r ON r.seq = a.run_seq JOIN run_requests q ON q.run_seq = r.seq"
    " WHERE a.ended_ms IS NULL AND a.lease_until_ms <= ?"
    " ORDER BY a.lease_until_ms, a.run_seq LIMIT ?"
)
_TAKE_OVER = (
    "UPDATE attempts SET node = ?, lease_until_ms = ?, progress_stage = NULL"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = ? AND attempt = ?) AND number = ?"
    " AND ended_ms IS NULL AND lease_until_ms <= ?"
)
_MOVES = (
    "SELECT at_ms, attempt, event, state, detail FROM run_events"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = ?) ORDER BY at_ms"
)
POSITION = (
    "SELECT (SELECT count(*) FROM runs b WHERE b.state = 'accepted' AND b.source = r.source"
    " AND b.tenant_id = r.tenant_id AND b.entity_id = r.entity_id"
    " AND (b.ready_ms, b.seq) < (r.ready_ms, r.seq))"
    " FROM runs r WHERE r.id = ? AND r.state = 'accepted'"
)
COUNTS = (
    "SELECT source, state, count(*) FROM runs WHERE state = 'accepted' GROUP BY source"
    " UNION ALL SELECT source, state, count(*) FROM runs"
    " WHERE state IN ('in_progress', 'canceling') GROUP BY source, state"
)
ENDED = (
    "SELECT seq, id FROM runs WHERE state IN ('complete', 'failed', 'canceled')"
    " AND updated_ms < ? ORDER BY updated_ms LIMIT ?"
)
_FILE_KEYS = (
    "SELECT file_key FROM runs WHERE seq = :seq AND file_key IS NOT NULL"
    " UNION SELECT file_key FROM attempts WHERE run_seq = :seq AND file_key IS NOT NULL"
)
_REMOVE = (
    "DELETE FROM run_events WHERE run_seq = ?",
    "DELETE FROM attempts WHERE run_seq = ?",
    "DELETE FROM run_requests WHERE run_seq = ?",
    "DELETE FROM runs WHERE seq = ?",
)


class SqliteRunStore:
    """RunStore on SQLite: writes go through the one writer, reads straight to the file."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now

    def _now_ms(self) -> int:
        return to_ms(self._now())

    # --- requests ---------------------------------------------------------------------------

    async def accept(
        self,
        request: RunRequest,
        *,
        run_id: str,
        queue_limit: int,
        idempotent: IdempotentWrite | None = None,
    ) -> Accepted:
        """Write a new run, `accepted`, durably, and return it."""

        def unit(connection: sqlite3.Connection) -> Accepted:
            now_ms = self._now_ms()
            if (
                idempotent is not None
                and (replay := _replay(connection, idempotent, now_ms)) is not None
            ):
                return replay
            _check_queue(connection, request, queue_limit)
            run = _add_run(connection, request, run_id, now_ms)
            if idempotent is not None:
                keys.store_response(connection, idempotent, run, now_ms)
            return Accepted(run)

        return await self._writer.write(unit, durable=True)

    async def cancel(
        self, run_id: str, detail: CancelRequested, *, idempotent: IdempotentWrite | None = None
    ) -> Run:
        """`accepted` -> `canceled`, or `in_progress` -> `canceling`."""

        def unit(connection: sqlite3.Connection) -> Run:
            now_ms = self._now_ms()
            if idempotent is not None:
                _refuse_used(connection, idempotent, now_ms)
            run = transitions.cancel(connection, run_id, detail, now_ms)
            if idempotent is not None:
                keys.store_reserved(connection, idempotent, run, now_ms)
            return run

        return await self._writer.write(unit, durable=True)

    # --- reads ------------------------------------------------------------------------------

    async def get(self, run_id: str) -> Run | None:
        """The run as last written, or None."""
        stored = self._reader.read(lambda db: read_run(db, run_id))
        return stored.run if stored else None

    async def find(self, query: RunQuery) -> RunPage:
        """Runs that match, newest (or oldest) first."""
        return await self._reader.scan(lambda db: find(db, query))

    async def events(self, run_id: str) -> list[RunEventRecord]:
        """The run's history, oldest first."""
        rows = self._reader.read(lambda db: db.execute(_MOVES, (run_id,)).fetchall())
        return [event_record_of(run_id, row) for row in rows]

    async def progress(self, run_id: str) -> AttemptProgress | None:
        """How far the run's attempt was when its lease was last extended."""
        row = self._reader.read(lambda db: db.execute(PROGRESS, (run_id,)).fetchone())
        return None if row is None else progress_of(row)

    async def queue_position(self, run_id: str) -> int | None:
        """How many runs of the same entity and source stand before this one."""
        row = await self._reader.scan(lambda db: db.execute(POSITION, (run_id,)).fetchone())
        return None if row is None else int(row[0])

    async def counts(self) -> dict[tuple[str, RunState], int]:
        """Runs that have not ended, by source and state."""
        rows = await self._reader.scan(lambda db: db.execute(COUNTS).fetchall())
        return {(source, RunState(state)): count for source, state, count in rows}

    async def healthy(self) -> bool:
        """True when the store answers a trivial read."""
        try:
            return self._reader.read(lambda db: db.execute("SELECT 1").fetchone()) is not None
        except Unavailable:
            return False

    # --- attempts ---------------------------------------------------------------------------

    async def claim(self, node: str, *, lease_s: float, limits: ClaimLimits) -> list[Attempt]:
        """Take up to `limits.free_slots` waiting runs and start an attempt on each."""

        def unit(connection: sqlite3.Connection) -> list[Attempt]:
            now_ms = self._now_ms()
            claimant = claims.Claimant(node, now_ms, now_ms + _ms(lease_s))
            return claims.claim(connection, claimant, limits)

        return await self._writer.write(unit, durable=False)

    async def next_ready_time(self, sources: Sequence[str]) -> datetime | None:
        """When the earliest run waiting out a back-off becomes ready."""
        ready_ms = self._reader.read(lambda db: claims.next_ready_ms(db, sources, self._now_ms()))
        return None if ready_ms is None else from_ms(ready_ms)

    async def save_handle(self, ref: AttemptRef, *, handle: str, file_key: str) -> None:
        """Record how any process can stop this attempt's work and which file it may leave."""

        def unit(connection: sqlite3.Connection) -> None:
            values = handle, file_key, ref.run_id, ref.number, ref.number
            if connection.execute(_SAVE_HANDLE, values).rowcount != 1:
                raise LostRace(f"attempt {ref.number} of run {ref.run_id} may not start")

        await self._writer.write(unit, durable=False)

    async def extend(
        self,
        node: str,
        refs: Sequence[AttemptRef],
        *,
        lease_s: float,
        progress: Mapping[AttemptRef, AttemptProgress] | None = None,
    ) -> list[HeldAttempt]:
        """Renew the leases of these attempts of `node`, keep how far they are, and say in which
        state each run is."""

        def unit(connection: sqlite3.Connection) -> list[HeldAttempt]:
            until_ms = self._now_ms() + _ms(lease_s)
            lease = {"node": node, "until_ms": until_ms}
            renewed = [
                ref for ref in refs if _extend(connection, ref, lease, (progress or {}).get(ref))
            ]
            return [HeldAttempt(ref, _state_at(connection, ref)) for ref in renewed]

        return await self._writer.write(unit, durable=False)

    async def complete(self, ref: AttemptRef, detail: Completed) -> Run:
        """`in_progress` -> `complete`."""
        return await self._writer.write(
            lambda db: transitions.complete(db, ref, detail, self._now_ms()), durable=True
        )

    async def fail(self, ref: AttemptRef, detail: Failed) -> Run:
        """`in_progress` -> `failed`."""
        return await self._writer.write(
            lambda db: transitions.fail(db, ref, detail, self._now_ms()), durable=True
        )

    async def requeue(self, ref: AttemptRef, detail: Requeued) -> Run:
        """`in_progress` -> `accepted`."""
        return await self._writer.write(
            lambda db: transitions.requeue(db, ref, detail, self._now_ms()), durable=False
        )

    async def freed(self, ref: AttemptRef, detail: Freed) -> Run:
        """`canceling` -> `canceled`."""
        return await self._writer.write(
            lambda db: transitions.freed(db, ref, detail, self._now_ms()), durable=True
        )

    # --- the reaper -------------------------------------------------------------------------

    async def expired_leases(
        self, *, exclude_node: str | None = None, limit: int = 100
    ) -> list[Attempt]:
        """Attempts whose lease has run out, oldest first."""

        def unit(connection: sqlite3.Connection) -> list[Attempt]:
            now_ms = self._now_ms()
            if exclude_node is not None:
                connection.execute(_END_OTHER_LEASES, (now_ms, exclude_node))
            rows = connection.execute(LAPSED, (now_ms, limit)).fetchall()
            return [attempt_of(row) for row in rows]

        if exclude_node is None:
            return self._reader.read(unit)
        return await self._writer.write(unit, durable=False)

    async def take_over(self, ref: AttemptRef, node: str, *, lease_s: float) -> bool:
        """Give a lapsed attempt's lease to `node`."""

        def unit(connection: sqlite3.Connection) -> bool:
            now_ms = self._now_ms()
            lease = node, now_ms + _ms(lease_s)
            fence = ref.run_id, ref.number, ref.number, now_ms
            return connection.execute(_TAKE_OVER, (*lease, *fence)).rowcount == 1

        return await self._writer.write(unit, durable=False)

    async def remove_expired(self, *, ended_before: datetime, limit: int) -> list[RemovedRun]:
        """Delete ended runs whose last change is before `ended_before`, with their history."""
        before_ms = to_ms(ended_before)
        return await self._writer.write(
            lambda db: _remove_ended(db, before_ms, limit), durable=False
        )


def _extend(
    connection: sqlite3.Connection,
    ref: AttemptRef,
    lease: dict[str, object],
    progress: AttemptProgress | None,
) -> bool:
    """Renew one lease, and keep how far the attempt is; False when it is not this node's."""
    known = dict(zip(_PROGRESS_NAMES, progress_values(progress), strict=True))
    values = {**lease, "run_id": ref.run_id, "number": ref.number, **known}
    return connection.execute(EXTEND, values).rowcount == 1


def _state_at(connection: sqlite3.Connection, ref: AttemptRef) -> RunState:
    (state,) = connection.execute(HELD, (ref.run_id, ref.number)).fetchone()
    return RunState(state)


def _ms(duration_s: float) -> int:
    return round(duration_s * 1000)


def _replay(connection: sqlite3.Connection, write: IdempotentWrite, now_ms: int) -> Accepted | None:
    """The first run and answer under this key; None when the key, or that run, is gone."""
    record = keys.find_key(connection, write.idempotency_key, now_ms)
    if record is None:
        return None
    if record.run_id is None:
        raise IdempotencyInFlight("this key was completed a moment ago; try again")
    stored = read_run(connection, record.run_id)
    return Accepted(stored.run, record.response) if stored else None


def _refuse_used(connection: sqlite3.Connection, write: IdempotentWrite, now_ms: int) -> None:
    if keys.find_key(connection, write.idempotency_key, now_ms) is not None:
        raise IdempotencyInFlight("this key was completed a moment ago; try again")


def _check_queue(connection: sqlite3.Connection, request: RunRequest, limit: int) -> None:
    if limit == 0:
        return
    values = request.source, request.tenant_id, limit - 1
    if connection.execute(QUEUE_REACHES, values).fetchone() is not None:
        raise QueueFull(
            f"{limit} query runs are waiting on {request.source} already",
            QUEUE_FULL_RETRY_AFTER_S,
        )


def _add_run(connection: sqlite3.Connection, request: RunRequest, run_id: str, now_ms: int) -> Run:
    now = from_ms(now_ms)
    run = Run(run_id, request, RunState.ACCEPTED, 0, request.max_retries, now, now, now)
    values = creation_values(run)
    seq = connection.execute(_ADD_RUN, values).lastrowid or 0
    connection.execute(_ADD_REQUEST, {**values, "run_seq": seq})
    transitions.record_creation(connection, seq, now_ms)
    return run


def _remove_ended(connection: sqlite3.Connection, before_ms: int, limit: int) -> list[RemovedRun]:
    ended = connection.execute(ENDED, (before_ms, limit)).fetchall()
    removed = [
        RemovedRun(run_id, tuple(key for (key,) in connection.execute(_FILE_KEYS, {"seq": seq})))
        for seq, run_id in ended
    ]
    for statement in _REMOVE:
        connection.executemany(statement, [(seq,) for seq, _ in ended])
    return removed

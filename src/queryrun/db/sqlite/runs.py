"""RunStore on SQLite. `transitions.py` changes states, `claims.py` chooses what to claim."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from queryrun.audit.model import AuditEntry
from queryrun.db.rows import (
    CANCELLABLE,
    LISTENER_GRACE_MS,
    Values,
    attempt_of,
    creation_values,
    event_record_of,
    progress_of,
    progress_values,
    ref_values,
    statement_bytes,
    usage_of,
)
from queryrun.db.sqlite import claims, transitions
from queryrun.db.sqlite import idempotency as keys
from queryrun.db.sqlite.audit_store import append_audit
from queryrun.db.sqlite.list_query import find
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.run_reads import read_run
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.usage import add_usage
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import DAY_MS, from_ms, to_ms
from queryrun.errors import IdempotencyInFlight, LostRace, Unavailable
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
    NO_QUEUE_LIMITS,
    Accepted,
    CancelRequested,
    ClaimLimits,
    ClaimPositions,
    Completed,
    ExpiredShare,
    Failed,
    Freed,
    HeldAttempt,
    QueueLimits,
    Requeued,
    RunPage,
    RunQuery,
    Usage,
)


class SqliteRunStore:
    """RunStore on SQLite: writes go through the one writer, reads straight to the file."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now
        self._positions = ClaimPositions()

    def _now_ms(self) -> int:
        return to_ms(self._now())

    # --- requests ---------------------------------------------------------------------------

    async def accept(
        self,
        request: RunRequest,
        *,
        run_id: str,
        queue_limits: QueueLimits = NO_QUEUE_LIMITS,
        idempotent: IdempotentWrite | None = None,
        audit: AuditEntry | None = None,
    ) -> Accepted:
        """Write a new run, `accepted`, durably, and return it."""

        def unit(connection: sqlite3.Connection) -> Accepted:
            now_ms = self._now_ms()
            if (
                idempotent is not None
                and (replay := _replay(connection, idempotent, now_ms)) is not None
            ):
                return replay
            _check_queue(connection, request, queue_limits)
            run = _add_run(connection, request, run_id, now_ms)
            if audit is not None:
                append_audit(connection, audit, now_ms)
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
        values = {"run_id": run_id}
        rows = self._reader.read(lambda db: db.execute(SQL["events"], values).fetchall())
        return [event_record_of(run_id, row) for row in rows]

    async def progress(self, run_id: str) -> AttemptProgress | None:
        """Progress of the run's attempt when its lease was last extended."""
        values = {"run_id": run_id}
        row = self._reader.read(lambda db: db.execute(SQL["progress"], values).fetchone())
        return None if row is None else progress_of(row)

    async def queue_position(self, run_id: str) -> int | None:
        """How many runs of the same entity and source are before this one."""
        values = {"run_id": run_id}
        row = await self._reader.scan(
            lambda db: db.execute(SQL["queue_position"], values).fetchone()
        )
        return None if row is None else int(row[0])

    async def usage(self, tenant_id: str, entity_id: str, client_id: str) -> tuple[Usage, Usage]:
        """What the entity, and this client in it, use."""
        day = self._now_ms() // DAY_MS
        values = {"tenant_id": tenant_id, "entity_id": entity_id, "day": day}
        rows = self._reader.read(lambda db: db.execute(SQL["usage_of_entity"], values).fetchall())
        return usage_of(rows, client_id)

    async def stored_bytes(self, tenant_id: str) -> int:
        """The size of all result files that the tenant keeps."""
        values = {"tenant_id": tenant_id}
        row = self._reader.read(lambda db: db.execute(SQL["stored_by_tenant"], values).fetchone())
        return int(row[0])

    async def counts(self) -> dict[tuple[str, RunState], int]:
        """Runs that have not finished, by source and state."""
        rows = await self._reader.scan(lambda db: db.execute(SQL["counts"]).fetchall())
        return {(source, RunState(state)): count for source, state, count in rows}

    async def longest_queues(self, *, limit: int) -> dict[tuple[str, str], int]:
        """The entities with most runs waiting on a source."""
        values = {"limit": limit}
        rows = await self._reader.scan(
            lambda db: db.execute(SQL["longest_queues"], values).fetchall()
        )
        return {(source, entity_id): count for source, entity_id, count in rows}

    async def unfinished_ages_s(self) -> list[float]:
        """Seconds since the start of each run that was started and has no terminal state."""
        values = {"now_ms": self._now_ms()}
        rows = await self._reader.scan(
            lambda db: db.execute(SQL["started_times"], values).fetchall()
        )
        return [max(0.0, float(age_ms) / 1000) for (age_ms,) in rows]

    async def healthy(self) -> bool:
        """True when the store serves a trivial read."""
        try:
            return self._reader.read(lambda db: db.execute("SELECT 1").fetchone()) is not None
        except Unavailable:
            return False

    # --- attempts ---------------------------------------------------------------------------

    async def claim(self, node: str, *, lease_s: float, limits: ClaimLimits) -> list[Attempt]:
        """Take waiting runs within `limits` and start an attempt on each."""

        def unit(connection: sqlite3.Connection) -> list[Attempt]:
            now_ms = self._now_ms()
            claimant = claims.Claimant(node, now_ms, now_ms + _ms(lease_s))
            return claims.claim(connection, claimant, limits, self._positions)

        return await self._writer.write(unit, durable=False)

    async def next_ready_s(self, sources: Sequence[str]) -> float | None:
        """Seconds until the earliest run waiting out a back-off becomes ready."""
        now_ms = self._now_ms()
        ready_ms = self._reader.read(lambda db: claims.next_ready_ms(db, sources, now_ms))
        return None if ready_ms is None else (ready_ms - now_ms) / 1000

    async def save_handle(self, ref: AttemptRef, *, handle: str, file_key: str) -> None:
        """Record how any process can stop this attempt's work and which file it may leave."""

        def unit(connection: sqlite3.Connection) -> None:
            values = {**ref_values(ref), "handle": handle, "file_key": file_key}
            if connection.execute(SQL["save_handle"], values).rowcount != 1:
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
        """Renew the leases of these attempts of `node`, store their progress, and return the
        states of their runs."""

        def unit(connection: sqlite3.Connection) -> list[HeldAttempt]:
            until_ms = self._now_ms() + _ms(lease_s)
            lease: Values = {"node": node, "lease_until_ms": until_ms}
            renewed = [
                ref for ref in refs if _extend(connection, ref, lease, (progress or {}).get(ref))
            ]
            return [HeldAttempt(ref, _state_at(connection, ref)) for ref in renewed]

        return await self._writer.write(unit, durable=False)

    async def renew_listener(self, run_id: str, *, for_s: float) -> None:
        """Somebody listens to the run."""
        values = {"run_id": run_id, "until_ms": self._now_ms() + _ms(for_s)}
        await self._writer.write(
            lambda db: db.execute(SQL["renew_listener"], values).rowcount, durable=False
        )

    async def abandoned_runs(self, *, limit: int) -> list[Run]:
        """Runs to be canceled. A read first, so that nothing is written in vain."""
        values = {"now_ms": self._now_ms(), "limit": limit}
        rows = self._reader.read(lambda db: db.execute(SQL["abandoned_runs"], values).fetchall())
        done = [{"run_id": run_id} for run_id, state in rows if state not in CANCELLABLE]
        if done:
            await self._writer.write(
                lambda db: db.executemany(SQL["forget_listener"], done).rowcount, durable=False
            )
        runs = [await self.get(run_id) for run_id, state in rows if state in CANCELLABLE]
        return [run for run in runs if run is not None]

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
        """Attempts whose lease has expired, oldest first."""

        def unit(connection: sqlite3.Connection) -> list[Attempt]:
            now_ms = self._now_ms()
            if exclude_node is not None:
                others = {"node": exclude_node, "now_ms": now_ms}
                connection.execute(SQL["end_other_leases"], others)
                connection.execute(SQL["end_pauses"], {"now_ms": now_ms})
            values = {"now_ms": now_ms, "limit": limit}
            rows = connection.execute(SQL["expired_leases"], values).fetchall()
            return [attempt_of(row) for row in rows]

        if exclude_node is None:
            return self._reader.read(unit)
        return await self._writer.write(unit, durable=False)

    async def take_over(self, ref: AttemptRef, node: str, *, lease_s: float) -> bool:
        """Give an expired lease to `node`."""

        def unit(connection: sqlite3.Connection) -> bool:
            now_ms = self._now_ms()
            lease = {"node": node, "now_ms": now_ms, "lease_until_ms": now_ms + _ms(lease_s)}
            values = {**ref_values(ref), **lease}
            return connection.execute(SQL["take_over"], values).rowcount == 1

        return await self._writer.write(unit, durable=False)

    async def record_outage(self, *, age_s: float) -> None:
        """The store was away for a node until `age_s` ago."""
        values = {"ended_ms": self._now_ms() - _ms(age_s)}
        await self._writer.write(
            lambda db: db.execute(SQL["record_outage"], values).rowcount, durable=False
        )

    async def outage_age_s(self) -> float:
        """Seconds since the end of the latest outage on record."""
        row = self._reader.read(lambda db: db.execute(SQL["outage_ended"]).fetchone())
        return math.inf if row is None else (self._now_ms() - int(row[0])) / 1000

    async def expired_share(self, *, retention_s: float, max_expired: int) -> ExpiredShare:
        """How many finished runs there are, and how many of them are expired."""
        values = {"before_ms": self._now_ms() - _ms(retention_s), "limit": max_expired}
        row = await self._reader.scan(
            lambda db: db.execute(SQL["expired_share"], values).fetchone()
        )
        return ExpiredShare(*row)

    async def remove_expired(self, *, retention_s: float, limit: int) -> int:
        """Delete runs that were terminal for `retention_s`, with their history."""
        now_ms = self._now_ms()
        values = {"before_ms": now_ms - _ms(retention_s), "limit": limit, "now_ms": now_ms}
        return await self._writer.write(lambda db: _remove_runs(db, values), durable=False)

    async def record_removals(self, keys: Sequence[str]) -> None:
        """Put files on record that are to be removed."""
        now_ms = self._now_ms()
        await self._change_removals("record_removal", keys, now_ms)

    async def recorded_removals(self, *, limit: int) -> list[str]:
        """Files to remove, the longest on record first."""
        values = {"limit": limit}
        rows = self._reader.read(lambda db: db.execute(SQL["recorded_removals"], values).fetchall())
        return [key for (key,) in rows]

    async def forget_removals(self, keys: Sequence[str]) -> None:
        """Take files off the record that have been removed."""
        await self._change_removals("forget_removal", keys, 0)

    async def _change_removals(self, statement: str, keys: Sequence[str], now_ms: int) -> None:
        if keys:
            values = [{"file_key": key, "now_ms": now_ms} for key in keys]
            await self._writer.write(
                lambda db: db.executemany(SQL[statement], values).rowcount, durable=False
            )


def _extend(
    connection: sqlite3.Connection,
    ref: AttemptRef,
    lease: Values,
    progress: AttemptProgress | None,
) -> bool:
    """Renew one lease and store the progress; False when the attempt is not this node's."""
    values = {**lease, **ref_values(ref), **progress_values(progress)}
    return connection.execute(SQL["extend_lease"], values).rowcount == 1


def _state_at(connection: sqlite3.Connection, ref: AttemptRef) -> RunState:
    (state,) = connection.execute(SQL["state_of_attempt"], ref_values(ref)).fetchone()
    return RunState(state)


def _ms(duration_s: float) -> int:
    return round(duration_s * 1000)


def _replay(connection: sqlite3.Connection, write: IdempotentWrite, now_ms: int) -> Accepted | None:
    """The first run and response under this key; None when the key, or that run, was deleted."""
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


def _check_queue(connection: sqlite3.Connection, request: RunRequest, limits: QueueLimits) -> None:
    """In the unit of the insert: nothing else writes between the check and the new run."""
    values = {
        "source": request.source,
        "tenant_id": request.tenant_id,
        "entity_id": request.entity_id,
        "client_id": request.client_id,
    }
    for statement, limit in (
        ("queue_reaches", limits.per_entity),
        ("queue_of_client_reaches", limits.per_client),
        ("queue_of_tenant_reaches", limits.per_tenant),
    ):
        beyond = {**values, "beyond": limit - 1}
        if limit and connection.execute(SQL[statement], beyond).fetchone() is not None:
            raise limits.full(request.source)


def _add_run(connection: sqlite3.Connection, request: RunRequest, run_id: str, now_ms: int) -> Run:
    """The request has a separate table because the run row is rewritten at every change."""
    now = from_ms(now_ms)
    run = Run(run_id, request, RunState.ACCEPTED, 0, request.max_retries, now, now, now)
    values = creation_values(run)
    seq = connection.execute(SQL["add_run"], values).lastrowid or 0
    connection.execute(SQL["add_request"], {**values, "seq": seq})
    if request.tags:
        connection.execute(SQL["add_tags"], {**values, "seq": seq})
    if request.cancel_on_disconnect_s is not None:
        until_ms = now_ms + _ms(request.cancel_on_disconnect_s) + LISTENER_GRACE_MS
        connection.execute(SQL["add_listener"], {"run_id": run_id, "until_ms": until_ms})
    transitions.record_creation(connection, seq, run, now_ms)
    add_usage(connection, request, now_ms, statement_bytes=statement_bytes(request))
    return run


def _remove_runs(connection: sqlite3.Connection, values: Values) -> int:
    """Their files go on record first, while the rows that name them are still there."""
    expired = connection.execute(SQL["expired_runs"], values).fetchall()
    for statement in (
        "record_files",
        "subtract_usage",
        "remove_events",
        "remove_attempts",
        "remove_tags",
        "remove_request",
        "remove_run",
    ):
        connection.executemany(
            SQL[statement], [{"seq": seq, "now_ms": values["now_ms"]} for (seq,) in expired]
        )
    return len(expired)

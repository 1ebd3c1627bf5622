"""RunStore on PostgreSQL. `functions.py` chooses what to claim, `transitions.py` changes states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from queryrun.audit.model import AuditEntry
from queryrun.db.audit_rows import content_value
from queryrun.db.details import (
    cancel_values,
    complete_values,
    fail_values,
    freed_values,
    requeue_values,
)
from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.postgres.idempotency import KeyRecord, find_key, key_values, reserve_values
from queryrun.db.postgres.list_query import find
from queryrun.db.postgres.transitions import change_state, end_attempt
from queryrun.db.rows import (
    CANCELLABLE,
    Values,
    attempt_of,
    creation_values,
    event_record_of,
    progress_of,
    progress_values,
    ref_values,
    statement_bytes,
    stored_run,
    usage_of,
)
from queryrun.db.times import from_ms
from queryrun.errors import (
    IdempotencyInFlight,
    InvalidRequest,
    LostRace,
    NotCancellable,
    Unavailable,
)
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    IdempotencyKey,
    IdempotentWrite,
    Run,
    RunEventRecord,
    RunRequest,
)
from queryrun.runs.read import not_found
from queryrun.runs.state import RunState
from queryrun.runs.store import (
    ALL_HEADS,
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
    OwnRunning,
    QueueLimits,
    Requeued,
    RunPage,
    RunQuery,
    Usage,
    max_heads,
)

_MAX_ATTEMPTS = 10
"""Attempts at a write that others overtake; each time, another node made progress."""


class PostgresRunStore:
    """RunStore on PostgreSQL, for as many nodes as share the database."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql
        self._positions = ClaimPositions()

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
        _check_text(request)
        values = {**_new_run_values(request, run_id, queue_limits), "audit": content_value(audit)}
        if idempotent is None:
            return await self._connections.write(
                lambda db: self._accept(db, request, values, queue_limits), durable=True
            )
        return await self._connections.write(
            lambda db: self._accept_idempotent(db, request, values, queue_limits, idempotent),
            durable=True,
        )

    def _accept(
        self, connection: Connection, request: RunRequest, values: Values, limits: QueueLimits
    ) -> Accepted:
        row = connection.execute(self._sql["accept"], values).fetchone() or (0, None)
        _, created_ms = row
        if created_ms is None:
            raise limits.full(request.source)
        return Accepted(_new_run(request, str(values["id"]), created_ms))

    def _accept_idempotent(
        self,
        connection: Connection,
        request: RunRequest,
        values: Values,
        limits: QueueLimits,
        idempotent: IdempotentWrite,
    ) -> Accepted:
        """Find the key, then write run and response in one statement; again if another was first.

        The response has to be encoded before the statement is sent, so the time of the lookup
        becomes the run's creation time.
        """
        key, room = idempotent.idempotency_key, True
        for _ in range(_MAX_ATTEMPTS):
            found = find_key(connection, self._sql["find_key"], key)
            if found.record is not None:
                if (replay := self._replay(connection, key, found.record)) is not None:
                    return replay
                continue
            if not room:
                raise limits.full(request.source)
            run = _new_run(request, str(values["id"]), found.now_ms)
            response = idempotent.response(run)
            reserved = reserve_values(key, run_id=run.id, response=response, in_flight=False)
            bound = {**values, **reserved, "now_ms": found.now_ms}
            row = connection.execute(self._sql["accept_idempotent"], bound).fetchone() or (0, None)
            room = bool(row[0])
            if row[1] is not None:
                return Accepted(run)
        raise Unavailable("too many requests use this key at once; try again")

    def _replay(
        self, connection: Connection, key: IdempotencyKey, record: KeyRecord
    ) -> Accepted | None:
        """The first run and response under this key. If that run was deleted: None, key freed."""
        if record.run_id is None:
            raise IdempotencyInFlight("this key was completed a moment ago; try again")
        row = connection.execute(self._sql["run_by_id"], {"run_id": record.run_id}).fetchone()
        if row is not None:
            return Accepted(stored_run(row).run, record.response)
        values = {**key_values(key), "changed_run_id": record.run_id}
        connection.execute(self._sql["forget_key"], values)
        return None

    async def cancel(
        self, run_id: str, detail: CancelRequested, *, idempotent: IdempotentWrite | None = None
    ) -> Run:
        """`accepted` -> `canceled`, or `in_progress` -> `canceling`."""
        if idempotent is None:
            return await self._connections.write(
                lambda db: self._cancel(db, run_id, detail), durable=True
            )
        return await self._connections.write(
            lambda db: self._cancel_idempotent(db, run_id, detail, idempotent), durable=True
        )

    def _cancel(self, connection: Connection, run_id: str, detail: CancelRequested) -> Run:
        """Retried when the run's state changes between the read and the write."""
        values = {**cancel_values(detail), "run_id": run_id}
        for _ in range(_MAX_ATTEMPTS):
            if (run := change_state(connection, self._sql["cancel"], values)) is not None:
                return run
            row = connection.execute(self._sql["run_by_id"], values).fetchone()
            if row is None:
                raise not_found(run_id)
            run = stored_run(row).run
            if run.state is RunState.CANCELING:
                return run
            if run.state.is_terminal:
                raise NotCancellable(run_id, run.state)
        raise Unavailable("the run changes too quickly; try again")

    def _cancel_idempotent(
        self,
        connection: Connection,
        run_id: str,
        detail: CancelRequested,
        idempotent: IdempotentWrite,
    ) -> Run:
        """Cancel and bind the key in one transaction; the key decides when it is used already, also
        by a request that canceled the run a moment ago: this one may be a repetition of it."""
        key = idempotent.idempotency_key
        _refuse_used(find_key(connection, self._sql["find_key"], key).record)
        with connection.transaction():
            try:
                run = self._cancel(connection, run_id, detail)
            except NotCancellable:
                _refuse_used(find_key(connection, self._sql["find_key"], key).record)
                raise
            response = idempotent.response(run)
            values = reserve_values(key, run_id=run.id, response=response, in_flight=True)
            if connection.execute(self._sql["reserve_key"], values).fetchone() is None:
                _refuse_used(find_key(connection, self._sql["find_key"], key).record)
                raise IdempotencyInFlight("this key is being used by another request")
        return run

    # --- reads ------------------------------------------------------------------------------

    async def get(self, run_id: str) -> Run | None:
        """The run as last written, or None."""
        values = {"run_id": run_id}
        row = await self._connections.read(
            lambda db: db.execute(self._sql["run_by_id"], values).fetchone()
        )
        return None if row is None else stored_run(row).run

    async def find(self, query: RunQuery) -> RunPage:
        """Runs that match, newest (or oldest) first."""
        return await self._connections.read(lambda db: find(db, self._sql, query))

    async def events(self, run_id: str) -> list[RunEventRecord]:
        """The run's history, oldest first."""
        values = {"run_id": run_id}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["events"], values).fetchall()
        )
        return [event_record_of(run_id, row) for row in rows]

    async def progress(self, run_id: str) -> AttemptProgress | None:
        """Progress of the run's attempt when its lease was last extended."""
        values = {"run_id": run_id}
        row = await self._connections.read(
            lambda db: db.execute(self._sql["progress"], values).fetchone()
        )
        return None if row is None else progress_of(row)

    async def queue_position(self, run_id: str) -> int | None:
        """How many runs of the same entity and source are before this one."""
        values = {"run_id": run_id}
        row = await self._connections.read(
            lambda db: db.execute(self._sql["queue_position"], values).fetchone()
        )
        return None if row is None else int(row[0])

    async def usage(self, tenant_id: str, entity_id: str, client_id: str) -> tuple[Usage, Usage]:
        """What the entity, and this client in it, use."""
        values = {"tenant_id": tenant_id, "entity_id": entity_id}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["usage_of_entity"], values).fetchall()
        )
        return usage_of([tuple(one or 0 for one in row) for row in rows], client_id)

    async def stored_bytes(self, tenant_id: str) -> int:
        """The size of all result files that the tenant keeps."""
        values = {"tenant_id": tenant_id}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["stored_by_tenant"], values).fetchall()
        )
        return int(rows[0][0])

    async def counts(self) -> dict[tuple[str, RunState], int]:
        """Runs that have not finished, by source and state."""
        rows = await self._connections.read(lambda db: db.execute(self._sql["counts"]).fetchall())
        return {(source, RunState(state)): count for source, state, count in rows}

    async def longest_queues(self, *, limit: int) -> dict[tuple[str, str], int]:
        """The entities with most runs waiting on a source."""
        values = {"limit": limit}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["longest_queues"], values).fetchall()
        )
        return {(source, entity_id): count for source, entity_id, count in rows}

    async def unfinished_ages_s(self) -> list[float]:
        """Seconds since the start of each run that was started and has no terminal state."""
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["started_times"]).fetchall()
        )
        return [max(0.0, float(age_ms) / 1000) for (age_ms,) in rows]

    async def healthy(self) -> bool:
        """True when the store serves a trivial read."""
        try:
            return (
                await self._connections.read(lambda db: db.execute("SELECT 1").fetchone())
                is not None
            )
        except Unavailable:
            return False

    # --- attempts ---------------------------------------------------------------------------

    async def claim(self, node: str, *, lease_s: float, limits: ClaimLimits) -> list[Attempt]:
        """Take waiting runs within `limits` and start an attempt on each."""
        sources = list(dict.fromkeys(limits.sources))
        if limits.free_slots + limits.fair_slots <= 0 or not sources:
            return []
        values = {
            "node": node,
            "lease_ms": _ms(lease_s),
            "sources": sources,
            "tenant_limits": _limits(limits.per_tenant_running, sources),
            "entity_limits": _limits(limits.per_entity_running, sources),
            "client_limits": _limits(limits.per_client_running, sources),
            **_own_limits(limits.own),
            "slots": limits.free_slots,
            "fair_slots": limits.fair_slots,
            "max_heads": max_heads(limits),
            **self._begin(sources),
        }
        return await self._connections.write(
            lambda db: self._claim(db, node, values), durable=False
        )

    def _begin(self, sources: Sequence[str]) -> Values:
        """Behind which client of each source to begin."""
        tenants, entities, clients = zip(*map(self._positions.after, sources), strict=True)
        return {
            "after_tenants": list(tenants),
            "after_entities": list(entities),
            "after_clients": list(clients),
        }

    def _claim(self, connection: Connection, node: str, values: Values) -> list[Attempt]:
        """Claim, then read what was claimed: statements can be long, and no lock waits for them.

        When the clients that were considered leave slots free, all of them are considered.
        """
        claimed, is_partial = self._claim_rows(connection, values)
        free = int(str(values["slots"])) - len(claimed)
        if is_partial and free > 0:
            everybody = {**values, "max_heads": ALL_HEADS, "slots": free}
            claimed += self._claim_rows(connection, everybody)[0]
        if not claimed:
            return []
        seqs = {"seqs": [seq for seq, *_ in claimed]}
        rows = connection.execute(self._sql["runs_by_seq"], seqs).fetchall()
        runs = {stored.seq: stored.run for stored in map(stored_run, rows)}
        for seq, *_ in claimed:
            self._positions.advance(runs[seq].request)
        return [_attempt(runs[seq], node, *begun) for seq, *begun in claimed]

    def _claim_rows(
        self, connection: Connection, values: Values
    ) -> tuple[list[tuple[int, int, int, int]], bool]:
        """What was claimed, and whether there are clients that were not considered."""
        rows = connection.execute(self._sql["claim"], values).fetchall()
        claimed = [row for row in rows if row[0] is not None]
        return claimed, len(claimed) < len(rows)

    async def next_ready_s(self, sources: Sequence[str]) -> float | None:
        """Seconds until the earliest run waiting out a back-off becomes ready."""
        if not sources:
            return None
        values = {"sources": list(sources)}
        [(left_ms,)] = await self._connections.read(
            lambda db: db.execute(self._sql["next_ready"], values).fetchall()
        )
        return None if left_ms is None else left_ms / 1000

    async def save_handle(self, ref: AttemptRef, *, handle: str, file_key: str) -> None:
        """Record how any process can stop this attempt's work and which file it may leave."""
        values = {**ref_values(ref), "handle": handle, "file_key": file_key}

        def unit(connection: Connection) -> None:
            if connection.execute(self._sql["save_handle"], values).rowcount != 1:
                raise LostRace(f"attempt {ref.number} of run {ref.run_id} may not start")

        await self._connections.write(unit, durable=False)

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
        if not refs:
            return []
        known = [progress_values((progress or {}).get(ref)) for ref in refs]
        values = {
            "node": node,
            "lease_ms": _ms(lease_s),
            "run_ids": [ref.run_id for ref in refs],
            "numbers": [ref.number for ref in refs],
            "stages": [one["stage"] for one in known],
            "percents": [one["percent"] for one in known],
            "rows": [one["rows"] for one in known],
            "sizes": [one["size_bytes"] for one in known],
            "cpus": [one["cpu_ms"] for one in known],
            "memories": [one["memory_bytes"] for one in known],
        }
        rows = await self._connections.write(
            lambda db: db.execute(self._sql["extend_leases"], values).fetchall(), durable=False
        )
        return [
            HeldAttempt(AttemptRef(run_id, number), RunState(state))
            for run_id, number, state in rows
        ]

    async def renew_listener(self, run_id: str, *, for_s: float) -> None:
        """Somebody listens to the run."""
        values = {"run_id": run_id, "for_ms": _ms(for_s)}
        await self._connections.write(
            lambda db: db.execute(self._sql["renew_listener"], values).rowcount, durable=False
        )

    async def abandoned_runs(self, *, limit: int) -> list[Run]:
        """Runs to be canceled. A read first, so that nothing is written in vain."""
        values = {"limit": limit}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["abandoned_runs"], values).fetchall()
        )
        done = {"run_ids": [run_id for run_id, state in rows if state not in CANCELLABLE]}
        if done["run_ids"]:
            await self._connections.write(
                lambda db: db.execute(self._sql["forget_listeners"], done).rowcount, durable=False
            )
        runs = [await self.get(run_id) for run_id, state in rows if state in CANCELLABLE]
        return [run for run in runs if run is not None]

    async def complete(self, ref: AttemptRef, detail: Completed) -> Run:
        """`in_progress` -> `complete`."""
        return await self._end_attempt("complete", ref, complete_values(detail))

    async def fail(self, ref: AttemptRef, detail: Failed) -> Run:
        """`in_progress` -> `failed`."""
        return await self._end_attempt("fail", ref, fail_values(detail))

    async def requeue(self, ref: AttemptRef, detail: Requeued) -> Run:
        """`in_progress` -> `accepted`."""
        return await self._end_attempt("requeue", ref, requeue_values(detail), durable=False)

    async def freed(self, ref: AttemptRef, detail: Freed) -> Run:
        """`canceling` -> `canceled`."""
        return await self._end_attempt("freed", ref, freed_values(detail))

    async def _end_attempt(
        self, statement: str, ref: AttemptRef, values: Values, *, durable: bool = True
    ) -> Run:
        return await self._connections.write(
            lambda db: end_attempt(db, self._sql[statement], ref, values), durable=durable
        )

    # --- the reaper -------------------------------------------------------------------------

    async def expired_leases(
        self, *, exclude_node: str | None = None, limit: int = 100
    ) -> list[Attempt]:
        """Attempts whose lease has expired, oldest first."""
        if exclude_node is not None:
            others = {"node": exclude_node}
            await self._connections.write(
                lambda db: db.execute(self._sql["end_other_leases"], others).rowcount,
                durable=False,
            )
        values = {"limit": limit}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["expired_leases"], values).fetchall()
        )
        return [attempt_of(row) for row in rows]

    async def take_over(self, ref: AttemptRef, node: str, *, lease_s: float) -> bool:
        """Give an expired lease to `node`."""
        values = {**ref_values(ref), "node": node, "lease_ms": _ms(lease_s)}
        taken = await self._connections.write(
            lambda db: db.execute(self._sql["take_over"], values).rowcount, durable=False
        )
        return taken == 1

    async def record_outage(self, *, age_s: float) -> None:
        """The store was away for a node until `age_s` ago."""
        values = {"age_ms": _ms(age_s)}
        await self._connections.write(
            lambda db: db.execute(self._sql["record_outage"], values).rowcount, durable=False
        )

    async def outage_age_s(self) -> float:
        """Seconds since the end of the latest outage on record."""
        row = await self._connections.read(
            lambda db: db.execute(self._sql["outage_age"]).fetchone()
        )
        return math.inf if row is None else float(row[0]) / 1000

    async def expired_share(self, *, retention_s: float, max_expired: int) -> ExpiredShare:
        """How many finished runs there are, and how many of them are expired."""
        values = {"retention_ms": _ms(retention_s), "limit": max_expired}
        row = await self._connections.read(
            lambda db: db.execute(self._sql["expired_share"], values).fetchone()
        )
        return ExpiredShare(*(row or (0, 0)))

    async def remove_expired(self, *, retention_s: float, limit: int) -> int:
        """Delete runs that were terminal for `retention_s`, with their history."""
        values = {"retention_ms": _ms(retention_s), "limit": limit}
        row = await self._connections.write(
            lambda db: db.execute(self._sql["remove_expired_runs"], values).fetchone(),
            durable=False,
        )
        return int((row or (0,))[0])

    async def record_removals(self, keys: Sequence[str]) -> None:
        """Put files on record that are to be removed."""
        await self._change_removals("record_removals", keys)

    async def recorded_removals(self, *, limit: int) -> list[str]:
        """Files to remove, the longest on record first."""
        values = {"limit": limit}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["recorded_removals"], values).fetchall()
        )
        return [key for (key,) in rows]

    async def forget_removals(self, keys: Sequence[str]) -> None:
        """Take files off the record that have been removed."""
        await self._change_removals("forget_removals", keys)

    async def _change_removals(self, statement: str, keys: Sequence[str]) -> None:
        if keys:
            values = {"keys": list(keys)}
            await self._connections.write(
                lambda db: db.execute(self._sql[statement], values).rowcount, durable=False
            )


def _attempt(run: Run, node: str, number: int, at_ms: int, lease_until_ms: int) -> Attempt:
    """The attempt with its run as the claim wrote it: a cancel may have come since."""
    at = from_ms(at_ms)
    begun = replace(
        run,
        state=RunState.IN_PROGRESS,
        attempt=number,
        updated_time=at,
        started_time=at,
        cancellation=None,
    )
    return Attempt(AttemptRef(run.id, number), begun, node, from_ms(lease_until_ms))


_NO_LIMIT = 1_000_000_000
"""What the claim takes for no limit: more than ever runs."""


def _own_limits(own: OwnRunning) -> Values:
    """Limits of single tenants, entities and clients, as three columns."""
    rows = [
        (level, subject, value)
        for level, of in (
            ("tenant", own.tenants),
            ("entity", own.entities),
            ("client", own.clients),
        )
        for subject, value in of.items()
    ]
    levels, subjects, values = zip(*rows, strict=True) if rows else ((), (), ())
    return {
        "own_levels": list(levels),
        "own_subjects": list(subjects),
        "own_limits": list(values),
    }


def _limits(limits: Mapping[str, int], sources: Sequence[str]) -> list[int]:
    return [limits.get(source) or _NO_LIMIT for source in sources]


def _ms(duration_s: float) -> int:
    return round(duration_s * 1000)


def _refuse_used(record: KeyRecord | None) -> None:
    if record is not None:
        raise IdempotencyInFlight("this key was completed a moment ago; try again")


def _check_text(request: RunRequest) -> None:
    """Refuse what cannot be stored unchanged; the HTTP layer refuses it before, with details."""
    pairs = [word for pair in (*request.tags, *request.extras) for word in pair]
    separator = request.output.column_separator or ""
    if any("\x00" in text for text in (request.sql, separator, *pairs, *request.org_ids)):
        raise InvalidRequest.of("query", "the request must not contain the character U+0000")


def _new_run(request: RunRequest, run_id: str, created_ms: int = 0) -> Run:
    created = from_ms(created_ms)
    return Run(
        run_id, request, RunState.ACCEPTED, 0, request.max_retries, created, created, created
    )


def _new_run_values(request: RunRequest, run_id: str, limits: QueueLimits) -> Values:
    """What `accept` binds. It takes the times of the new run from the database's clock."""
    queue = {
        "max_of_entity": limits.per_entity,
        "max_of_client": limits.per_client,
        "max_of_tenant": limits.per_tenant,
    }
    used = {"statement_bytes": statement_bytes(request)}
    return {**creation_values(_new_run(request, run_id)), **queue, **used}

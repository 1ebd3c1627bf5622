"""Which waiting runs to claim next: a loose-index scan over the queue, entities taking turns.

The scan jumps from entity to entity in the index of waiting runs and reads the first entry
of each, so its cost grows with the number of entities that have waiting runs, not with the queue.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from queryrun.db.rows import StoredRun
from queryrun.db.sqlite.run_reads import read_run_at
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.transitions import change_state
from queryrun.db.times import from_ms
from queryrun.runs.model import Attempt, AttemptRef
from queryrun.runs.state import RunEvent
from queryrun.runs.store import ClaimLimits


@dataclass(frozen=True, slots=True)
class Claimant:
    """The node that claims, the time, and the expiry of the lease."""

    node: str
    now_ms: int
    lease_until_ms: int


@dataclass(frozen=True, slots=True, order=True)
class _Head:
    """An entity's next run on one source. Ordered: longest without a turn, then longest ready."""

    turn: int
    ready_ms: int
    seq: int
    source: str
    tenant_id: str
    entity_id: str

    @property
    def entity(self) -> tuple[str, str]:
        return self.tenant_id, self.entity_id


def claim(connection: sqlite3.Connection, claimant: Claimant, limits: ClaimLimits) -> list[Attempt]:
    """Claim up to `limits.free_slots` runs in one unit, one of each entity per round."""
    if limits.free_slots <= 0:
        return []
    return _Round(connection, claimant, limits).take()


def next_ready_ms(
    connection: sqlite3.Connection, sources: Sequence[str], now_ms: int
) -> int | None:
    """When the first run that waits out a back-off becomes ready; None when none does."""
    found = [
        connection.execute(SQL["next_ready"], {"source": source, "now_ms": now_ms}).fetchone()[0]
        for source in sources
    ]
    return min((ms for ms in found if ms is not None), default=None)


class _Round:
    """One claim: the heads of all entities in a heap, and how many runs each tenant has running."""

    def __init__(
        self, connection: sqlite3.Connection, claimant: Claimant, limits: ClaimLimits
    ) -> None:
        self._connection = connection
        self._claimant = claimant
        self._limits = limits
        self._turns: dict[tuple[str, str], int] = {}
        self._heads: list[_Head] = []
        self._running: dict[tuple[str, str], int] = {}
        for source in dict.fromkeys(limits.sources):
            self._load(source)
        heapify(self._heads)

    def take(self) -> list[Attempt]:
        """Serve the entity that has waited longest for a turn, until no slot or run is left."""
        taken: list[Attempt] = []
        while self._heads and len(taken) < self._limits.free_slots:
            head = heappop(self._heads)
            turn = self._turns.get(head.entity, head.turn)
            if turn != head.turn:  # served meanwhile, through another source
                self._push(turn, head.ready_ms, head.seq, head)
            elif self._has_room(head):
                taken.append(self._serve(head))
        return taken

    def _load(self, source: str) -> None:
        parameters = {"source": source, "now_ms": self._claimant.now_ms}
        rows = self._connection.execute(SQL["queue_heads"], parameters)
        for turn, ready_ms, seq, tenant_id, entity_id in rows:
            self._heads.append(_Head(turn, ready_ms, seq, source, tenant_id, entity_id))
        for tenant_id, running in self._connection.execute(SQL["running"], parameters):
            self._running[source, tenant_id] = running

    def _has_room(self, head: _Head) -> bool:
        limit = self._limits.per_tenant_running.get(head.source, 0)
        return limit == 0 or self._running.get((head.source, head.tenant_id), 0) < limit

    def _serve(self, head: _Head) -> Attempt:
        """Claim the head, note the turn, and replace the head by the entity's next run."""
        attempt = _start_attempt(
            self._connection, read_run_at(self._connection, head.seq), self._claimant
        )
        slot = head.source, head.tenant_id
        self._running[slot] = self._running.get(slot, 0) + 1
        entity = {"tenant_id": head.tenant_id, "entity_id": head.entity_id}
        turn = self._connection.execute(SQL["take_turn"], entity).lastrowid or 0
        self._turns[head.entity] = turn
        values = {**entity, "source": head.source, "now_ms": self._claimant.now_ms}
        following = self._connection.execute(SQL["next_of_entity"], values).fetchone()
        if following is not None:
            ready_ms, seq = following
            self._push(turn, ready_ms, seq, head)
        return attempt

    def _push(self, turn: int, ready_ms: int, seq: int, like: _Head) -> None:
        heappush(
            self._heads,
            _Head(turn, ready_ms, seq, like.source, like.tenant_id, like.entity_id),
        )


def _start_attempt(
    connection: sqlite3.Connection, stored: StoredRun, claimant: Claimant
) -> Attempt:
    """In the unit of the claim, so that no run is `in_progress` without an attempt and a lease."""
    at_ms = stored.next_ms(claimant.now_ms)
    run = change_state(connection, stored, RunEvent.CLAIM, {"detail": claimant.node}, at_ms).run
    values = {
        "run_seq": stored.seq,
        "number": run.attempt,
        "node": claimant.node,
        "claimed_ms": at_ms,
        "lease_until_ms": claimant.lease_until_ms,
    }
    connection.execute(SQL["add_attempt"], values)
    lease_until = from_ms(claimant.lease_until_ms)
    return Attempt(AttemptRef(run.id, run.attempt), run, claimant.node, lease_until)

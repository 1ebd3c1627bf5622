"""Which waiting runs to claim next: a loose-index scan over the queue, entities taking turns.

The scan jumps from client to client in the index of waiting runs and reads the first entry
of each, until it has found enough of them; the next claim begins where this one has ended.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from queryrun.db.rows import StoredRun, json_text
from queryrun.db.sqlite.run_reads import read_run_at
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.transitions import change_state
from queryrun.db.times import from_ms
from queryrun.runs.model import Attempt, AttemptRef
from queryrun.runs.state import RunEvent
from queryrun.runs.store import ALL_HEADS, ClaimLimits, ClaimPositions, max_heads


@dataclass(frozen=True, slots=True)
class Claimant:
    """The node that claims, the time, and the expiry of the lease."""

    node: str
    now_ms: int
    lease_until_ms: int


@dataclass(frozen=True, slots=True, order=True)
class _Head:
    """A client's next run on one source. Ordered as `RunStore.claim` promises."""

    level: int
    """How many runs the entity would have running with this one, anywhere."""
    turn: int
    ready_ms: int
    seq: int
    source: str
    tenant_id: str
    entity_id: str
    client_id: str

    @property
    def entity(self) -> tuple[str, str]:
        return self.tenant_id, self.entity_id


def claim(
    connection: sqlite3.Connection,
    claimant: Claimant,
    limits: ClaimLimits,
    positions: ClaimPositions,
) -> list[Attempt]:
    """Claim up to `limits.free_slots` runs in one unit, and more in fair slots.

    When the clients that were considered leave slots free, all of them are considered.
    """
    if limits.free_slots + limits.fair_slots <= 0:
        return []
    first = _Round(connection, claimant, limits, positions, max_heads(limits))
    taken = first.take()
    if first.is_partial and len(taken) < limits.free_slots:
        left = replace(limits, free_slots=limits.free_slots - len(taken))
        taken += _Round(connection, claimant, left, positions, ALL_HEADS).take()
    for attempt in taken:
        positions.advance(attempt.run.request)
    return taken


def next_ready_ms(
    connection: sqlite3.Connection, sources: Sequence[str], now_ms: int
) -> int | None:
    """When the first run that waits out a back-off becomes ready; None when none does."""
    found = [
        connection.execute(SQL["next_ready"], {"source": source, "now_ms": now_ms}).fetchone()[0]
        for source in sources
    ]
    return min((ms for ms in found if ms is not None), default=None)


class _Running:
    """What runs, counted as the limits count it."""

    def __init__(self) -> None:
        self.of_client: Counter[tuple[str, str, str, str]] = Counter()
        self.of_entity: Counter[tuple[str, str, str]] = Counter()
        self.of_tenant: dict[tuple[str, str], dict[str, int]] = {}
        """The entities of a tenant that run or wait on a source, and how many each has running."""
        self.anywhere: Counter[tuple[str, str]] = Counter()

    def add(self, source: str, tenant: str, entity: str, client: str, runs: int = 1) -> None:
        """Count runs of a client; 0 for one that only waits."""
        self.of_client[source, tenant, entity, client] += runs
        self.of_entity[source, tenant, entity] += runs
        entities = self.of_tenant.setdefault((source, tenant), {})
        entities[entity] = entities.get(entity, 0) + runs
        self.anywhere[tenant, entity] += runs

    def full(self, source: str, limits: ClaimLimits) -> _Full:
        """Asked before what waits is counted. Entities that wait make a share smaller, so nobody
        who has no room by these counts has any."""
        tenants, entities = [], []
        for (of_source, tenant), holders in self.of_tenant.items():
            max_tenant = limits.of_tenant(source, tenant)
            if of_source == source and 0 < max_tenant <= len(holders):
                tenants.append(tenant)
            elif of_source == source:
                is_full = 0 < max_tenant <= sum(holders.values())
                share = max(max_tenant // len(holders), 1)
                entities += [
                    f"{tenant}\n{entity}"
                    for entity, runs in holders.items()
                    if 0 < limits.of_entity(source, entity) <= runs or (is_full and runs >= share)
                ]
        if limits.free_slots <= 0:
            entities += [f"{tenant}\n{entity}" for tenant, entity in self.anywhere]
        clients = [
            "\n".join(key)
            for (of_source, *key), runs in self.of_client.items()
            if of_source == source and 0 < limits.of_client(source, key[-1]) <= runs
        ]
        return _Full(tenants, entities, clients)

    def tenant_has_room(self, head: _Head, limit: int) -> bool:
        """Whether the tenant's limit leaves room: to all of its entities, or to this one, for
        which nothing counts that another holds beyond its share (`RunStore.claim`)."""
        entities = self.of_tenant[head.source, head.tenant_id]
        if not limit or sum(entities.values()) < limit:
            return True
        share = max(limit // len(entities), 1)
        is_below = entities[head.entity_id] < share
        return is_below and sum(min(runs, share) for runs in entities.values()) < limit


@dataclass(frozen=True, slots=True)
class _Full:
    """Who has no room on a source whatever waits there, as `queue_heads` reads it."""

    tenants: list[str]
    entities: list[str]
    clients: list[str]


class _Round:
    """One claim: the heads of all clients in a heap, and what runs."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        claimant: Claimant,
        limits: ClaimLimits,
        positions: ClaimPositions,
        max_heads: int,
    ) -> None:
        self._connection = connection
        self._claimant = claimant
        self._limits = limits
        self._max_heads = max_heads
        self.is_partial = False
        """Whether there are clients that it has not considered."""
        self._turns: dict[tuple[str, str], int] = {}
        self._heads: list[_Head] = []
        self._running = _Running()
        for row in connection.execute(SQL["running"]):
            self._running.add(*row)
        for source, found in [
            (source, self._find_heads(source, positions))
            for source in dict.fromkeys(limits.sources)
        ]:
            self._load(source, found)

    def take(self) -> list[Attempt]:
        """Serve the entity that has fewest running, until no slot or run is left.

        A head that has no room is dropped: within a claim, room only shrinks.
        """
        taken: list[Attempt] = []
        while self._heads and self._has_slot(len(taken), self._heads[0]):
            head = heappop(self._heads)
            level, turn = self._turn_of(head)
            if (level, turn) != (head.level, head.turn):  # served meanwhile, by another head
                heappush(self._heads, replace(head, level=level, turn=turn))
            elif self._has_room(head):
                taken.append(self._serve(head))
        return taken

    def _find_heads(self, source: str, positions: ClaimPositions) -> list[tuple[Any, ...]]:
        """The heads of a source. It steps over what certainly has no room."""
        tenant, entity, client = positions.after(source)
        full = self._running.full(source, self._limits)
        values = {
            "source": source,
            "now_ms": self._claimant.now_ms,
            "after_tenant": tenant,
            "after_entity": entity,
            "after_client": client,
            "max_heads": self._max_heads,
            "full_tenants": json_text(full.tenants),
            "full_entities": json_text(full.entities),
            "full_clients": json_text(full.clients),
        }
        found = self._connection.execute(SQL["queue_heads"], values).fetchall()
        self.is_partial |= any(row[-1] >= self._max_heads for row in found)
        return found

    def _load(self, source: str, found: list[tuple[Any, ...]]) -> None:
        """A client that waits out a back-off has no head, but its entity counts as waiting."""
        for turn, ready_ms, seq, tenant, entity, client, _ in found:
            self._running.add(source, tenant, entity, client, 0)
            if ready_ms <= self._claimant.now_ms:
                level = self._running.anywhere[tenant, entity] + 1
                self._turns[tenant, entity] = turn
                head = _Head(level, turn, ready_ms, seq, source, tenant, entity, client)
                heappush(self._heads, head)

    def _turn_of(self, head: _Head) -> tuple[int, int]:
        """Level and turn of the head's entity now."""
        return self._running.anywhere[head.entity] + 1, self._turns[head.entity]

    def _has_slot(self, taken: int, head: _Head) -> bool:
        """A fair slot is for the first run of an entity alone."""
        free, fair = self._limits.free_slots, self._limits.fair_slots
        return taken < free or (head.level == 1 and taken < free + fair)

    def _has_room(self, head: _Head) -> bool:
        limits, running, source = self._limits, self._running, head.source
        entity = source, *head.entity
        of_client = limits.of_client(source, head.client_id)
        of_entity = limits.of_entity(source, head.entity_id)
        return (
            (not of_client or running.of_client[*entity, head.client_id] < of_client)
            and (not of_entity or running.of_entity[entity] < of_entity)
            and running.tenant_has_room(head, limits.of_tenant(source, head.tenant_id))
        )

    def _serve(self, head: _Head) -> Attempt:
        """Claim the head, note the turn, and replace the head by the client's next run."""
        attempt = _start_attempt(
            self._connection, read_run_at(self._connection, head.seq), self._claimant
        )
        self._running.add(head.source, head.tenant_id, head.entity_id, head.client_id)
        entity = {"tenant_id": head.tenant_id, "entity_id": head.entity_id}
        self._turns[head.entity] = self._connection.execute(SQL["take_turn"], entity).lastrowid or 0
        client = {**entity, "client_id": head.client_id, "source": head.source}
        values = {**client, "now_ms": self._claimant.now_ms}
        following = self._connection.execute(SQL["next_of_client"], values).fetchone()
        if following is not None:
            level, turn = self._turn_of(head)
            ready_ms, seq = following
            heappush(self._heads, replace(head, level=level, turn=turn, ready_ms=ready_ms, seq=seq))
        return attempt


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

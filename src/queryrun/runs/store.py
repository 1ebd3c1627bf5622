"""The RunStore protocol: what a database must guarantee for runs. The SQL is in `db/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from queryrun.audit.model import AuditEntry
from queryrun.errors import Failure, QueueFull
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    Cancellation,
    EngineStop,
    IdempotentWrite,
    ResultFile,
    Run,
    RunEventRecord,
    RunRequest,
    Stage,
    StopReason,
)
from queryrun.runs.state import RunState
from queryrun.runs.usage import AttemptUsage


@dataclass(frozen=True, slots=True)
class Accepted:
    """What `accept` returns: the run, and the stored response when the key had been used before."""

    run: Run
    replay: bytes | None = None


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """What a lease extension returns about one attempt that this node still holds."""

    ref: AttemptRef
    state: RunState


@dataclass(frozen=True, slots=True)
class OwnRunning:
    """How much single tenants, entities and clients may have running on each source, by id."""

    tenants: Mapping[str, int] = field(default_factory=dict)
    entities: Mapping[str, int] = field(default_factory=dict)
    clients: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimLimits:
    """How much `claim` may take. The limits count `canceling` runs too: they hold slots.

    `sources` are those this node can run at this moment. A limit that is missing or 0 is none.
    """

    sources: Sequence[str]
    free_slots: int
    per_tenant_running: Mapping[str, int]
    """source -> limit that the entities of a tenant share (contract F7)."""
    per_entity_running: Mapping[str, int] = field(default_factory=dict)
    per_client_running: Mapping[str, int] = field(default_factory=dict)
    """source -> limit of a client in one entity."""
    fair_slots: int = 0
    """Slots beyond `free_slots` for entities that have nothing running anywhere."""
    own: OwnRunning = field(default_factory=OwnRunning)
    """Limits beside those of the sources; the smaller counts."""

    def of_tenant(self, source: str, tenant_id: str) -> int:
        """What a tenant may have running on the source; 0 for no limit."""
        return _smaller(self.per_tenant_running.get(source), self.own.tenants.get(tenant_id))

    def of_entity(self, source: str, entity_id: str) -> int:
        """What an entity may have running on the source; 0 for no limit."""
        return _smaller(self.per_entity_running.get(source), self.own.entities.get(entity_id))

    def of_client(self, source: str, client_id: str) -> int:
        """What a client may have running on the source in one entity; 0 for no limit."""
        return _smaller(self.per_client_running.get(source), self.own.clients.get(client_id))


def _smaller(one: int | None, other: int | None) -> int:
    return min(one or other or 0, other or one or 0)


ALL_HEADS = 1_000_000_000
"""More clients than ever wait."""


def max_heads(limits: ClaimLimits) -> int:
    """How many clients with a run that may start a claim considers. Many more than it can serve, so
    that it chooses well; few enough that thousands that wait do not slow it down."""
    return 64 + 4 * (limits.free_slots + limits.fair_slots)


class ClaimPositions:
    """Behind which client of each source the next claim begins: round and round, so that each is
    considered again. Every store object has its own; it need not survive."""

    def __init__(self) -> None:
        self._after: dict[str, tuple[str, str, str]] = {}

    def after(self, source: str) -> tuple[str, str, str]:
        """Tenant, entity and client; empty at first, which is before everybody."""
        return self._after.get(source, ("", "", ""))

    def advance(self, request: RunRequest) -> None:
        """A run of this client was claimed."""
        self._after[request.source] = (request.tenant_id, request.entity_id, request.client_id)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many runs may wait on a source, counted for each entity and client, and for the tenant
    with all of its entities. 0: no limit."""

    per_entity: int = 0
    per_client: int = 0
    """Of a client in one entity."""
    per_tenant: int = 0

    def full(self, source: str) -> QueueFull:
        """The refusal. It tells a caller of its own runs; of others only that the tenant's queue
        may be what is full."""
        entity, client = self.per_entity, self.per_client
        who, limit = (
            ("client", client) if 0 < client < (entity or client + 1) else ("entity", entity)
        )
        owners = [(who, limit)] if limit else []
        owners += [("tenant", self.per_tenant)] if self.per_tenant else []
        has = " or ".join(f"your {who} has {limit}" for who, limit in owners)
        return QueueFull(
            f"{has} query runs waiting on {source}, as many as may wait",
            QUEUE_FULL_RETRY_AFTER_S,
        )


NO_QUEUE_LIMITS = QueueLimits()
QUEUE_FULL_RETRY_AFTER_S = 5
"""The `Retry-After` of a caller whose queue is full: about the time of a short run."""


Position = tuple[int, int]
"""Where a run is in a list: its creation in milliseconds since 1970, and the store's number."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """The filter of a list of runs. Empty fields do not restrict; the order is newest first: by
    creation, and by the store's number among runs of one millisecond."""

    tenant_id: str
    entity_id: str | None = None
    """None: every entity of the tenant (admins)."""
    client_id: str | None = None
    states: frozenset[RunState] = frozenset()
    sources: frozenset[str] = frozenset()
    created_from: datetime | None = None
    created_before: datetime | None = None
    tags: tuple[tuple[str, str], ...] = ()
    oldest_first: bool = False
    after: Position | None = None
    """The position of the last run already seen (`RunPage.next_after`)."""
    limit: int = 30


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of runs, and the position of the next one; None on the last page."""

    runs: tuple[Run, ...]
    next_after: Position | None


@dataclass(frozen=True, slots=True)
class Completed:
    """Detail of `complete`: the file is already durable when this is written.

    `usage`, here and in what else ends an attempt: None for what its last progress says.
    """

    file: ResultFile
    processing_ms: int
    usage: AttemptUsage | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Detail of `fail`. `cancellation` is set when we had to stop the work (a limit, the time)."""

    failure: Failure
    cancellation: Cancellation | None = None
    usage: AttemptUsage | None = None


@dataclass(frozen=True, slots=True)
class Requeued:
    """Detail of `requeue`. `charge` is False when the run did not cause it, as in a drain."""

    failure: Failure
    delay_s: float = 0.0
    """The pause before the next attempt, counted from the write by the store's clock."""
    charge: bool = True
    cancellation: Cancellation | None = None
    usage: AttemptUsage | None = None


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Detail of `cancel`."""

    reason: StopReason
    canceled_by: str | None


@dataclass(frozen=True, slots=True)
class Freed:
    """Detail of `freed`: how the engine's stop was confirmed, and the attempt's stage."""

    engine_stop: EngineStop
    stage: Stage | None = None
    usage: AttemptUsage | None = None
    steps: tuple[tuple[str, str], ...] | None = None
    """As in `Cancellation`."""


Detail = Completed | Failed | Requeued | CancelRequested | Freed


@dataclass(frozen=True, slots=True)
class ExpiredShare:
    """Finished runs, and those of them that are past their retention."""

    finished: int
    expired: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an entity, or a client in it, keeps and has written, in bytes."""

    statement_bytes: int = 0
    result_bytes: int = 0
    written_bytes: int = 0
    """Of result files today (UTC): what `complete` says, and the last reported size of attempts
    that ended otherwise."""


class RunStore(Protocol):
    """Durable runs, their attempts and their history.

    Every method is one transaction. `runs.state.advance` decides a transition. It is written with
    a compare-and-set on the state (and, for an attempt's, on its number), together with one
    `run_events` row. Methods that come too late raise `LostRace` and write nothing.

    Times come from the store's clock (SQLite: the clock it was built with; PostgreSQL: the
    database's). On power loss: `accept`, `cancel` and every transition to a
    terminal state are durable (fsync) before the method returns; claims, handles and lease
    extensions survive a killed process, but may be lost with the machine, in which case the
    run is found `accepted`, or with an expired lease, and no client has read otherwise.
    """

    async def accept(
        self,
        request: RunRequest,
        *,
        run_id: str,
        queue_limits: QueueLimits = NO_QUEUE_LIMITS,
        idempotent: IdempotentWrite | None = None,
        audit: AuditEntry | None = None,
    ) -> Accepted:
        """Write a new run, `accepted`, and return it. Durable before this returns.

        `audit` is appended to the audit log in the same transaction; not for a replay.

        `queue_limits` count the runs that wait (`accepted`) on the source, of the entity and of
        its client: nobody else's runs matter. Beyond them: `QueueFull`, nothing written. Counting
        costs as many index entries as may wait.

        With `idempotent`: the first call stores `idempotent.response(run)` in the same transaction.
        A later call with the same entity, key and fingerprint writes nothing and returns the first
        run with `replay` set; another fingerprint raises `IdempotencyMismatch`; a key whose
        first request has no response yet, or got one without creating a run, raises
        `IdempotencyInFlight` (`IdempotencyStore.find_key`, called before, finds that response).
        """
        ...

    async def get(self, run_id: str) -> Run | None:
        """The run as last written, or None. Does not check who may see it."""
        ...

    async def find(self, query: RunQuery) -> RunPage:
        """Runs that match, newest (or oldest) first, stable under inserts."""
        ...

    async def claim(self, node: str, *, lease_s: float, limits: ClaimLimits) -> list[Attempt]:
        """Take up to `limits.free_slots` waiting runs for `node` and start an attempt on each.

        A run is waiting when all of these hold: its state is `accepted`; its `ready_time` is
        not in the future, by the store's clock; its source is among `limits.sources`; its
        tenant, entity and client have room on that source.

        The entities of a tenant share its limit. A share is the limit divided by the entities
        that run or wait on the source, and at least 1. An entity below its share has room while
        the limit is not reached *without what others hold beyond their shares*: an entity alone
        may use the whole limit, and the next one does not wait until those runs have finished.
        So a tenant may exceed its limit for a while, at most twofold.

        First the entity that has fewest running (anywhere), then the one that was served longest
        ago; within an entity, the run that has been ready longest. Beyond `free_slots`, an entity
        with nothing running may start one run in a fair slot. While more clients wait than
        `max_heads`, that order holds among as many of them, and the next claim begins behind a
        client that this one has served: each is considered at least once in a turn of all. The cost
        grows with what runs, not with the queue nor, beyond that number, with the clients that
        wait. Each returned attempt
        is already `in_progress`, has the next attempt number and a lease until the store's clock
        plus `lease_s`.

        Two nodes never get the same attempt. The lease protects the record, not the engine: a
        node that stops extending may lose an attempt later, and its writes then raise
        `LostRace`, but what it started runs on until someone stops it by its handle.

        An empty list means nothing was waiting at that moment, not that nothing is queued.
        """
        ...

    async def next_ready_s(self, sources: Sequence[str]) -> float | None:
        """Seconds, by the store's clock, until the earliest run that waits out a back-off becomes
        ready; None when none does."""
        ...

    async def save_handle(self, ref: AttemptRef, *, handle: str, file_key: str) -> None:
        """Record how any process can stop this attempt's work and which file it may leave.

        Called before anything waits on the engine. `LostRace` when the attempt is no longer
        the run's newest or the run is not `in_progress` (a cancel came first): then the
        caller must not start the statement.
        """
        ...

    async def extend(
        self,
        node: str,
        refs: Sequence[AttemptRef],
        *,
        lease_s: float,
        progress: Mapping[AttemptRef, AttemptProgress] | None = None,
    ) -> list[HeldAttempt]:
        """Renew the leases of these attempts of `node` and return the state of each run.

        `progress` is written too, so that other nodes can report it. The stored progress of an
        attempt that it does not name is kept.

        An attempt that is missing from the result is no longer this node's. An attempt that
        is `canceling` must be stopped: this covers notifications that were lost.

        The lease of an attempt that is not named expires: its claim may have been committed
        without a reply reaching the node, and then only the reaper can settle it.
        """
        ...

    async def complete(self, ref: AttemptRef, detail: Completed) -> Run:
        """`in_progress` -> `complete`. `LostRace` (say, a cancel won): discard the file."""
        ...

    async def fail(self, ref: AttemptRef, detail: Failed) -> Run:
        """`in_progress` -> `failed`."""
        ...

    async def requeue(self, ref: AttemptRef, detail: Requeued) -> Run:
        """`in_progress` -> `accepted`, for another attempt after `detail.delay_s`.

        With `charge`, `remaining_attempts` drops by one; the caller has checked that it is
        above zero, and the write is refused (`LostRace`) if it is not. Only after the
        attempt's work is confirmed stopped: the next attempt may start at once.
        """
        ...

    async def cancel(
        self, run_id: str, detail: CancelRequested, *, idempotent: IdempotentWrite | None = None
    ) -> Run:
        """`accepted` -> `canceled`, or `in_progress` -> `canceling`.

        A run that is already `canceling` is returned as it is (a second cancel is not an error).
        `NotCancellable` when it had finished; `NotFound` when there is no such run.

        With `idempotent`: the key is written in the same transaction, in flight, with
        `idempotent.response(run)` as the replay if it is never completed. The caller waits for the
        engine, then calls `IdempotencyStore.complete_key` with the final response. A key that
        is in use already raises `IdempotencyMismatch` or `IdempotencyInFlight` and nothing is
        written: replays are found by `IdempotencyStore.find_key`, before.
        """
        ...

    async def renew_listener(self, run_id: str, *, for_s: float) -> None:
        """Somebody listens to the run, and counts as listening for so long. Never shortens that.
        Does nothing for a run that was not submitted to end without listeners."""
        ...

    async def abandoned_runs(self, *, limit: int) -> list[Run]:
        """Runs to be canceled, because nobody listens to them any more: waiting or running ones
        that were submitted with `cancel_on_disconnect_s`. Forgets the listeners of all others."""
        ...

    async def freed(self, ref: AttemptRef, detail: Freed) -> Run:
        """`canceling` -> `canceled`. Only after the engine's stop is confirmed."""
        ...

    async def expired_leases(
        self, *, exclude_node: str | None = None, limit: int = 100
    ) -> list[Attempt]:
        """Attempts whose lease has expired, oldest first: `in_progress` or `canceling`.

        With `exclude_node`, every attempt that is not held by that node counts as expired: true on
        one node that owns its store alone, and used when it starts. The call expires those leases,
        so that `take_over` works.
        """
        ...

    async def take_over(self, ref: AttemptRef, node: str, *, lease_s: float) -> bool:
        """Give the expired lease of an attempt to `node`, so that only one reaper handles it.

        False when another node has it, or it has not expired.
        """
        ...

    async def events(self, run_id: str) -> list[RunEventRecord]:
        """The run's history, oldest first; empty for an unknown run."""
        ...

    async def progress(self, run_id: str) -> AttemptProgress | None:
        """Progress of the run's attempt when its lease was last extended. While its node is alive,
        it is at most as old as the interval between two extensions.

        None when no attempt is held, when its lease has not been extended yet, and from the
        moment a reaper takes it over: no worker runs it then.
        """
        ...

    async def queue_position(self, run_id: str) -> int | None:
        """How many runs of the same entity and source are before it; None if not waiting."""
        ...

    async def record_outage(self, *, age_s: float) -> None:
        """The store was away for a node until `age_s` ago. Only the latest outage is kept."""
        ...

    async def outage_age_s(self) -> float:
        """Seconds, by the store's clock, since the end of the latest outage that a node recorded;
        infinite when there was none."""
        ...

    async def expired_share(self, *, retention_s: float, max_expired: int) -> ExpiredShare:
        """How many finished runs there are, and how many of them `remove_expired` would delete:
        counted up to `max_expired`. Costs an index entry for each finished run."""
        ...

    async def remove_expired(self, *, retention_s: float, limit: int) -> int:
        """Delete finished runs that did not change for `retention_s` by the store's clock, the
        oldest first, with their history; returns how many. In the same transaction every file that
        they have or may have left is put on record (`recorded_removals`)."""
        ...

    async def record_removals(self, keys: Sequence[str]) -> None:
        """Put files on record that are to be removed, or behind all others that are."""
        ...

    async def recorded_removals(self, *, limit: int) -> list[str]:
        """Files to remove, the longest on record first."""
        ...

    async def forget_removals(self, keys: Sequence[str]) -> None:
        """Take files off the record that have been removed."""
        ...

    async def usage(self, tenant_id: str, entity_id: str, client_id: str) -> tuple[Usage, Usage]:
        """What the entity, and this client in it, use. Exact: counted in the same transactions
        as the runs. Costs one entry per client of the entity (on PostgreSQL, up to 16)."""
        ...

    async def stored_bytes(self, tenant_id: str) -> int:
        """The size of all result files that the tenant keeps. Costs one entry for each client of
        its entities (on PostgreSQL, up to 16)."""
        ...

    async def counts(self) -> dict[tuple[str, RunState], int]:
        """Runs that have not finished, by source and state; for metrics."""
        ...

    async def longest_queues(self, *, limit: int) -> dict[tuple[str, str], int]:
        """The entities with most runs waiting on a source: (source, entity id) -> how many; for
        metrics. Costs an index entry for each waiting run."""
        ...

    async def unfinished_ages_s(self) -> list[float]:
        """Seconds since the first attempt of each run that was started and is not terminal; for
        metrics. By the store's clock."""
        ...

    async def healthy(self) -> bool:
        """True when the store serves a trivial read."""
        ...

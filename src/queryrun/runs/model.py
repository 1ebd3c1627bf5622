"""The records of a run: frozen, no I/O. The stores convert rows to these and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from queryrun.errors import Failure
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.runs.state import RunEvent, RunState
from queryrun.sql.parameters import Parameter

DEFAULT_MAX_RETRIES = 3
"""Attempts after the first one, unless a source overrides it (contract F8)."""


class StopReason(StrEnum):
    """Why we stopped an attempt's work; `cancellation.reason` (docs/cancel.md#the-record)."""

    USER = "user"
    TIMEOUT = "timeout"
    LIMIT = "limit"
    ADMIN = "admin"
    SHUTDOWN = "shutdown"
    LEASE = "lease"
    DISCONNECT = "disconnect"
    """Nobody listened to the run any more, and it was submitted to end then."""


class Stage(StrEnum):
    """The stage that an attempt had reached; `cancellation.stage` on the record."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    STARTING = "starting"
    PLANNING = "planning"
    EXECUTING = "executing"
    WRITING = "writing"
    COMMITTING = "committing"


class EngineStop(StrEnum):
    """How the engine's stop was confirmed; `cancellation.engine_stop` on the record."""

    NEVER_STARTED = "never_started"
    INTERRUPTED = "interrupted"
    KILLED = "killed"
    REMOTE_CONFIRMED = "remote_confirmed"


class StopStep(StrEnum):
    """What is done, in this order, to stop an attempt; `cancellation.steps` on the record."""

    INTERRUPT_SENT = "interrupt_sent"
    """The worker was told to stop what it does."""
    KILL_SENT = "kill_sent"
    """It had not exited by itself."""
    REAPED = "reaped"
    """Its process is gone: memory and spill are back."""
    ENGINE_CONFIRMED = "engine_confirmed"
    """The remote engine shows none of its work any more."""
    FILE_REMOVED = "file_removed"
    """Its unfinished file is gone, or its removal is on record."""


class AttemptOutcome(StrEnum):
    """How an attempt finished."""

    COMPLETE = "complete"
    FAILED = "failed"
    REQUEUED = "requeued"
    """The run waits for another attempt."""
    CANCELED = "canceled"


ATTEMPT_OUTCOMES = {
    RunEvent.COMPLETE: AttemptOutcome.COMPLETE,
    RunEvent.FAIL: AttemptOutcome.FAILED,
    RunEvent.REQUEUE: AttemptOutcome.REQUEUED,
    RunEvent.FREED: AttemptOutcome.CANCELED,
}
"""The events that finish an attempt. A cancel does not: its engine must have stopped first."""


class DeletedRows(StrEnum):
    """Which rows of tables with a `deleted` column a statement sees (contract F3, H3)."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Output:
    """The format of the result file that the caller requested."""

    content_type: ContentType
    content_encoding: ContentEncoding = ContentEncoding.NONE
    column_separator: str | None = None
    encryption_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One valid request to run one statement: everything the submitter chose."""

    tenant_id: str
    entity_id: str
    client_id: str
    source: str
    sql: str = field(repr=False)
    output: Output
    deleted_rows: DeletedRows = DeletedRows.EXCLUDE
    timeout_s: float | None = None
    tags: tuple[tuple[str, str], ...] = ()
    org_ids: tuple[str, ...] = ()
    max_retries: int = DEFAULT_MAX_RETRIES
    """Attempts after the first one; what `remaining_attempts` of the run starts with."""
    extras: tuple[tuple[str, str], ...] = ()
    """What the API must return later and nothing else reads (v1's `useIndexJoin`, …)."""
    notify_url: str | None = None
    """Where events of this run are sent, beside its client's webhooks."""
    cancel_on_disconnect_s: float | None = None
    """Cancel the run when nobody has listened to it for so long. None: it is kept."""
    parameters: tuple[Parameter, ...] = field(default=(), repr=False)
    """The values of `?` and `:name` in the statement."""
    traceparent: str | None = None
    """The span that submitted it, as W3C's header has it. None: nobody traces it."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A committed result file. It exists exactly for runs that are `complete`."""

    key: str
    size_bytes: int
    sha256: str
    rows: int
    columns: tuple[tuple[str, str], ...] = ()
    """Names and types, as Trino names them, in the file's order. Empty: too many to keep."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The record of a stop: who requested it and why, the attempt's stage, what confirmed it.

    `canceled_time` stays empty until the stop is confirmed, and for good when the run
    was stopped for a limit and is `failed`.
    """

    requested_time: datetime
    reason: StopReason
    canceled_by: str | None
    stage: Stage | None = None
    engine_stop: EngineStop | None = None
    canceled_time: datetime | None = None
    steps: tuple[tuple[str, str], ...] | None = None
    """Each `StopStep` that was taken, and how many milliseconds after the request, as text. On the
    monotonic clock of the node that stopped it; None where only a node that died would know."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as last written. `attempt` is the number of its newest attempt, 0 before the first."""

    id: str
    request: RunRequest
    state: RunState
    attempt: int
    remaining_attempts: int
    created_time: datetime
    updated_time: datetime
    ready_time: datetime
    """Not claimed before this: the creation, or the end of a back-off."""
    started_time: datetime | None = None
    file: ResultFile | None = None
    processing_ms: int | None = None
    failure: Failure | None = None
    cancellation: Cancellation | None = None


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """Names one attempt. The number is the fence: a later attempt makes this one's writes fail."""

    run_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed attempt: the right of one node to act for a run until the lease expires."""

    ref: AttemptRef
    run: Run
    node: str
    lease_until: datetime
    handle: str | None = None
    """The engine handle, once saved: what any process needs to stop this attempt's work."""
    file_key: str | None = None
    """The key under which the result file is, or would have been, committed."""


@dataclass(frozen=True, slots=True)
class AttemptProgress:
    """Progress of an attempt, as its worker last reported. Within an attempt nothing decreases.

    `percent` is the engine's own estimate, 0 to 100; None while it has none.
    `rows` and `size_bytes` count what has been written of the result file; the others are of the
    worker. `read_bytes` is a lower bound.
    """

    stage: Stage
    percent: float | None = None
    rows: int = 0
    size_bytes: int = 0
    cpu_ms: int = 0
    peak_memory_bytes: int = 0
    read_bytes: int = 0
    spilled_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RunEventRecord:
    """One row of a run's history: an event that was applied, and the resulting state."""

    run_id: str
    attempt: int
    event: RunEvent | None
    """None for the creation."""
    state: RunState
    at: datetime
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key (contract C11), bound to the request that used it first.

    `fingerprint` digests that request: a repeat has the same one.
    """

    tenant_id: str
    entity_id: str
    text: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class IdempotentWrite:
    """A write whose effect and response are stored together, under an idempotency key.

    `response` encodes the response from the run as it was written. It runs inside the
    transaction, so it must be pure and quick. The bytes are opaque to the store.
    """

    idempotency_key: IdempotencyKey
    response: Callable[[Run], bytes]

"""What the contract of run stores works with: requests, details, ways to a state, a back door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import uuid4

from queryrun.errors import (
    Failure,
    FailureCode,
)
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    DEFAULT_MAX_RETRIES,
    Attempt,
    EngineStop,
    IdempotencyKey,
    IdempotentWrite,
    Output,
    ResultFile,
    Run,
    RunRequest,
    Stage,
    StopReason,
)
from queryrun.runs.store import (
    CancelRequested,
    ClaimLimits,
    Completed,
    Freed,
    Requeued,
    RunStore,
)

TENANT = "tenant-1"
ENTITY = "entity-1"
CLIENT = "client-1"
LEASE_S = 30.0
BY_USER = CancelRequested(StopReason.USER, CLIENT)
KILLED = Freed(
    EngineStop.KILLED,
    Stage.EXECUTING,
    steps=(("interrupt_sent", "0"), ("kill_sent", "250"), ("reaped", "251")),
)
WORKER_LOST = Failure(FailureCode.WORKER_LOST, "the worker died")
BAD_NAME = Failure(FailureCode.NAME_NOT_FOUND, "no such column", line=2, column=7)
FILE = Completed(ResultFile("key.csv", 12, "ab" * 32, 3), processing_ms=41)


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """A row of `attempts` as stored in the database."""

    number: int
    node: str
    handle: str | None
    file_key: str | None
    is_finished: bool
    outcome: str | None
    failure_code: str | None
    stop_reason: str | None
    stop_engine: str | None


class RawDatabase(Protocol):
    """Direct access behind the interface."""

    def now(self) -> datetime:
        """The store's time."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Let the store's time pass."""
        ...

    async def attempts(self, run_id: str) -> list[AttemptRecord]:
        """The run's attempts, in order."""
        ...

    async def rows_about(self, run_id: str) -> int:
        """How many rows, in any table, belong to the run."""
        ...

    def execute(self, statement: str) -> None:
        """Change the database by hand."""
        ...


def request(
    *,
    tenant: str = TENANT,
    entity: str = ENTITY,
    client: str = CLIENT,
    source: str = "live",
    tags: tuple[tuple[str, str], ...] = (),
    max_retries: int = DEFAULT_MAX_RETRIES,
) -> RunRequest:
    """A plain request."""
    output = Output(ContentType.CSV)
    return RunRequest(
        tenant, entity, client, source, "SELECT 1", output, tags=tags, max_retries=max_retries
    )


def limits(*sources: str, slots: int = 10, running: int = 0) -> ClaimLimits:
    """Limits of a claim; the same running limit on every source."""
    named = sources or ("live",)
    return ClaimLimits(named, slots, dict.fromkeys(named, running))


async def submitted(store: RunStore, of: RunRequest | None = None) -> Run:
    """A run that waits."""
    accepted = await store.accept(of or request(), run_id=str(uuid4()))
    return accepted.run


async def claimed(store: RunStore, *sources: str, node: str = "node-a") -> Attempt:
    """An attempt on the one run that is next."""
    [attempt] = await store.claim(node, lease_s=LEASE_S, limits=limits(*sources, slots=1))
    return attempt


async def started(store: RunStore, *, node: str = "node-a") -> Attempt:
    """An attempt on a new run, when nothing else waits."""
    await submitted(store)
    return await claimed(store, node=node)


async def read(store: RunStore, run_id: str) -> Run:
    """The run as last written."""
    run = await store.get(run_id)
    assert run is not None
    return run


def back(delay_s: float = 0, *, charge: bool = True) -> Requeued:
    """A requeue, ready after a pause."""
    return Requeued(WORKER_LOST, delay_s, charge=charge)


def idempotent(
    key: str = "key-1",
    *,
    tenant: str = TENANT,
    entity: str = ENTITY,
    fingerprint: str = "fp-1",
) -> IdempotentWrite:
    """A write under an idempotency key; the response is the run's id."""
    bound = IdempotencyKey(tenant, entity, key, fingerprint)
    return IdempotentWrite(bound, lambda run: run.id.encode())

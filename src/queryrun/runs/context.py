"""The dependencies of the core's two sides: requests, and attempts. Both are built in `wiring`.

The functions of the request side (`submit`, `cancel`, `read`, `follow`, `tables`) take a
`RequestContext` first. The dispatcher, its attempts and the reaper share an `AttemptContext`.
Neither holds the state of a run: the store is the truth.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from queryrun.audit.store import AuditStore
from queryrun.engines.base import RowFilter
from queryrun.engines.estimates import StatementEstimate
from queryrun.results.store import ResultStore
from queryrun.runs.file_removal import FileRemoval
from queryrun.runs.health import NodeHealth
from queryrun.runs.limiter import Limiter
from queryrun.runs.limits import Limited, LimitState
from queryrun.runs.metrics import RunMetrics
from queryrun.runs.model import AttemptProgress
from queryrun.runs.notify import ChangeNotifier
from queryrun.runs.outages import StoreOutages
from queryrun.runs.quotas import Quotas
from queryrun.runs.remote import RemoteWork
from queryrun.runs.retry import RetryPolicy
from queryrun.runs.shortages import WaitReasons
from queryrun.runs.source_policy import SourcePolicy
from queryrun.runs.sources import SourceHealth
from queryrun.runs.store import RunStore
from queryrun.runs.trace import Tracer
from queryrun.runs.usage import UsageStore
from queryrun.sql.guard.validation import TableColumns, Validation
from queryrun.sql.guard.verdict import Verdict
from queryrun.sql.parameters import Parameter
from queryrun.worker.frames import WorkerConfig
from queryrun.worker.pool import Stopped
from queryrun.worker.worker import Worker


class StatementGuard(Protocol):
    """Decides whether a statement may be accepted, without stalling the event loop."""

    async def check(
        self,
        statement: str,
        dialect: str,
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Verdict:
        """The verdict on one statement in its source's dialect; entities take turns.

        Never raises for a bad statement.
        """
        ...

    async def validate(
        self,
        statement: str,
        tables: tuple[TableColumns, ...] | None,
        entity_id: str = "",
        parameters: Sequence[Parameter] = (),
    ) -> Validation:
        """What the compiler says of a statement in Trino's SQL; without tables only its syntax."""
        ...


Estimate = Callable[
    [str, str, str, RowFilter, tuple[Parameter, ...]], Awaitable[StatementEstimate | None]
]
"""(source, entity id, statement, rows, parameters) -> `estimate.StatementEstimates.estimate`."""


AnnounceLimit = Callable[[Limited, LimitState, str], Awaitable[None]]
"""Tells receivers outside of a submit that a limit has refused, with its message."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What submitting, reading and cancelling need."""

    store: RunStore
    guard: StatementGuard
    notifier: ChangeNotifier
    sources: Mapping[str, SourcePolicy]
    default_source: str
    now: Callable[[], datetime]
    usage: UsageStore
    audit: AuditStore
    audit_statements: bool = False
    """Whether the audit log has the text of statements."""
    limiter: Limiter | None = None
    """Limits that are set for tenants, entities, clients and sources; None: there are none."""
    announce_limit: AnnounceLimit | None = None
    estimate: Estimate | None = None
    """Says what a statement would read, where a limit may refuse it for that."""
    quotas: Quotas | None = None
    """How much statements may use; None: as much as there is."""
    statements: frozenset[str] = frozenset()
    """Kinds of statement accepted in addition to the contract's (contract H9);
    see `guard.BEYOND_THE_CONTRACT`."""
    accepting: Callable[[], bool] = lambda: True
    """False while the node drains: it refuses submits (503), still serves reads and cancels, and
    shortens waits."""
    progress: Callable[[str], AttemptProgress | None] = lambda _run_id: None
    """Current progress of a run whose attempt this node holds; None for every other run
    (`read.progress_of` covers those too)."""
    has_worker: Callable[[str], bool] = lambda _source: True
    """Whether any live node runs statements on the source."""
    unavailable_reason: Callable[[str], str | None] = lambda _source: None
    """Why a source cannot be used at the moment; None when it can."""
    wait_reason: Callable[[str], str | None] = lambda _run_id: None
    """Why a run that this node queued again waits, as far as the node knows."""
    blocked_by: Callable[[], str | None] = lambda: None
    """Which part of this node no run can start without at the moment, and why; None: none."""


class Workers(Protocol):
    """What an attempt uses of the worker pool (`worker.pool.WorkerPool` implements it)."""

    async def take(self, config: WorkerConfig) -> Worker:
        """A worker with this configuration; cancelling this call leaks nothing."""
        ...

    def give_back(self, worker: Worker) -> None:
        """The worker finished cleanly and may serve the same entity again."""
        ...

    async def stop(self, worker: Worker) -> Stopped:
        """Stop the worker and return only when it is reaped; `NotReaped` when it cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """What the attempts of this node, its dispatcher and its reaper need."""

    node: str
    store: RunStore
    workers: Workers
    results: ResultStore
    files: FileRemoval
    notifier: ChangeNotifier
    policy: Callable[[str], SourcePolicy]
    """source -> its limits"""
    worker_config: Callable[[str, str, Sequence[str]], Awaitable[WorkerConfig]]
    """(source, entity id, orgs) -> what the worker opens"""
    remote: RemoteWork
    sources: SourceHealth
    health: NodeHealth
    wait_reasons: WaitReasons
    retry: RetryPolicy
    metrics: RunMetrics
    quotas: Quotas
    now: Callable[[], datetime]
    limiter: Limiter | None = None
    tracer: Tracer | None = None
    """Records the traces of runs; None: nobody does."""
    outages: StoreOutages = field(default_factory=StoreOutages)
    """Noted by the dispatcher, whose loops are the most frequent, and read by the reaper."""

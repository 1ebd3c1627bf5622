"""What attempts work with on one node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from queryrun.results.store import ResultStore
from queryrun.runs.desk import Changes, SourceRules
from queryrun.runs.meter import Meter
from queryrun.runs.remote import RemoteWork
from queryrun.runs.retry import RetryPolicy
from queryrun.runs.sources import SourceHealth
from queryrun.runs.store import RunStore
from queryrun.worker.frames import WorkerConfig
from queryrun.worker.pool import Stopped
from queryrun.worker.worker import Worker


class Workers(Protocol):
    """The part of the worker pool that an attempt uses (`worker.pool.WorkerPool` is the one)."""

    async def take(self, bind: WorkerConfig) -> Worker:
        """A worker bound as asked; cancelling this call leaks nothing."""
        ...

    def give_back(self, worker: Worker) -> None:
        """The worker ended cleanly and may serve the same entity again."""
        ...

    async def stop(self, worker: Worker) -> Stopped:
        """End the worker and return only when it is reaped; `NotReaped` when it cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class Crew:
    """What attempts work with on this node. Built once, in `wiring`."""

    node: str
    store: RunStore
    workers: Workers
    results: ResultStore
    changes: Changes
    rules: Callable[[str], SourceRules]
    bind: Callable[[str, str], Awaitable[WorkerConfig]]
    """(source, entity id) -> which data the worker opens."""
    remote: RemoteWork
    sources: SourceHealth
    retry: RetryPolicy
    meter: Meter
    now: Callable[[], datetime]

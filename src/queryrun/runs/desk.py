"""The front desk of the core: what every request-side function of `runs/` works with.

`submit`, `cancel` and `read` are plain functions that take a `Desk` first. It holds no state
of a run: the store is the truth, `Changes` is a hint.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from queryrun.auth.model import Principal
from queryrun.runs.model import AttemptProgress, Run
from queryrun.runs.store import RunStore
from queryrun.sql.guard import Verdict


class StatementGuard(Protocol):
    """Decides whether a statement may be accepted, without stalling the event loop."""

    async def check(self, statement: str, dialect: str) -> Verdict:
        """The verdict on one statement in its source's dialect. Never raises for a bad one."""
        ...


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What a source asks of runs (contract F7 has the defaults). 0 means no limit."""

    name: str
    running_per_tenant: int = 5
    queued_per_tenant: int = 10
    output_rows: int = 500_000
    output_bytes: int = 0
    memory_bytes: int = 2 * 1024**3
    threads: int = 2
    time_limit_s: float = 3600.0
    dialect: str = "duckdb"
    """What the guard reads statements as: `trino`, `spark`, or `native` for DuckDB's own."""
    org_column: str = ""
    """The column that tells rows of orgs apart; empty when the source has no orgs."""


class Follower:
    """Somebody who follows a run: woken for its changes, and for its progress in between."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.changed = True
        """Whether there may be something new in the store. Whoever reads it clears it, before."""

    def wake(self, *, changed: bool) -> None:
        """There is something new."""
        self.changed = self.changed or changed
        self.woken.set()


class Changes:
    """In-process hints that a run has changed. Losing one costs time, never truth."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)
        self._listeners: list[Callable[[Run], None]] = []

    def publish(self, run: Run) -> None:
        """This node has changed the run: wake everyone who watches it, and tell the standing
        listeners (the dispatcher, and the hints to other nodes)."""
        self.hear(run.id)
        for listener in self._listeners:
            listener(run)

    def hear(self, run_id: str) -> None:
        """Another node has changed the run: wake everyone who watches it here."""
        for event in self._watchers.get(run_id, ()):
            event.set()
        for follower in self._followers.get(run_id, ()):
            follower.wake(changed=True)

    def nudge(self, run_id: str) -> None:
        """The run got further without changing: wake those who follow its progress."""
        for follower in self._followers.get(run_id, ()):
            follower.wake(changed=False)

    def wake_everyone(self, *, changed: bool = False) -> None:
        """Something is new for all who wait, whatever their run: the node begins to drain, or
        (`changed`) hints may have been lost."""
        for events in self._watchers.values():
            for event in events:
                event.set()
        for followers in self._followers.values():
            for follower in followers:
                follower.wake(changed=changed)

    def listen(self, listener: Callable[[Run], None]) -> None:
        """Call `listener` for every published change from now on; it must not block or raise."""
        self._listeners.append(listener)

    @asynccontextmanager
    async def watch(self, run_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the run changes. Begin watching, then read, then wait."""
        event = asyncio.Event()
        self._watchers[run_id].add(event)
        try:
            yield event
        finally:
            self._watchers[run_id].discard(event)
            if not self._watchers[run_id]:
                del self._watchers[run_id]

    @asynccontextmanager
    async def follow(self, run_id: str) -> AsyncIterator[Follower]:
        """Like `watch`, but also woken for progress, and told which of the two it was."""
        follower = Follower()
        self._followers[run_id].add(follower)
        try:
            yield follower
        finally:
            self._followers[run_id].discard(follower)
            if not self._followers[run_id]:
                del self._followers[run_id]


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that submitting, reading and cancelling need. Built once, in `wiring`."""

    store: RunStore
    guard: StatementGuard
    changes: Changes
    sources: Mapping[str, SourceRules]
    default_source: str
    now: Callable[[], datetime]
    statements: frozenset[str] = frozenset()
    """Kinds of statement taken beyond the contract's (H9, `guard.BEYOND_THE_CONTRACT`)."""
    accepting: Callable[[], bool] = lambda: True
    """False while the node drains: submits are refused (503), reads and cancels go on, waits
    are cut short."""
    progress: Callable[[str], AttemptProgress | None] = lambda _run_id: None
    """How far a run is that this node works on, at this moment; None for every other
    (`read.progress_of` knows of those too)."""
    trouble: Callable[[str], str | None] = lambda _source: None
    """Why a source cannot be used at the moment; None when it can."""


def may_see(principal: Principal, run: Run) -> bool:
    """Whether the run exists for this principal (contract H11): its own, or any as an admin."""
    if run.request.tenant_id != principal.tenant_id:
        return False
    if principal.is_admin:
        return True
    mine = run.request.client_id == principal.client_id
    return mine and run.request.entity_id == principal.entity_id

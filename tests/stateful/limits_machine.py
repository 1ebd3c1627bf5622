"""Limits as Hypothesis imagines them: set, used up and renewed, against a model that adds up.

The model knows what each attempt has used, on which day, and the limits that were set last. What
the service says is used, and whom it refuses, must follow from that, on every store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from queryrun.engines.estimates import Certainty, StatementEstimate, TableEstimate
from queryrun.runs.limiter import Limiter
from queryrun.runs.limits import Level, LimitReached, LimitScope, LimitStore, Period, period_of
from queryrun.runs.store import ClaimLimits, RunStore
from queryrun.runs.usage import AttemptUsage, UsageStore
from tests.contract.run_store_fixtures import FILE, request, submitted

T = TypeVar("T")

TENANTS, ENTITIES, CLIENTS, SOURCES = ("t1", "t2"), ("e1", "e2"), ("c1", "c2"), ("live", "other")
FIGURES = {"read_bytes": "read_bytes", "cpu_s": "cpu_ms", "written_bytes": "written"}
NAMES = [f"{name}_per_{period}" for name in FIGURES for period in ("day", "month")]
SCOPES = [
    LimitScope(tenant, f"{tenant}-{entity}", f"{tenant}-{entity}-{client}", source)
    for tenant in TENANTS
    for entity in ENTITIES
    for client in CLIENTS
    for source in SOURCES
]


class Stores(Protocol):
    """One database."""

    @property
    def runs(self) -> RunStore:
        """Its runs."""
        ...

    @property
    def usage(self) -> UsageStore:
        """Its ledger."""
        ...

    @property
    def limits(self) -> LimitStore:
        """Its limits."""
        ...


class MovableClock(Protocol):
    """A clock that the machine moves."""

    def __call__(self) -> datetime:
        """Now."""
        ...

    def move(self, seconds: float) -> None:
        """Let time pass."""
        ...


@dataclass(frozen=True)
class Use:
    """What one attempt has used."""

    scope: LimitScope
    at: datetime
    read_bytes: int
    cpu_ms: int
    written: int = 12


def subject(scope: LimitScope, level: Level) -> str:
    """Whose limits of this level the scope is under."""
    return {
        Level.TENANT: scope.tenant_id,
        Level.ENTITY: scope.entity_id,
        Level.CLIENT: scope.client_id,
        Level.SOURCE: scope.source,
    }[level]


def is_counted(use: Use, scope: LimitScope, level: Level) -> bool:
    """Whether it counts for this scope's limit of the level."""
    if level is Level.SOURCE:
        return (use.scope.tenant_id, use.scope.source) == (scope.tenant_id, scope.source)
    return subject(use.scope, level) == subject(scope, level)


class LimitsMachine(RuleBasedStateMachine):
    """One database, and a limiter over it that caches nothing."""

    open_stores: Callable[[], tuple[MovableClock, Stores]]
    close_stores: Callable[[], None]

    @initialize()
    def begin(self) -> None:
        """Empty stores."""
        self.loop = asyncio.Runner()
        self.clock, self.stores = self.open_stores()
        self.limiter = Limiter(
            self.stores.limits, self.stores.usage, self.stores.runs, self.clock, cache_s=0.0
        )
        self.uses: list[Use] = []
        self.known: dict[tuple[Level, str, str], int] = {}

    @rule(
        scope=st.sampled_from(SCOPES),
        level=st.sampled_from(list(Level)),
        name=st.sampled_from(NAMES),
        value=st.one_of(st.none(), st.integers(0, 30)),
    )
    def set_limit(self, scope: LimitScope, level: Level, name: str, value: int | None) -> None:
        """Somebody sets or removes one."""
        key = level, subject(scope, level), name
        self.run(self.stores.limits.set_limit(*key, value))
        self.known.pop(key, None)
        if value is not None:
            self.known[key] = value

    @rule(
        scope=st.sampled_from(SCOPES),
        read_bytes=st.integers(0, 20),
        cpu_ms=st.integers(0, 9000),
    )
    def run_ends(self, scope: LimitScope, read_bytes: int, cpu_ms: int) -> None:
        """A run completes and has used something, whatever the limits say."""
        self.run(self._run(scope, AttemptUsage(cpu_ms, 1, read_bytes, 1, 0)))
        self.uses.append(Use(scope, self.clock(), read_bytes, cpu_ms))

    @rule(days=st.sampled_from([0.3, 1, 9, 31]))
    def time_passes(self, days: float) -> None:
        """Into the next day or month, maybe."""
        self.clock.move(days * 86400)

    @rule(scope=st.sampled_from(SCOPES), read_bytes=st.integers(0, 40))
    def estimate(self, scope: LimitScope, read_bytes: int) -> None:
        """An exact estimate is refused when it does not fit into what is left; no other is."""
        exact = TableEstimate("t", read_bytes=read_bytes, certainty=Certainty.EXACT)
        found = self.run(self.limiter.check_estimate(scope, StatementEstimate((), (exact,))))
        lefts = [
            max(0, value - self.used(scope, level, name))
            for level, name, value in self.of(scope)
            if name.startswith("read_bytes")
        ]
        assert (found is not None) == any(read_bytes > left for left in lefts)
        bound = replace(exact, certainty=Certainty.UPPER_BOUND)
        found = self.run(self.limiter.check_estimate(scope, StatementEstimate((), (bound,))))
        assert found is None

    @rule(scope=st.sampled_from(SCOPES))
    def submit(self, scope: LimitScope) -> None:
        """Refused exactly when something is used up, until it begins anew."""
        full = [
            (level, name)
            for level, name, value in self.of(scope)
            if self.used(scope, level, name) >= value
        ]
        if not full:
            self.run(self.limiter.check_submit(scope))
            return
        with pytest.raises(LimitReached) as refused:
            self.run(self.limiter.check_submit(scope))
        limit = refused.value.state.limit
        assert (limit.level, limit.name) in full
        left_s = (period_of(limit.kind.period, self.clock())[1] - self.clock()).total_seconds()
        assert abs(refused.value.retry_after_s - max(1, left_s)) <= 2
        assert limit.name in str(refused.value)

    @invariant()
    def usage_is_what_was_used(self) -> None:
        """Every limit of every scope, with what is left."""
        if not hasattr(self, "known"):
            return
        for scope in SCOPES[:: max(1, len(SCOPES) // 4)]:
            states = self.run(self.limiter.states(scope))
            found = {(s.limit.level, s.limit.name): (s.limit.value, s.used) for s in states}
            assert found == {
                (level, name): (value, self.used(scope, level, name))
                for level, name, value in self.of(scope)
            }

    def of(self, scope: LimitScope) -> list[tuple[Level, str, int]]:
        """The limits that a scope is under."""
        return [
            (level, name, value)
            for (level, whose, name), value in self.known.items()
            if whose == subject(scope, level)
        ]

    def used(self, scope: LimitScope, level: Level, name: str) -> int:
        """What counts for a limit, added up."""
        figure, _, word = name.partition("_per_")
        first, _ = period_of(Period(word), self.clock())
        total = sum(
            getattr(use, FIGURES[figure])
            for use in self.uses
            if use.at >= first and is_counted(use, scope, level)
        )
        return int(total) // 1000 if figure == "cpu_s" else int(total)

    async def _run(self, scope: LimitScope, usage: AttemptUsage) -> None:
        store = self.stores.runs
        of = request(
            tenant=scope.tenant_id,
            entity=scope.entity_id,
            client=scope.client_id,
            source=scope.source,
        )
        await submitted(store, of)
        (attempt,) = await store.claim("n", lease_s=60, limits=ClaimLimits([scope.source], 1, {}))
        await store.complete(attempt.ref, replace(FILE, usage=usage))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the machine's loop."""
        return self.loop.run(work)

    def teardown(self) -> None:
        """Leave nothing open."""
        if hasattr(self, "loop"):
            self.close_stores()
            self.loop.close()

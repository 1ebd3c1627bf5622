"""Limits as they stand: what applies to a run, what is used, and what is refused.

Days and months are added up from the ledger, so they count what has ended. What runs at this
moment is held back by caps (`runs/caps.py`), each attempt by what was left when it began: attempts
that run at the same time may together exceed a limit by what each of them was allowed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic
from typing import Generic, TypeVar

from queryrun.engines.estimates import Certainty, StatementEstimate
from queryrun.runs.limits import (
    ANYONE,
    Level,
    Limited,
    LimitReached,
    LimitState,
    LimitStore,
    LimitValue,
    Period,
    figure_of,
    period_of,
    subjects_of,
    tightest,
    visible_to,
)
from queryrun.runs.store import ClaimLimits, OwnRunning, QueueLimits, RunStore
from queryrun.runs.usage import SumsQuery, UsageStore, UsageSums

CACHE_S = 1.0
"""How old limits and sums may be that a submit is judged by."""
MAX_CACHED = 10_000
_MINUTE_S = 60
_PER_MINUTE = "submits_per_minute"

Key = TypeVar("Key")
Value = TypeVar("Value")

SetLimits = Mapping[tuple[Level, str], Mapping[str, int]]
"""(level, subject) -> name -> value: those of the settings."""


class _Recent(Generic[Key, Value]):
    """Values for a second, the last `MAX_CACHED`."""

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._found: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        found = self._found.get(key)
        return found[1] if found is not None and found[0] > monotonic() else None

    def put(self, key: Key, value: Value) -> Value:
        self._found[key] = (monotonic() + self._lifetime_s, value)
        if len(self._found) > MAX_CACHED:
            self._found.popitem(last=False)
        return value

    def clear(self) -> None:
        self._found.clear()


@dataclass(slots=True)
class Limiter:
    """The limits of all runs, on one node. From one event loop."""

    limits: LimitStore
    usage: UsageStore
    runs: RunStore
    now: Callable[[], datetime]
    from_settings: SetLimits = field(default_factory=dict)
    cache_s: float = CACHE_S
    _values: _Recent[tuple[tuple[Level, str], ...], tuple[LimitValue, ...]] = field(init=False)
    _sums: _Recent[SumsQuery, UsageSums] = field(init=False)
    _stored: _Recent[tuple[object, ...], int] = field(init=False)
    _running: _Recent[None, tuple[LimitValue, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._values = _Recent(self.cache_s)
        self._sums = _Recent(self.cache_s)
        self._stored = _Recent(self.cache_s)
        self._running = _Recent(self.cache_s)

    async def values(self, request: Limited) -> tuple[LimitValue, ...]:
        """The limits that apply to a run: of settings and store, the smaller of both."""
        subjects = subjects_of(request)
        known = self._values.get(subjects)
        if known is not None:
            return known
        found: dict[tuple[Level, str, str], LimitValue] = {}
        stored = await self.limits.limits_of(subjects)
        for one in (*self._of_settings(subjects), *stored):
            key = (one.level, one.subject, one.name)
            before = found.get(key)
            found[key] = one if before is None or one.value < before.value else before
        return self._values.put(subjects, tuple(found.values()))

    async def check_submit(self, request: Limited, *, is_counted: bool = True) -> None:
        """Raise `LimitReached` when nothing is left of a day, a month, a minute or of what may be
        kept; else count the submit, unless somebody only wants to know."""
        values = await self.values(request)
        if not values:
            return
        adding_up = [one for one in values if one.kind.period is not Period.MINUTE]
        for state in await self.states(request, adding_up):
            if state.left == 0:
                raise LimitReached(visible_to(request, state), self.now())
        for one in values:
            if one.value == 0 and one.name in ("queued", "rows", "result_bytes", "time_s"):
                raise LimitReached(LimitState(one), self.now())
        await self._count_submit(request, values, is_counted=is_counted)

    async def queue_limits(self, request: Limited, given: QueueLimits) -> QueueLimits:
        """How many runs may wait, with the source's own limits `given`."""
        values = await self.values(request)
        if not values:
            return given
        entity = [one for one in values if one.level is Level.ENTITY]
        client = [one for one in values if one.level is Level.CLIENT]
        tenant = [one for one in values if one.level in (Level.TENANT, Level.SOURCE)]
        return replace(
            given,
            per_entity=smaller(given.per_entity, tightest(entity, "queued")),
            per_client=smaller(given.per_client, tightest(client, "queued")),
            per_tenant=smaller(given.per_tenant, tightest(tenant, "queued")),
        )

    async def running(self, given: ClaimLimits) -> ClaimLimits:
        """How much may run, with the sources' own limits `given`."""
        found = self._running.get(None)
        if found is None:
            stored = await self.limits.limits(name="running")
            found = self._running.put(None, (*self._set_running(), *stored))
        if not found:
            return given

        def of(level: Level, who: str = ANYONE) -> LimitValue | None:
            return tightest((x for x in found if (x.level, x.subject) == (level, who)), "running")

        def of_sources(before: Mapping[str, int], limit: LimitValue | None) -> dict[str, int]:
            return {source: smaller(before.get(source, 0), limit) for source in given.sources}

        tenants = of_sources(given.per_tenant_running, of(Level.TENANT))
        tenants = of_sources(tenants, of(Level.SOURCE))
        return replace(
            given,
            per_tenant_running={
                source: smaller(limit, of(Level.SOURCE, source))
                for source, limit in tenants.items()
            },
            per_entity_running=of_sources(given.per_entity_running, of(Level.ENTITY)),
            per_client_running=of_sources(given.per_client_running, of(Level.CLIENT)),
            own=OwnRunning(*(_by_subject(found, level) for level in _OWNERS)),
        )

    async def check_estimate(
        self, request: Limited, estimate: StatementEstimate
    ) -> LimitState | None:
        """The limit that the statement would surely exceed by what it reads; None for none.

        An upper bound refuses nothing: a statement with a LIMIT may read far less.
        """
        if estimate.certainty is not Certainty.EXACT or estimate.read_bytes is None:
            return None
        for state in await self.states(request):
            if state.limit.name == "read_bytes" and estimate.read_bytes > state.limit.value:
                return visible_to(request, state)
            is_added_up = state.limit.kind.figure == "read_bytes" and state.left is not None
            if is_added_up and estimate.read_bytes > (state.left or 0):
                return visible_to(request, state)
        return None

    async def counts_reads(self, request: Limited) -> bool:
        """Whether a limit may refuse a run for what it would read."""
        return any(
            one.name == "read_bytes" or one.kind.figure == "read_bytes"
            for one in await self.values(request)
        )

    async def states(
        self,
        request: Limited,
        values: Sequence[LimitValue] | None = None,
    ) -> list[LimitState]:
        """Every limit of a run, or some of them, with what is used of it."""
        values = await self.values(request) if values is None else values
        return [await self._state(request, one) for one in values]

    def forget(self) -> None:
        """Read limits anew: somebody has changed one here."""
        self._values.clear()
        self._running.clear()

    def _set_running(self) -> list[LimitValue]:
        return [
            LimitValue(level, subject, "running", names["running"])
            for (level, subject), names in self.from_settings.items()
            if "running" in names
        ]

    async def _state(self, request: Limited, limit: LimitValue) -> LimitState:
        period = limit.kind.period
        if period in (Period.DAY, Period.MONTH):
            first, resets = period_of(period, self.now())
            sums = await self._sums_of(request, limit, first)
            return LimitState(limit, figure_of(limit.kind, sums), resets)
        if period is Period.MINUTE:
            [count] = await self.limits.count_submit([limit], is_counted=False)
            return LimitState(limit, count.used)
        if limit.name == "stored_bytes":
            return LimitState(limit, await self._stored_bytes(request, limit.level))
        return LimitState(limit)

    async def _stored_bytes(self, request: Limited, level: Level) -> int:
        key = level, *subjects_of(request)
        known = self._stored.get(key)
        if known is not None:
            return known
        if level is Level.TENANT:
            return self._stored.put(key, await self.runs.stored_bytes(request.tenant_id))
        entity, client = await self.runs.usage(
            request.tenant_id, request.entity_id, request.client_id
        )
        whose = entity if level is Level.ENTITY else client
        return self._stored.put(key, whose.result_bytes)

    async def _sums_of(self, request: Limited, limit: LimitValue, first: datetime) -> UsageSums:
        query = SumsQuery(
            request.tenant_id,
            first.date(),
            self.now().date(),
            entity_id=request.entity_id if limit.level in (Level.ENTITY, Level.CLIENT) else None,
            client_id=request.client_id if limit.level is Level.CLIENT else None,
            source=request.source if limit.level is Level.SOURCE else None,
        )
        known = self._sums.get(query)
        return known or self._sums.put(query, await self.usage.sums(query))

    async def _count_submit(
        self, request: Limited, values: Sequence[LimitValue], *, is_counted: bool
    ) -> None:
        limited = [one for one in values if one.name == _PER_MINUTE]
        if not limited:
            return
        counts = await self.limits.count_submit(limited, is_counted=is_counted)
        for one, count in zip(limited, counts, strict=True):
            if count.used >= one.value:
                state = visible_to(request, LimitState(one, count.used))
                refusal = LimitReached(state, self.now())
                refusal.retry_after_s = int(count.again_s) + 1 if one.value else _MINUTE_S
                raise refusal

    def _of_settings(self, subjects: Sequence[tuple[Level, str]]) -> list[LimitValue]:
        return [
            LimitValue(level, subject, name, value)
            for level, subject in subjects
            for key in ((level, ANYONE), (level, subject))
            for name, value in self.from_settings.get(key, {}).items()
        ]


_OWNERS = (Level.TENANT, Level.ENTITY, Level.CLIENT)


def _by_subject(limits: Sequence[LimitValue], level: Level) -> dict[str, int]:
    """The smallest limit of each one of a level that has limits of its own."""
    found: dict[str, int] = {}
    for one in limits:
        if one.level is level and one.subject != ANYONE:
            found[one.subject] = min(one.value, found.get(one.subject, one.value))
    return found


def smaller(given: int, limit: LimitValue | None) -> int:
    """Of the source's own limits 0 is none."""
    if limit is None:
        return given
    return min(given or limit.value, limit.value) or 1

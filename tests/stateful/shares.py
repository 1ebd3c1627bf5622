"""What a claim owes each entity, judged from what ran and waited before it and what it took.

Written from the promise of `RunStore.claim`, not from its statements, and the same for every store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from queryrun.runs.model import Run
from queryrun.runs.store import ClaimLimits

Owner = tuple[str, str, str]
"""Source, tenant, entity."""


def owner(run: Run) -> Owner:
    """Whose slot the run takes, or waits for."""
    return run.request.source, run.request.tenant_id, run.request.entity_id


@dataclass(frozen=True, slots=True)
class Load:
    """What there was when a claim began."""

    running: Counter[Owner]
    waiting: Counter[Owner]
    """Back-offs included."""
    ready: Counter[Owner]


def check_claim(load: Load, taken: Iterable[Run], limits: ClaimLimits) -> None:
    """Assert that the claim took as much as it could, and nobody more than its share."""
    served = Counter(owner(run) for run in taken)
    after = Rooms(load, load.running + served, limits)
    left = Counter({key: load.ready[key] - served[key] for key in load.ready})
    assert all(count >= 0 for count in left.values())
    _check_slots(load, served, limits)
    _check_limits(load, served, after)
    kept_waiting = [key for key, count in left.items() if count and after.has_room(key)]
    if kept_waiting:
        assert served.total() >= limits.free_slots, "a slot is free, and a run that may start waits"
    for key in kept_waiting:
        for other in served:
            assert after.anywhere[other[1:]] <= after.anywhere[key[1:]] + 1, (
                f"{other} was served although {key} has fewer running"
            )


def _check_slots(load: Load, served: Counter[Owner], limits: ClaimLimits) -> None:
    """A fair slot is for the first run of an entity that has none."""
    assert served.total() <= limits.free_slots + limits.fair_slots
    if served.total() > limits.free_slots:
        running = Counter[tuple[str, ...]]()
        for key, count in (load.running + served).items():
            running[key[1:]] += count
        assert sum(1 for key in served if running[key[1:]] == 1) >= (
            served.total() - limits.free_slots
        )


def _check_limits(load: Load, served: Counter[Owner], after: Rooms) -> None:
    """A tenant is above its limit only by what entities with no more than their share hold."""
    for source, tenant, entity in served:
        limit = after.limit(source)
        total = after.total(source, tenant)
        if limit and total > limit:
            assert total <= 2 * limit
            below = after.running[source, tenant, entity] <= after.share(source, tenant)
            was_full = sum(load.running[key] for key in after.members(source, tenant)) < limit
            assert below or was_full


class Rooms:
    """Who may still start a run."""

    def __init__(self, load: Load, running: Counter[Owner], limits: ClaimLimits) -> None:
        self._load = load
        self._limits = limits
        self.running = running
        self.anywhere: Counter[tuple[str, ...]] = Counter()
        for key, count in running.items():
            self.anywhere[key[1:]] += count

    def limit(self, source: str) -> int:
        """The tenants' limit on the source."""
        return self._limits.per_tenant_running.get(source, 0)

    def members(self, source: str, tenant: str) -> set[Owner]:
        """The entities of the tenant that ran or waited on the source when the claim began."""
        active = self._load.running + self._load.waiting
        return {key for key in active if key[:2] == (source, tenant)}

    def share(self, source: str, tenant: str) -> int:
        """Of each of them."""
        return max(self.limit(source) // len(self.members(source, tenant)), 1)

    def total(self, source: str, tenant: str) -> int:
        """What the tenant has running on the source."""
        return sum(self.running[key] for key in self.members(source, tenant))

    def has_room(self, key: Owner) -> bool:
        """Whether the limits let the entity start one more."""
        source, tenant, _ = key
        limit = self.limit(source)
        if not limit or self.total(source, tenant) < limit:
            return True
        share = self.share(source, tenant)
        counted = sum(min(self.running[one], share) for one in self.members(source, tenant))
        return self.running[key] < share and counted < limit

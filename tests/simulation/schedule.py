"""What happens in one simulation: generated from a seed, and shrunk when it breaks something."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

HORIZON_S = 60.0
"""Faults happen within this time; afterwards everything works, and all runs have to end."""


class Kind(StrEnum):
    """What can happen."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    KILL_NODE = "kill node"
    DRAIN_NODE = "drain node"
    CRASH_WORKER = "crash worker"
    CUT_NODE = "cut node off"
    STORE_AWAY = "store away"
    LOSE_REPLIES = "lose replies"
    LATE_COMMITS = "commit what callers have given up"
    STEP_CLOCK = "step the clock of a store that its node owns"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happens: when, to which node or run, and for how long."""

    at_s: float
    kind: Kind
    index: int = 0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """One simulation. `seed` also decides delays on the way to the store and of workers."""

    seed: int
    skews_s: tuple[float, ...]
    """How far each node's own clock is ahead; one entry per node. One node owns its store."""
    happenings: tuple[Happening, ...] = field(default=())

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, clocks of nodes {self.skews_s}"]
        lines += [
            f"{one.at_s:8.3f} s  {one.kind}  {one.index}"
            + (f"  for {one.duration_s:.1f} s" if one.duration_s else "")
            for one in self.happenings
        ]
        return "\n".join(lines)


_SKEWS_S = (0.0, 0.0, 0.0, 0.4, -0.9, 300.0, -300.0, 31 * 24 * 3600.0)
_FAULTS = (
    Kind.CANCEL,
    Kind.CANCEL,
    Kind.KILL_NODE,
    Kind.DRAIN_NODE,
    Kind.CRASH_WORKER,
    Kind.CUT_NODE,
    Kind.STORE_AWAY,
    Kind.LOSE_REPLIES,
    Kind.LATE_COMMITS,
)


def generate(seed: int) -> Schedule:
    """The schedule of a seed: one node that owns its store, or two or three that share one."""
    dice = random.Random(seed)  # noqa: S311 - a schedule is no secret
    nodes = dice.choice((1, 2, 2, 3))
    skews = tuple(dice.choice(_SKEWS_S) if nodes > 1 else 0.0 for _ in range(nodes))
    runs = dice.randint(1, 5)
    happenings = [Happening(dice.uniform(0, 20), Kind.SUBMIT, n) for n in range(runs)]
    if nodes == 1 and dice.random() < 0.7:
        happenings.append(Happening(dice.uniform(0, 25), Kind.STEP_CLOCK))
    for _ in range(dice.randint(0, 5)):
        kind = dice.choice(_FAULTS)
        index = dice.randrange(runs if kind is Kind.CANCEL else nodes)
        at_s = dice.uniform(0, HORIZON_S)
        happenings.append(Happening(at_s, kind, index, dice.choice((0.5, 4.0, 9.0, 25.0))))
    return Schedule(seed, skews, tuple(sorted(happenings, key=lambda one: one.at_s)))


def shrink(schedule: Schedule, breaks: Callable[[Schedule], bool]) -> Schedule:
    """The schedule without what the violation does not need: one happening less at a time."""
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for one in schedule.happenings:
            rest = tuple(other for other in schedule.happenings if other is not one)
            smaller = replace(schedule, happenings=rest)
            if breaks(smaller):
                schedule, is_smaller = smaller, True
                break
    return schedule

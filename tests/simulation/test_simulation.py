"""A sample of simulations; `make simulation` plays many more. Faults of the past are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.schedule import Happening, Kind, Schedule, generate, shrink
from tests.simulation.world import Put, simulate

SAMPLE = 40
MONTH_S = 31 * 24 * 3600.0
AHEAD = Schedule(
    0, (0.0, MONTH_S), (Happening(0.0, Kind.SUBMIT), Happening(2.0, Kind.CRASH_WORKER, 1))
)
"""One of two nodes is a month ahead, and its worker crashes."""
STEPPED = Schedule(
    0,
    (0.0,),
    (
        Happening(10.0, Kind.SUBMIT),
        *(Happening(13.0 + 2.3 * n, Kind.STEP_CLOCK) for n in range(5)),
    ),
)
"""The clock of a node that owns its store is set forward while it runs something."""


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_no_schedule_violates_anything(seed: int) -> None:
    schedule = generate(seed)
    assert simulate(schedule) == [], str(schedule)


LOST = Schedule(
    0,
    (0.0, 0.0),
    (
        *(Happening(0.2 * n, Kind.SUBMIT, n) for n in range(4)),
        *(Happening(0.0, Kind.LOSE_REPLIES, n, 30.0) for n in range(2)),
    ),
)
"""Replies of the store are lost while runs complete."""


UNSEEN = Schedule(
    3861,
    (0.0, 0.4),
    (
        Happening(15.844, Kind.SUBMIT, 1),
        Happening(18.386, Kind.SUBMIT, 0),
        Happening(19.559, Kind.STORE_AWAY, 1, 9.0),
        Happening(25.296, Kind.DRAIN_NODE, 1, 0.5),
    ),
)
"""A node starts while the store is away for everybody, and has not seen that."""


UNWRITTEN = Schedule(
    430,
    (0.0, 0.0),
    (
        Happening(9.114, Kind.SUBMIT, 1),
        Happening(11.569, Kind.DRAIN_NODE, 0, 25.0),
        Happening(12.660, Kind.STORE_AWAY, 0, 9.0),
    ),
)
"""A node stops while the store is away: what it stopped is not written. The one that starts in its
place has seen the outage, but not with its reaper."""


UNOBSERVED = Schedule(
    3234,
    (MONTH_S, -0.9),
    (
        Happening(15.235, Kind.SUBMIT),
        Happening(25.025, Kind.STORE_AWAY, 0, 4.0),
        Happening(25.089, Kind.DRAIN_NODE, 0, 25.0),
    ),
)
"""A node stops during an outage, and its last write hangs until after it. Neither the process that
is started in its place nor another one has to have seen the outage: they are told of it."""


@pytest.mark.parametrize(
    "schedule", [UNSEEN, UNWRITTEN, UNOBSERVED], ids=["unseen", "unwritten", "unobserved"]
)
def test_a_node_that_starts_in_or_after_an_outage_charges_nobody_who_is_well(
    schedule: Schedule,
) -> None:
    assert simulate(schedule) == []


def found(schedule: Schedule, put: Put) -> Schedule | None:
    """The schedule with the first of some seeds that shows a violation."""
    seeds = (replace(schedule, seed=seed) for seed in range(40))
    return next((one for one in seeds if simulate(one, put)), None)


@pytest.mark.parametrize(
    ("schedule", "put"),
    [
        (AHEAD, Put(own_clocks=True)),
        (STEPPED, Put(settles_itself=True)),
        (LOST, Put(forgets_lost_replies=True)),
    ],
    ids=["the clock fault", "the self-settling fault", "the fault of lost replies"],
)
def test_a_fault_that_is_put_back_is_found_and_replayed(schedule: Schedule, put: Put) -> None:
    broken = found(schedule, put)
    assert broken is not None
    assert simulate(broken, put) != []
    assert simulate(broken) == [], "without the fault the same schedule is right"


def test_a_seed_gives_the_same_schedule_and_the_same_outcome() -> None:
    assert generate(7) == generate(7)
    broken = found(AHEAD, Put(own_clocks=True))
    assert broken is not None
    assert simulate(broken, Put(own_clocks=True)) == simulate(broken, Put(own_clocks=True))


def test_shrinking_leaves_what_the_violation_needs() -> None:
    more = (Happening(1.0, Kind.CANCEL, 3), *AHEAD.happenings)
    needed = shrink(
        replace(AHEAD, happenings=more),
        lambda one: any(item.kind is Kind.CRASH_WORKER for item in one.happenings),
    )
    assert needed.happenings == (Happening(2.0, Kind.CRASH_WORKER, 1),)

"""The clock of a node that owns its database goes forwards alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from queryrun.runs.clock import ForwardClock

START = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Machine:
    """The clocks of a machine, moved by a test."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic_s = 100.0

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic_s += seconds


def clock_on(machine: Machine) -> ForwardClock:
    return ForwardClock(lambda: machine.wall, lambda: machine.monotonic_s)


def test_it_follows_the_machine() -> None:
    machine = Machine()
    clock = clock_on(machine)
    for seconds in (0.001, 5, 3600):
        machine.passes(seconds)
        assert clock.now() == machine.wall
    machine.wall += timedelta(hours=1)
    assert clock.now() == machine.wall


def test_set_back_it_goes_on_and_meets_the_machine_again() -> None:
    machine = Machine()
    clock = clock_on(machine)
    machine.passes(10)
    before = clock.now()
    machine.wall -= timedelta(hours=1)
    for passed_s in range(1, 11):
        machine.passes(1)
        assert clock.now() == before + timedelta(seconds=passed_s / 2)
    machine.passes(3600)
    clock.now()
    machine.passes(3600)
    clock.now()
    machine.passes(1)
    assert clock.now() == machine.wall


def test_no_time_comes_twice() -> None:
    machine = Machine()
    clock = clock_on(machine)
    seen = [clock.now()]
    for step_s in (1, -30, 0.5, 90, -3600, 2, -0.0005, 1):
        machine.passes(0.25)
        machine.wall += timedelta(seconds=step_s)
        seen.append(clock.now())
    assert seen == sorted(seen)

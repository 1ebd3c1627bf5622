"""A stop on Spark waits longer for a job that is submitted late, the slower Spark's UI answers."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from queryrun.engines.spark import stop
from queryrun.engines.spark.ui import SparkUi


class Clock:
    """Stands for the module `time`: a pause takes no time but its own."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s


class LateJob(SparkUi):
    """A job that Spark shows from a moment on, until it is ended."""

    def __init__(self, clock: Clock, visible_from_s: float) -> None:
        super().__init__("http://127.0.0.1:4040", deadline=5.0)
        self._clock = clock
        self._visible_from_s = visible_from_s
        self.is_killed = False
        self.plans_from_s = self.plans_until_s = 0.0

    def is_submitting(self, operations: Collection[str]) -> bool:
        return self.plans_from_s <= self._clock.now_s < self.plans_until_s

    def is_idle(self, name: str) -> bool:
        return self.is_killed or self._clock.now_s < self._visible_from_s

    def kill(self, name: str) -> None:
        self.is_killed = True


@pytest.mark.parametrize(("slowest_s", "visible_from_s"), [(0.005, 0.1), (0.06, 0.4), (2.0, 0.8)])
def test_a_job_that_a_slow_spark_shows_late_is_killed(
    monkeypatch: pytest.MonkeyPatch, slowest_s: float, visible_from_s: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(stop, "time", clock)
    ui = LateJob(clock, visible_from_s)
    ui.slowest_s = slowest_s
    stop._kill_until_quiet(ui, "queryrun-1-1", {"op"})
    assert ui.is_killed


def test_a_slow_ui_does_not_keep_a_stop_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(stop, "time", clock)
    ui = LateJob(clock, visible_from_s=99)
    ui.slowest_s = 60
    stop._kill_until_quiet(ui, "queryrun-1-1", {"op"})
    assert clock.now_s < 1.1


def test_a_job_is_waited_for_while_a_thread_plans_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cold driver that takes longer than any fixed pause."""
    clock = Clock()
    monkeypatch.setattr(stop, "time", clock)
    ui = LateJob(clock, visible_from_s=2.0)
    ui.plans_until_s = 2.1
    stop._kill_until_quiet(ui, "queryrun-1-1", {"op"})
    assert ui.is_killed


def test_a_job_is_waited_for_that_begins_while_it_is_quiet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(stop, "time", clock)
    ui = LateJob(clock, visible_from_s=0.4)
    ui.plans_from_s, ui.plans_until_s = 0.1, 0.35
    stop._kill_until_quiet(ui, "queryrun-1-1", {"op"})
    assert ui.is_killed


@pytest.mark.parametrize(
    ("name", "state", "may_submit"),
    [
        ("SparkConnectExecuteThread_opId=op", "WAITING", True),
        ("SparkConnectExecuteThread_opId=of-another", "RUNNABLE", False),
        ("shuffle-exchange-3", "RUNNABLE", True),
        ("QueryStageCreator-0", "BLOCKED", True),
        ("shuffle-exchange-3", "TIMED_WAITING", False),
        ("dispatcher-event-loop-1", "RUNNABLE", False),
        ("dag-scheduler-event-loop", "RUNNABLE", True),
        ("dag-scheduler-event-loop", "WAITING", False),
        ("spark-listener-group-appStatus", "BLOCKED", True),
    ],
)
def test_threads_that_may_submit_a_job_are_known(
    monkeypatch: pytest.MonkeyPatch, name: str, state: str, may_submit: bool
) -> None:
    ui = SparkUi("http://127.0.0.1:4040", deadline=5.0)
    threads = [{"threadName": name, "threadState": state}]
    monkeypatch.setattr(
        ui, "_get", lambda path: threads if path.endswith("/threads") else [{"id": "app-1"}]
    )
    assert ui.is_submitting({"op"}) is may_submit

"""A node compares its clock with the shared one, and says when it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from queryrun.runs.clock import ClockWatch
from queryrun.runs.metrics import RunMetrics

pytestmark = pytest.mark.anyio


class Skewed:
    """A shared clock from which this node's own one is so far away."""

    def __init__(self, skew_s: float) -> None:
        self.skew_s = skew_s

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def sync(self) -> None:
        """It is as it is."""


@pytest.mark.parametrize("skew_s", [2.5, -2.5, 31 * 24 * 3600.0, -3600.0])
async def test_a_node_beyond_the_bound_says_so_once_and_is_not_trusted(skew_s: float) -> None:
    clock, metrics = Skewed(0), RunMetrics()
    watch = ClockWatch(clock, 2.0, metrics)
    assert watch.problem() is None
    with capture_logs() as logs:
        clock.skew_s = skew_s
        await watch.check()
        await watch.check()
    assert f"{skew_s:+.1f} s" in (watch.problem() or "")
    assert [entry["event"] for entry in logs] == ["clock_skewed"]
    assert metrics.registry.get_sample_value("queryrun_clock_skew_seconds") == skew_s
    clock.skew_s = 0.1
    await watch.check()
    assert watch.problem() is None


async def test_a_node_that_starts_with_a_wrong_clock_is_not_trusted_from_the_beginning() -> None:
    assert not ClockWatch(Skewed(300), 2.0, RunMetrics()).is_trusted

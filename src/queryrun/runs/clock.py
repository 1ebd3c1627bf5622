"""The time that the nodes on one database share, and how far this node's own clock is from it.

On a shared database its clock is everybody's. A node counts from its last reading on the monotonic
clock, so that a wrong clock of the node changes no run, no token and no retention.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from queryrun.runs.loop import BackgroundLoops, survive
from queryrun.runs.metrics import RunMetrics

log = structlog.get_logger()

SYNC_INTERVAL_S = 5.0
_JITTER_S = 0.001
"""Two clocks that agree differ by less."""


class SharedClock(Protocol):
    """The time of a node's database (`db.database.Database.clock`)."""

    def now(self) -> datetime:
        """The time, aware UTC. Never blocks."""
        ...

    async def sync(self) -> None:
        """Read the database's clock. `Unavailable` when the database does not respond."""
        ...

    @property
    def skew_s(self) -> float:
        """How far this node's own clock was ahead of the shared one (negative: behind) at the last
        reading, less what the reading itself may be wrong by. 0 for a node with its own database.
        """
        ...


class OwnClock:
    """The clock of a node that owns its database alone: nothing to compare it with."""

    skew_s = 0.0

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def now(self) -> datetime:
        """The time."""
        return self._now()

    async def sync(self) -> None:
        """Does nothing."""


class ForwardClock:
    """The time of a node that owns its database, for which nothing waits when it is set back.

    It follows the machine's clock forwards. Where that was set back, it goes on at half speed until
    the machine's has caught up: no time comes twice, no run that is ready has to wait, and
    leases and pauses last twice as long meanwhile.
    """

    def __init__(
        self,
        wall: Callable[[], datetime],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic_s = monotonic_s
        self._last, self._last_s = wall(), monotonic_s()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time. From any thread."""
        with self._lock:
            wall, now_s = self._wall(), self._monotonic_s()
            passed_s, self._last_s = now_s - self._last_s, now_s
            if (wall - self._last).total_seconds() >= passed_s - _JITTER_S:
                self._last = max(wall, self._last)
            else:
                self._last += timedelta(seconds=passed_s / 2)
            return self._last


class ClockWatch:
    """Compares this node's clock with the shared one. A node that is off by more than `max_skew_s`
    says so and does no maintenance; everything else goes by the shared clock anyway."""

    def __init__(self, clock: SharedClock, max_skew_s: float, metrics: RunMetrics) -> None:
        self._clock = clock
        self._max_skew_s = max_skew_s
        self._metrics = metrics
        self._is_off = False
        self._loops = BackgroundLoops()
        self._compare()

    @property
    def is_trusted(self) -> bool:
        """Whether this node may do maintenance."""
        return not self._is_off

    def problem(self) -> str | None:
        """What is wrong with the clock, for operators; None when it is right."""
        if not self._is_off:
            return None
        return (
            f"the clock of this node is {self._clock.skew_s:+.1f} s from the database's, more than "
            f"{self._max_skew_s:g} s: it does no maintenance; set the clock (NTP)"
        )

    def start(self) -> None:
        """Compare every `SYNC_INTERVAL_S`."""
        self._loops.start("clock", self._watch_forever())

    async def close(self) -> None:
        """Stop comparing."""
        await self._loops.close()

    async def check(self) -> None:
        """Read the shared clock and compare now. `Unavailable` when it cannot be read."""
        await self._clock.sync()
        self._compare()

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(SYNC_INTERVAL_S)
            await survive(self.check, operation="clock", error_event="clock_error")

    def _compare(self) -> None:
        """Log each change once."""
        skew_s = self._clock.skew_s
        self._metrics.clock_skew_s.set(skew_s)
        was_off, self._is_off = self._is_off, abs(skew_s) > self._max_skew_s
        if self._is_off and not was_off:
            log.error("clock_skewed", skew_s=round(skew_s, 3), max_skew_s=self._max_skew_s)
        elif was_off and not self._is_off:
            log.warning("clock_corrected", skew_s=round(skew_s, 3))

"""The database's clock, as a node counts it between two readings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.times import from_ms, to_ms

MAX_READING_S = 2.0
"""A reading that took longer says too little, and the one before stays in use."""


def utc_now() -> datetime:
    """The node's own clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """The database's time, and this node's clocks in the middle of the reading."""

    database: datetime
    monotonic_s: float
    skew_s: float
    """Of this node's own clock, less half of the time that the reading took."""
    duration_s: float


class PostgresClock:
    """`SharedClock` of a PostgreSQL. Nothing but a reading sets it."""

    def __init__(
        self,
        connections: Connections,
        first: Connection,
        *,
        own: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = connections
        self._own = own
        self._monotonic = monotonic
        self._reading = self._read(first)

    def now(self) -> datetime:
        """The database's time."""
        passed_s = self._monotonic() - self._reading.monotonic_s
        return self._reading.database + timedelta(seconds=passed_s)

    @property
    def skew_s(self) -> float:
        """How far this node's own clock was ahead at the last reading."""
        return self._reading.skew_s

    async def sync(self) -> None:
        """Read the database's clock."""
        reading = await self._connections.read(self._read)
        if reading.duration_s <= MAX_READING_S:
            self._reading = reading

    def _read(self, connection: Connection) -> Reading:
        """The database read its clock at some moment in between: half of that time is doubt."""
        began_s, began = self._monotonic(), self._own()
        row = connection.execute(self._connections.sql["read_clock"]).fetchone() or (0,)
        duration_s = self._monotonic() - began_s
        own_ms = to_ms(began) + duration_s * 500
        skew_s, doubt_s = (own_ms - row[0]) / 1000, duration_s / 2
        sure_s = max(0.0, abs(skew_s) - doubt_s) * (1 if skew_s > 0 else -1)
        return Reading(from_ms(row[0]), began_s + doubt_s, sure_s, duration_s)

"""Request rates of all nodes together: GCRA in one row per key, taken in small portions.

Each window of a key is one number, the time at which it will be full again. A round trip to the
database per request would cost more than most requests, so a node takes a portion of a quota at
once (a thousandth, at most `MAX_PORTION`) and serves from that. No portion is granted twice: in the
long run all nodes together stay within the quota. In a burst they may exceed it by what each had
left from its last portion, so by less than one portion per node (0.1 %); small quotas (below 2,000)
are counted exactly. What a node had left when it stops is lost to the caller.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections

MAX_PORTION = 100
PORTIONS = 1_000
MAX_CACHED_KEYS = 10_000
"""Keys whose portion or refusal a node keeps; the least recently used is evicted."""


@dataclass(frozen=True, slots=True)
class RateWindow:
    """At most `quota` requests per `length_s` seconds, refilled evenly."""

    quota: int
    length_s: int


@dataclass(frozen=True, slots=True)
class WindowState:
    """What is left of one window, and after how many seconds it is full again."""

    left: float
    whole_in_s: float


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome of one request: granted, or how long until one would be."""

    granted: bool
    retry_after_s: float
    windows: tuple[WindowState, ...]
    """In the order given, as of this request."""


@dataclass(slots=True)
class _Portion:
    """What this node has left of a key's quota."""

    left: int
    refused_until_s: float
    full_in_s: tuple[float, ...]
    taken_at_s: float


class PostgresRates:
    """Counts requests against keys that all nodes share."""

    def __init__(
        self, connections: Connections, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connections = connections
        self._monotonic = monotonic
        self._held: OrderedDict[str, _Portion] = OrderedDict()

    async def take(self, key: str, windows: Sequence[RateWindow]) -> Taken:
        """Count one request against every window of `key`. A refused request costs nothing.

        `windows` must not be empty and always be the same for a key. A refusal is cached
        for its retry delay, so a flood of refused requests does not reach the database.
        """
        held = self._held.get(key)
        now_s = self._monotonic()
        if held is None or (held.left == 0 and held.refused_until_s <= now_s):
            held = await self._take_portion(key, windows)
        self._held.move_to_end(key)
        granted = held.left > 0
        if granted:
            held.left -= 1
        retry_after_s = 0.0 if granted else max(0.001, held.refused_until_s - now_s)
        return Taken(granted, retry_after_s, _states(held, windows, self._monotonic()))

    async def forget_full(self) -> int:
        """Delete keys whose windows are full, which is what no row means; returns how many. And
        the counts of submits that are older than a minute."""
        sql = self._connections.sql

        def unit(connection: Connection) -> int:
            connection.execute(sql["remove_old_submits"])
            return connection.execute(sql["remove_full_buckets"]).rowcount

        return await self._connections.write(unit, durable=False)

    async def _take_portion(self, key: str, windows: Sequence[RateWindow]) -> _Portion:
        """Take a portion from the database, or find out when one will be available."""
        values = {
            "key": key,
            "portion": portion_of(windows),
            "steps": [window.length_s * 1000 / window.quota for window in windows],
            "lengths": [window.length_s * 1000.0 for window in windows],
        }

        def unit(connection: Connection) -> tuple[int, list[float]]:
            [(granted, full_in_ms)] = connection.execute(
                self._connections.sql["take_portion"], values
            ).fetchall()
            return granted, full_in_ms

        granted, full_in_ms = await self._connections.write(unit, durable=False)
        now_s = self._monotonic()
        full_in_s = tuple(ms / 1000 for ms in full_in_ms)
        wait_s = 0.0 if granted else _wait_s(full_in_s, windows)
        before = self._held.get(key)
        left = granted + (before.left if before else 0)
        held = self._held[key] = _Portion(left, now_s + wait_s, full_in_s, now_s)
        if len(self._held) > MAX_CACHED_KEYS:
            self._held.popitem(last=False)
        return held


def portion_of(windows: Sequence[RateWindow]) -> int:
    """How many requests a node takes at once: a thousandth of the smallest quota."""
    smallest = min(window.quota for window in windows)
    return max(1, min(MAX_PORTION, smallest // PORTIONS))


def _wait_s(full_in_s: Sequence[float], windows: Sequence[RateWindow]) -> float:
    """Until every window has room for one more."""
    return max(
        full_in + window.length_s / window.quota - window.length_s
        for full_in, window in zip(full_in_s, windows, strict=True)
    )


def _states(held: _Portion, windows: Sequence[RateWindow], now_s: float) -> tuple[WindowState, ...]:
    passed_s = now_s - held.taken_at_s
    return tuple(
        _state(max(0.0, full_in - passed_s), window, held.left)
        for full_in, window in zip(held.full_in_s, windows, strict=True)
    )


def _state(full_in_s: float, window: RateWindow, in_hand: int) -> WindowState:
    """What all nodes left in the window, and what this one still holds of it."""
    step_s = window.length_s / window.quota
    left = (window.length_s - full_in_s) / step_s + in_hand
    return WindowState(
        left=min(float(window.quota), max(0.0, left)),
        whole_in_s=max(0.0, full_in_s - in_hand * step_s),
    )

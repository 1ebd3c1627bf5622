"""Who may hold connections, and who begins next."""

from __future__ import annotations

import asyncio

import pytest

from queryrun.http.server.connections import Connections
from queryrun.http.server.limits import (
    MAX_KNOWN_CALLERS,
    STRANGERS_PER_TICK,
    ServerLimits,
)
from queryrun.http.server.turns import KnownCallers, Turns


class Held:
    """A connection that is only counted."""

    def __init__(self, group: str, *, is_trusted: bool = False) -> None:
        self.group = group
        self.is_trusted = is_trusted
        self.evicted = False

    def evict(self) -> None:
        """Gave way."""
        self.evicted = True

    def shut_down(self) -> None:
        """Nothing to close."""

    def abort(self) -> None:
        """Nothing to close."""

    def check_time(self, now_s: float) -> None:
        """Waits for nothing."""


def _connections(total: int, per_address: int) -> Connections:
    limits = ServerLimits(max_connections=total, max_connections_per_address=per_address)
    return Connections(limits)


def test_at_the_limit_of_an_address_its_own_oldest_idle_connection_gives_way() -> None:
    connections = _connections(10, 2)
    other, first, second, third = Held("b"), Held("a"), Held("a"), Held("a")
    assert all(connections.admit(one) for one in (other, first, second, third))
    assert [one.evicted for one in (other, first, second, third)] == [False, True, False, False]
    assert len(connections) == 3
    assert connections.closed["evicted"] == 1


def test_a_connection_with_a_request_never_gives_way() -> None:
    connections = _connections(2, 2)
    busy = [Held("a"), Held("a")]
    for one in busy:
        assert connections.admit(one)
        connections.set_busy(one)
    assert not connections.admit(Held("a"))
    assert not connections.admit(Held("b"))
    assert connections.closed == {"address_limit": 1, "limit": 1}
    connections.set_idle(busy[1])
    assert connections.admit(Held("b"))
    assert [one.evicted for one in busy] == [False, True]


def test_a_trusted_proxy_has_no_limit_of_its_own() -> None:
    connections = _connections(3, 1)
    proxied = [Held("p", is_trusted=True) for _ in range(3)]
    assert all(connections.admit(one) for one in proxied)
    assert not any(one.evicted for one in proxied)


def test_a_closed_connection_makes_room_once() -> None:
    connections = _connections(1, 1)
    one = Held("a")
    connections.admit(one)
    connections.remove(one)
    connections.remove(one)
    assert len(connections) == 0
    assert connections.admit(Held("a"))


@pytest.mark.anyio
async def test_addresses_take_turns_and_the_loop_has_its_own() -> None:
    begun: list[str] = []
    turns: Turns[str] = Turns(asyncio.get_running_loop(), begun.append)
    per_tick = STRANGERS_PER_TICK
    for number in range(3 * per_tick):
        turns.take(f"flood {number}", address="flood", known=None)
    turns.take("other", address="other", known=None)
    assert len(begun) == per_tick
    await asyncio.sleep(0)
    assert len(begun) == 2 * per_tick
    assert begun[per_tick : per_tick + 2] == [f"flood {per_tick}", "other"]
    for _ in range(3):
        await asyncio.sleep(0)
    assert begun[-1] == f"flood {3 * per_tick - 1}"
    assert len(begun) == len(set(begun)) == 3 * per_tick + 1


@pytest.mark.anyio
async def test_known_callers_do_not_wait_for_strangers() -> None:
    begun: list[str] = []
    turns: Turns[str] = Turns(asyncio.get_running_loop(), begun.append)
    callers = KnownCallers()
    callers.add(b"Bearer good")
    for number in range(100):
        turns.take(f"{number}", address="flood", known=callers.find(b"Bearer bad"))
    turns.take("cancel", address="flood", known=callers.find(b"Bearer good"))
    assert begun[-1] == "cancel"
    assert len(begun) == STRANGERS_PER_TICK + 1


def test_known_callers_are_bounded_and_the_latest_stay() -> None:
    callers = KnownCallers()
    callers.add(b"first")
    callers.add(b"second")
    callers.add(b"first")
    for number in range(MAX_KNOWN_CALLERS - 1):
        callers.add(b"%d" % number)
    assert callers.find(b"first") is not None
    assert callers.find(b"second") is None
    assert callers.find(None) is None

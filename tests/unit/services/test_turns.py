"""Slots that keys take in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.errors import Unavailable
from queryrun.services.turns import TurnSlots

pytestmark = pytest.mark.anyio


class Holders:
    """Requests that hold a slot until they are told to leave, in the order of their service."""

    def __init__(self, slots: TurnSlots) -> None:
        self.slots = slots
        self.served: list[str] = []
        self._leave: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def add(self, key: str) -> asyncio.Task[None]:
        """A request of this key."""
        task = asyncio.create_task(self._hold(key))
        self._tasks.append(task)
        await self.settle()
        return task

    async def _hold(self, key: str) -> None:
        async with self.slots.slot(key):
            self.served.append(key)
            leave = asyncio.Event()
            self._leave.append(leave)
            await leave.wait()

    async def leave(self) -> None:
        """The holder that was served first leaves."""
        self._leave.pop(0).set()
        await self.settle()

    async def finish(self) -> None:
        """Everybody leaves; nobody waits for ever."""
        while self._leave:
            await self.leave()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Let every task go as far as it can."""
        for _ in range(6):
            await asyncio.sleep(0)


async def test_a_key_with_many_requests_delays_another_by_one() -> None:
    holders = Holders(TurnSlots(1))
    for _ in range(20):
        await holders.add("a")
    await holders.add("b")
    await holders.leave()
    assert holders.served == ["a", "b"]
    await holders.finish()
    assert holders.served.count("a") == 20


async def test_a_key_holds_no_more_than_its_share_while_another_holds_none() -> None:
    holders = Holders(TurnSlots(2, max_per_key=1))
    for _ in range(3):
        await holders.add("a")
    assert holders.served == ["a"]
    await holders.add("b")
    assert holders.served == ["a", "b"]
    await holders.finish()


async def test_a_key_with_too_many_waiting_is_refused_and_others_are_not() -> None:
    holders = Holders(TurnSlots(1, max_waiting_per_key=2))
    for _ in range(3):
        await holders.add("a")
    with pytest.raises(Unavailable, match="your requests"):
        await (await holders.add("a"))
    await holders.add("b")
    await holders.finish()
    assert "b" in holders.served


async def test_a_request_that_waits_too_long_is_refused_and_leaves_no_trace() -> None:
    slots = TurnSlots(1)
    async with slots.slot("a"):
        with pytest.raises(Unavailable, match="too long"):
            async with slots.slot("b", timeout_s=0.0):
                pytest.fail("there is no free slot")
    async with slots.slot("b", timeout_s=1.0):
        pass


async def test_a_request_that_is_cancelled_as_it_is_served_passes_its_slot_on() -> None:
    holders = Holders(TurnSlots(1))
    await holders.add("a")
    second = await holders.add("b")
    third = await holders.add("c")
    holders._leave.pop(0).set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second.cancel()
    await holders.settle()
    assert not third.done()
    assert "c" in holders.served
    await holders.finish()


@given(
    st.integers(1, 3),
    st.lists(st.sampled_from(["add a", "add b", "add c", "leave", "cancel"]), max_size=60),
)
async def test_whoever_waits_is_served_before_a_key_that_holds_more(
    slots: int, steps: Sequence[str]
) -> None:
    """The share: when a slot is given, no key that waits holds fewer."""
    holders, added = Holders(TurnSlots(slots)), 0
    waiting: list[tuple[str, asyncio.Task[None]]] = []
    for step in steps:
        if step.startswith("add"):
            key = step[-1]
            waiting.append((key, await holders.add(key)))
            added += 1
        elif step == "leave" and holders._leave:
            await holders.leave()
        elif step == "cancel" and waiting:
            waiting.pop()[1].cancel()
            await holders.settle()
        held = holders.slots._held
        assert sum(held.values()) <= slots
        queued = [key for key, turns in holders.slots._waiting.items() if turns]
        if queued:
            assert sum(held.values()) == slots
            assert max(held.values()) <= min(held.get(key, 0) for key in queued) + slots
    await holders.finish()
    assert not holders.slots._held
    assert not holders.slots._waiting

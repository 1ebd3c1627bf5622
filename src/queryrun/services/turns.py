"""Slots that entities take in turn: one entity's thousand requests delay another's by one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from queryrun.errors import Unavailable


class TurnSlots:
    """At most `slots` holders at once. Whoever waits is served in turn, by key and not by arrival:
    first the key that holds fewest, then the one that was served longest ago.

    Used from one event loop.
    """

    def __init__(self, slots: int, *, max_per_key: int = 0, max_waiting_per_key: int = 64) -> None:
        """`max_per_key`: how many of the slots one key may hold; 0: all of them."""
        self._free = slots
        self._max_per_key = max_per_key or slots
        self._max_waiting = max_waiting_per_key
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """No deque is empty."""
        self._turns: dict[str, int] = {}
        """When each key that holds a slot or waits was served last; 0: not lately."""
        self._served = 0

    @contextlib.asynccontextmanager
    async def slot(self, key: str, timeout_s: float | None = None) -> AsyncIterator[None]:
        """Hold a slot. `Unavailable` when too many of this key wait, or after `timeout_s`."""
        await self._acquire(key, timeout_s)
        try:
            yield
        finally:
            self._release(key)

    async def _acquire(self, key: str, timeout_s: float | None) -> None:
        """A waiter is given its slot by `_serve`; one that gives up passes it on."""
        if self._may_take(key) and key not in self._waiting:
            self._take(key)
            return
        waiting = self._waiting.setdefault(key, deque())
        if len(waiting) >= self._max_waiting:
            raise Unavailable("too many of your requests of this kind wait already; try again")
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._release(key)
            else:
                self._leave(key, turn)
            if isinstance(error, TimeoutError):
                raise Unavailable("your earlier requests of this kind take too long") from None
            raise

    def _may_take(self, key: str) -> bool:
        return self._free > 0 and self._held.get(key, 0) < self._max_per_key

    def _take(self, key: str) -> None:
        self._free -= 1
        self._held[key] = self._held.get(key, 0) + 1
        self._served += 1
        self._turns[key] = self._served

    def _release(self, key: str) -> None:
        self._free += 1
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
        self._serve()
        self._forget(key)

    def _serve(self) -> None:
        """Give free slots to those whose turn it is."""
        while ready := [key for key in self._waiting if self._may_take(key)]:
            key = min(ready, key=lambda one: (self._held.get(one, 0), self._turns.get(one, 0)))
            turn = self._waiting[key].popleft()
            self._drop_if_empty(key)
            if not turn.done():  # a caller that was cancelled is on its way out
                self._take(key)
                turn.set_result(None)

    def _leave(self, key: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            self._drop_if_empty(key)

    def _drop_if_empty(self, key: str) -> None:
        if not self._waiting[key]:
            del self._waiting[key]
            self._forget(key)

    def _forget(self, key: str) -> None:
        if key not in self._held and key not in self._waiting:
            self._turns.pop(key, None)

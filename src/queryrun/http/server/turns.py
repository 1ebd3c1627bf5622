"""Whose request begins next: addresses take turns, and the event loop gets its own in between."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

from queryrun.http.server.limits import TURNS_PER_TICK

T = TypeVar("T")


class Turns(Generic[T]):
    """Begins at most `TURNS_PER_TICK` requests in one turn of the event loop.

    Without it a turn takes as long as all requests that have arrived, and a cancel, which needs
    several turns, takes several times that. What waits is bounded by the connections, because
    each has one request at a time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Callable[[T], None]) -> None:
        self._loop = loop
        self._begin = begin
        self._begun = 0
        """In this turn of the loop."""
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()

    def take(self, address: str, request: T) -> None:
        """Begin the request now, or when it is its address' turn."""
        if self._begun == 0:
            self._loop.call_soon(self._next_turn)
        if self._begun < TURNS_PER_TICK:
            self._begun += 1
            self._begin(request)
        else:
            self._waiting.setdefault(address, deque()).append(request)

    def _next_turn(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < TURNS_PER_TICK:
            address, queue = self._waiting.popitem(last=False)
            request = queue.popleft()
            if queue:
                self._waiting[address] = queue
            self._begun += 1
            self._begin(request)
        if self._begun:
            self._loop.call_soon(self._next_turn)

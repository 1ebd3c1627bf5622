"""Whose request begins next: callers take turns, and the event loop gets its own in between."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from queryrun.http.server.limits import KNOWN_PER_TICK, MAX_KNOWN_CALLERS, STRANGERS_PER_TICK

T = TypeVar("T")


class KnownCallers:
    """The callers who were authorized lately. A hint for turns and nothing else: whether a caller
    may do anything is looked up each time. Keeps hashes, never what was sent."""

    def __init__(self) -> None:
        self._hashes: OrderedDict[int, None] = OrderedDict()

    def add(self, authorization: bytes) -> None:
        """A request with this `Authorization` was authorized."""
        key = hash(authorization)
        self._hashes[key] = None
        self._hashes.move_to_end(key)
        if len(self._hashes) > MAX_KNOWN_CALLERS:
            self._hashes.popitem(last=False)

    def find(self, authorization: bytes | None) -> int | None:
        """Who this is; None for a stranger."""
        if authorization is None:
            return None
        key = hash(authorization)
        return key if key in self._hashes else None


class _Queue(Generic[T]):
    """Requests that wait, by caller, and how many of them may begin in one turn of the loop."""

    def __init__(self, per_tick: int) -> None:
        self.per_tick = per_tick
        self.begun = 0
        self._waiting: OrderedDict[Hashable, deque[T]] = OrderedDict()

    def put(self, caller: Hashable, request: T) -> None:
        self._waiting.setdefault(caller, deque()).append(request)

    def next(self) -> T | None:
        """One request of the caller whose turn it is, if one may still begin."""
        if not self._waiting or self.begun >= self.per_tick:
            return None
        self.begun += 1
        caller, requests = self._waiting.popitem(last=False)
        request = requests.popleft()
        if requests:
            self._waiting[caller] = requests
        return request


class Turns(Generic[T]):
    """Begins a bounded number of requests in one turn of the event loop.

    Without it a turn takes as long as all requests that have arrived, and a cancel, which needs
    several turns, takes several times that. Known callers do not wait for strangers; strangers
    get some of every turn, and take turns by address. What waits is bounded by the connections,
    because each has one request at a time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Callable[[T], None]) -> None:
        self._loop = loop
        self._begin = begin
        self._known: _Queue[T] = _Queue(KNOWN_PER_TICK)
        self._strangers: _Queue[T] = _Queue(STRANGERS_PER_TICK)
        self._is_scheduled = False

    def take(self, request: T, *, address: str, known: int | None) -> None:
        """Begin the request now, or when it is its caller's turn."""
        if known is None:
            self._strangers.put(address, request)
            self._begin_next(self._strangers)
        else:
            self._known.put(known, request)
            self._begin_next(self._known)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._next_tick)

    def _next_tick(self) -> None:
        self._is_scheduled = False
        for queue in (self._known, self._strangers):
            queue.begun = 0
            self._begin_next(queue)
            if queue.begun and not self._is_scheduled:
                self._is_scheduled = True
                self._loop.call_soon(self._next_tick)

    def _begin_next(self, queue: _Queue[T]) -> None:
        while (request := queue.next()) is not None:
            self._begin(request)

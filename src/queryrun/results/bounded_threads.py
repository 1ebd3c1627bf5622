"""Each kind of blocking work has its own bounded threads, so that none waits for another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from queryrun.errors import Unavailable
from queryrun.results.ready_threads import ReadyThreads

T = TypeVar("T")


class BoundedThreads:
    """At most `threads` calls at once, and at most `max_waiting` that wait for a thread.

    Used from one event loop. All threads start at once: later the limit of them may be reached.
    """

    def __init__(self, name: str, *, threads: int, max_waiting: int) -> None:
        self._threads = ReadyThreads(threads, name)
        self._max_calls = threads + max_waiting
        self._calls = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, called in a thread. `Unavailable` when too many calls wait.

        A call that is cancelled while it runs keeps its thread until `work` returns.
        """
        if self._calls >= self._max_calls:
            raise Unavailable("too many requests of this kind at once; try again")
        self._count(1)
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._count(-1))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Start no more calls. Does not wait for those that run. Idempotent."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _count(self, change: int) -> None:
        """Called in the loop and in the threads."""
        with self._lock:
            self._calls += change

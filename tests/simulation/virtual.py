"""Virtual time: an event loop that waits for nothing, and jumps to the next timer instead."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _JumpingSelector(selectors.SelectSelector):
    """Has nothing to wait for: a wait moves the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everything waits, and no timer is set")
        self.now_s += max(timeout, 0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now_s

    def run_in_executor(  # type: ignore[override]  # typeshed's has type variables of its own
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """At once, and in this thread: real threads would take real time."""
        assert executor is None
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def virtual_time() -> Iterator[VirtualLoop]:
    """A loop whose time is also `time.monotonic`, for the duration of the block."""
    loop, real = VirtualLoop(), time.monotonic
    time.monotonic = loop.time
    try:
        yield loop
    finally:
        time.monotonic = real
        _cancel_all(loop)
        loop.close()


def _cancel_all(loop: VirtualLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    for _ in range(20):
        loop.call_soon(loop.stop)
        loop.run_forever()

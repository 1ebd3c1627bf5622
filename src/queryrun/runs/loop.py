"""Background loops of a node: start them, close them, and survive any error of a single round."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from queryrun.errors import Unavailable
from queryrun.runs.outages import StoreOutages

log = structlog.get_logger()


class BackgroundLoops:
    """The running loops of one component."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        """Run `loop` as a task of this name, on the running event loop."""
        self._tasks.append(asyncio.create_task(loop, name=name))

    async def close(self) -> None:
        """Cancel all loops and wait until they have finished. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def survive(
    round_: Callable[[], Awaitable[object]],
    *,
    operation: str,
    error_event: str,
    outages: StoreOutages | None = None,
) -> None:
    """Run one round of a loop and log what it raises. Only a cancellation gets through.

    `Unavailable` is expected during an outage of the store and is logged as a warning, and noted in
    `outages`. If any other error stopped the loop, the node would look healthy and do nothing.
    """
    try:
        await round_()
    except Unavailable as error:
        if outages is not None:
            outages.note()
        log.warning("store_unavailable_retrying", operation=operation, reason=str(error))
    except Exception as error:
        log.exception(error_event, error=type(error).__name__)

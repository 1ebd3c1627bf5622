"""Maintenance: what has to be done from time to time, by no one in particular, never in the way.

Each task has its own loop, so one that hangs delays no other, and settling what dead nodes left
(`runs/reap.py`) waits for none. A node whose clock is wrong does no maintenance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from queryrun.runs.loop import BackgroundLoops, survive


@dataclass(frozen=True, slots=True)
class MaintenanceTask:
    """One task: its name in logs, and what one round of it does."""

    name: str
    round: Callable[[], Awaitable[object]]


class Maintenance:
    """Runs every task every `interval_s`, while `allowed`."""

    def __init__(
        self,
        tasks: list[MaintenanceTask],
        interval_s: float,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._tasks = tasks
        self._interval_s = interval_s
        self._allowed = allowed
        self._loops = BackgroundLoops()

    def start(self) -> None:
        """Begin, each task in its own loop."""
        for task in self._tasks:
            self._loops.start(f"maintenance {task.name}", self._repeat(task))

    async def close(self) -> None:
        """Stop."""
        await self._loops.close()

    async def _repeat(self, task: MaintenanceTask) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            if self._allowed():
                await survive(task.round, operation=task.name, error_event="maintenance_error")

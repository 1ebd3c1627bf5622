"""Chores: what has to be done from time to time, by nobody in particular, and never in the way.

Each chore has its own loop, so one that hangs delays no other, and settling what dead nodes left
(`runs/reap.py`) waits for none. A node whose clock is wrong does no chores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from queryrun.runs.loop import BackgroundLoops, survive


@dataclass(frozen=True, slots=True)
class Chore:
    """One chore: its name in logs, and what one round of it does."""

    name: str
    round: Callable[[], Awaitable[object]]


class Chores:
    """Runs every chore every `interval_s`, while `allowed`."""

    def __init__(
        self, chores: list[Chore], interval_s: float, allowed: Callable[[], bool] = lambda: True
    ) -> None:
        self._chores = chores
        self._interval_s = interval_s
        self._allowed = allowed
        self._loops = BackgroundLoops()

    def start(self) -> None:
        """Begin, each chore in its own loop."""
        for chore in self._chores:
            self._loops.start(f"chore {chore.name}", self._repeat(chore))

    async def close(self) -> None:
        """Stop."""
        await self._loops.close()

    async def _repeat(self, chore: Chore) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            if self._allowed():
                await survive(chore.round, operation=chore.name, error_event="chore_error")

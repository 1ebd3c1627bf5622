"""Follow one run: its moves from the beginning (or from where one left off), and its progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from queryrun.runs.desk import Desk, Follower
from queryrun.runs.model import AttemptProgress, RunMove

POLL_S = 5.0
"""How long a follower trusts hints alone before it reads the store: another node may have acted."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing has happened for a while."""


QUIET = Quiet()
Step = RunMove | AttemptProgress | Quiet
"""What a follower is told."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run is followed: quiet steps after `quiet_s` of silence, `life_s` in all."""

    quiet_s: float
    life_s: float


async def follow(
    desk: Desk, run_id: str, after: datetime | None, pace: Pace
) -> AsyncIterator[Step]:
    """Every move of the run later than `after` (None: from its creation), then what comes.

    Moves come whole and in order; of progress the newest, in between, and only while this node
    works on the run. Ends after the move that ended the run, after `pace.life_s`, and when the
    node begins to drain: whoever is not done then continues from the last move they saw.
    Between hints nothing is read but once every `POLL_S`.
    """
    watch = _Watch(desk, run_id, after)
    now_s = asyncio.get_running_loop().time
    end_s, quiet_at_s = now_s() + pace.life_s, now_s() + pace.quiet_s
    async with desk.changes.follow(run_id) as follower:
        while True:
            steps = await watch.news(follower)
            for step in steps:
                yield step
            if watch.has_ended or now_s() >= end_s or not desk.accepting():
                return
            if steps:
                quiet_at_s = now_s() + pace.quiet_s
            elif now_s() >= quiet_at_s:
                quiet_at_s = now_s() + pace.quiet_s
                yield QUIET
            await _woken(follower, min(quiet_at_s, end_s) - now_s())


class _Watch:
    """What one follower has seen so far."""

    def __init__(self, desk: Desk, run_id: str, after: datetime | None) -> None:
        self._desk = desk
        self._run_id = run_id
        self._after = after
        self._progress: AttemptProgress | None = None
        self._read_at_s = 0.0
        self.has_ended = False

    async def news(self, follower: Follower) -> list[Step]:
        """What has come since the last call."""
        follower.woken.clear()
        steps: list[Step] = list(await self._moves(follower))
        progress = self._desk.progress(self._run_id)
        if progress is not None and progress != self._progress and not self.has_ended:
            steps.append(progress)
        self._progress = progress
        return steps

    async def _moves(self, follower: Follower) -> list[RunMove]:
        now_s = asyncio.get_running_loop().time()
        if not follower.changed and now_s < self._read_at_s + POLL_S:
            return []
        follower.changed, self._read_at_s = False, now_s
        moves = await self._desk.store.moves(self._run_id)
        new = [move for move in moves if self._after is None or move.at > self._after]
        if new:
            self._after = new[-1].at
        self.has_ended = not moves or moves[-1].state.is_terminal
        return new


async def _woken(follower: Follower, timeout_s: float) -> None:
    """Return when there may be news, when it is time to look, or after `timeout_s`."""
    try:
        async with asyncio.timeout(max(0.0, min(timeout_s, POLL_S))):
            await follower.woken.wait()
    except TimeoutError:
        return

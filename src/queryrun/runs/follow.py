"""Follow one run: its event records from the start or from a given time, and its progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from queryrun.runs.context import RequestContext
from queryrun.runs.model import AttemptProgress, RunEventRecord
from queryrun.runs.notify import Subscription
from queryrun.runs.state import HELD

POLL_S = 5.0
"""Interval between reads of the store without a notification: another node may have acted."""

PROGRESS_POLL_S = 3.0
"""How often the store is asked for the progress of a run that another node works on: about as often
as that node says it."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing has happened for a while."""


QUIET = Quiet()
Step = RunEventRecord | AttemptProgress | Quiet
"""What a subscription is told."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run is followed: quiet steps after `quiet_s` of silence, `life_s` in all."""

    quiet_s: float
    life_s: float


async def follow(
    context: RequestContext, run_id: str, after: datetime | None, pace: Pace
) -> AsyncIterator[Step]:
    """Every event record of the run later than `after` (None: from its creation), then what comes.

    Moves come whole and in order; of progress the newest, in between: of a run of this node at
    once, of another node's within `PROGRESS_POLL_S` of when that node wrote it down. Ends after
    the event that ended the run, after `pace.life_s`, and when the node begins to drain: whoever
    is not done then continues from the last record they saw. Between hints nothing is read but
    event records once every `POLL_S`, and progress once every `PROGRESS_POLL_S`.
    """
    watch = _Watch(context, run_id, after)
    now_s = asyncio.get_running_loop().time
    end_s, quiet_at_s = now_s() + pace.life_s, now_s() + pace.quiet_s
    async with context.notifier.subscribe(run_id) as subscription:
        while True:
            steps = await watch.news(subscription)
            for step in steps:
                yield step
            if watch.has_ended or now_s() >= end_s or not context.accepting():
                return
            if steps:
                quiet_at_s = now_s() + pace.quiet_s
            elif now_s() >= quiet_at_s:
                quiet_at_s = now_s() + pace.quiet_s
                yield QUIET
            await _woken(subscription, min(quiet_at_s - now_s(), end_s - now_s(), watch.timeout_s))


class _Watch:
    """What one subscription has seen so far."""

    def __init__(self, context: RequestContext, run_id: str, after: datetime | None) -> None:
        self._context = context
        self._run_id = run_id
        self._after = after
        self._progress: AttemptProgress | None = None
        self._read_at_s = 0.0
        self._asked_at_s = float("-inf")
        self._is_held = False
        self.has_ended = False

    @property
    def timeout_s(self) -> float:
        """How long there can be no news without a hint."""
        is_elsewhere = self._is_held and self._context.progress(self._run_id) is None
        return PROGRESS_POLL_S if is_elsewhere else POLL_S

    async def news(self, subscription: Subscription) -> list[Step]:
        """What has come since the last call."""
        subscription.event.clear()
        steps: list[Step] = list(await self._new_records(subscription))
        progress = await self._newest_progress()
        if progress is not None and progress != self._progress and not self.has_ended:
            steps.append(progress)
        self._progress = progress
        return steps

    async def _newest_progress(self) -> AttemptProgress | None:
        """From this node at once; of another node's run, what the store was last asked for."""
        here = self._context.progress(self._run_id)
        if here is not None or not self._is_held:
            return here
        now_s = asyncio.get_running_loop().time()
        if now_s < self._asked_at_s + PROGRESS_POLL_S:
            return self._progress
        self._asked_at_s = now_s
        return await self._context.store.progress(self._run_id)

    async def _new_records(self, subscription: Subscription) -> list[RunEventRecord]:
        now_s = asyncio.get_running_loop().time()
        if not subscription.changed and now_s < self._read_at_s + POLL_S:
            return []
        subscription.changed, self._read_at_s = False, now_s
        records = await self._context.store.events(self._run_id)
        new = [record for record in records if self._after is None or record.at > self._after]
        if new:
            self._after = new[-1].at
        self.has_ended = not records or records[-1].state.is_terminal
        self._is_held = bool(records) and records[-1].state in HELD
        return new


async def _woken(subscription: Subscription, timeout_s: float) -> None:
    """Return when there may be news, or after `timeout_s`."""
    try:
        async with asyncio.timeout(max(0.0, timeout_s)):
            await subscription.event.wait()
    except TimeoutError:
        return

"""Follow one run: its event records from the start or from a given time, and its progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from queryrun.runs.context import RequestContext
from queryrun.runs.model import AttemptProgress, RunEventRecord
from queryrun.runs.notify import Subscription
from queryrun.runs.state import HELD

POLL_S = 5.0
"""Interval between reads of the store without a notification: another node may have acted."""

PROGRESS_POLL_S = 3.0
"""Interval between reads of the progress of another node's run: that node writes it as often."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Nothing has happened for `FollowOptions.keep_alive_s`."""


KEEP_ALIVE = KeepAlive()
RunUpdate = RunEventRecord | AttemptProgress | KeepAlive
"""What `follow` yields."""


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """The interval of `KeepAlive` while nothing happens, and the total duration of `follow`."""

    keep_alive_s: float
    max_duration_s: float


async def follow(
    context: RequestContext, run_id: str, after: datetime | None, options: FollowOptions
) -> AsyncGenerator[RunUpdate, None]:
    """Yield the run's event records later than `after` (None: all), then updates as they come.

    Event records are complete and in order. Between them comes the newest progress: at once for a
    run of this node, and within `PROGRESS_POLL_S` of being written for another node's.

    Stops after the record of a terminal state, after `options.max_duration_s`, and when the node
    begins to drain. A caller that is not done continues from its last record. Without
    notifications, records are read every `POLL_S` and progress every `PROGRESS_POLL_S`.
    """
    reader = _UpdateReader(context, run_id, after)
    now_s = asyncio.get_running_loop().time
    end_s, keep_alive_at_s = now_s() + options.max_duration_s, now_s() + options.keep_alive_s
    async with context.notifier.subscribe(run_id) as subscription:
        while True:
            updates = await reader.read(subscription)
            for update in updates:
                yield update
            if reader.is_run_terminal or now_s() >= end_s or not context.accepting():
                return
            if updates:
                keep_alive_at_s = now_s() + options.keep_alive_s
            elif now_s() >= keep_alive_at_s:
                keep_alive_at_s = now_s() + options.keep_alive_s
                yield KEEP_ALIVE
            wait_s = min(keep_alive_at_s - now_s(), end_s - now_s(), reader.poll_s)
            await _notified(subscription, wait_s)


class _UpdateReader:
    """Reads what is new for one subscription."""

    def __init__(self, context: RequestContext, run_id: str, after: datetime | None) -> None:
        self._context = context
        self._run_id = run_id
        self._after = after
        self._progress: AttemptProgress | None = None
        self._records_read_at_s = 0.0
        self._progress_read_at_s = float("-inf")
        self._is_held = False
        self.is_run_terminal = False

    @property
    def poll_s(self) -> float:
        """When to read again without a notification. Other nodes send none for progress."""
        is_remote = self._is_held and self._context.progress(self._run_id) is None
        return PROGRESS_POLL_S if is_remote else POLL_S

    async def read(self, subscription: Subscription) -> list[RunUpdate]:
        """What is new since the last call."""
        subscription.event.clear()
        updates: list[RunUpdate] = list(await self._new_records(subscription))
        progress = await self._newest_progress()
        if progress is not None and progress != self._progress and not self.is_run_terminal:
            updates.append(progress)
        self._progress = progress
        return updates

    async def _newest_progress(self) -> AttemptProgress | None:
        """From memory for this node's run; else from the store, at most every PROGRESS_POLL_S."""
        local = self._context.progress(self._run_id)
        if local is not None or not self._is_held:
            return local
        now_s = asyncio.get_running_loop().time()
        if now_s < self._progress_read_at_s + PROGRESS_POLL_S:
            return self._progress
        self._progress_read_at_s = now_s
        return await self._context.store.progress(self._run_id)

    async def _new_records(self, subscription: Subscription) -> list[RunEventRecord]:
        """Skips the store when only progress was notified: that comes many times a second."""
        now_s = asyncio.get_running_loop().time()
        if not subscription.changed and now_s < self._records_read_at_s + POLL_S:
            return []
        subscription.changed, self._records_read_at_s = False, now_s
        records = await self._context.store.events(self._run_id)
        new = [record for record in records if self._after is None or record.at > self._after]
        if new:
            self._after = new[-1].at
        self.is_run_terminal = not records or records[-1].state.is_terminal
        self._is_held = bool(records) and records[-1].state in HELD
        return new


async def _notified(subscription: Subscription, timeout_s: float) -> None:
    """Return at the next notification, or after `timeout_s`."""
    try:
        async with asyncio.timeout(max(0.0, timeout_s)):
            await subscription.event.wait()
    except TimeoutError:
        return

"""The sweeper: removes result files that belong to no run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from queryrun.errors import RunFailed
from queryrun.results.store import ResultStore
from queryrun.runs.leader import LeaderLease, LeaderTask

log = structlog.get_logger()

INTERVAL = timedelta(hours=1)
MARGIN = timedelta(days=1)
"""Added to the age from which a file can belong to no run: clocks differ."""


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How old files must be before they cannot belong to any run."""

    max_attempt_s: float
    """The longest time that an attempt may take: uncommitted files are younger than this."""
    retention_s: float
    """How long runs are kept: committed files are younger than this."""


class Sweeper:
    """Sweeps the result store once an hour. In a shared bucket, only the leader sweeps."""

    def __init__(
        self,
        options: SweepOptions,
        results: ResultStore,
        leader: LeaderLease,
        now: Callable[[], datetime],
    ) -> None:
        self._attempt = timedelta(seconds=options.max_attempt_s) + MARGIN
        self._retention = timedelta(seconds=options.retention_s) + MARGIN
        self._results = results
        self._leader = leader
        self._now = now
        self._due = now()
        self._sweep: asyncio.Task[None] | None = None

    async def start_if_due(self) -> None:
        """Start a sweep if one is due and this node is the leader. Returns at once.

        A large bucket takes minutes, and the caller's other work must not wait for it.
        """
        is_leader = await self._leader.held(LeaderTask.SWEEP)  # every time: this renews the lease
        is_running = self._sweep is not None and not self._sweep.done()
        if is_leader and not is_running and (now := self._now()) >= self._due:
            self._due = now + INTERVAL
            self._sweep = asyncio.create_task(self.sweep(now), name="sweep")

    async def sweep(self, now: datetime) -> None:
        """Sweep now, leader or not. Logs errors and never raises: the next sweep retries."""
        try:
            swept = await asyncio.to_thread(
                self._results.sweep, now - self._attempt, now - self._retention
            )
        except (RunFailed, OSError) as error:
            log.warning("result_sweep_failed", error=type(error).__name__)
        except Exception as error:  # nothing awaits this task
            log.exception("result_sweep_error", error=type(error).__name__)
        else:
            if swept:
                log.info("result_files_swept", files=len(swept))

    async def close(self) -> None:
        """Stop waiting for a running sweep. Its thread finishes on its own."""
        if self._sweep is not None:
            self._sweep.cancel()
            await asyncio.gather(self._sweep, return_exceptions=True)

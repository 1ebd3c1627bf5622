"""Retention: removes finished runs that have been kept long enough, and refuses to remove nearly
everything at once, which is what a wrong clock would ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from queryrun.runs.leader import LeaderLease, LeaderTask
from queryrun.runs.metrics import RunMetrics
from queryrun.runs.store import ExpiredShare, RunStore

log = structlog.get_logger()

BATCH = 1000
"""Runs that one transaction removes."""
MAX_COUNTED = 1_000_000
MAX_ROUND_SHARE = 0.1
"""Of the finished runs that one round removes at most, but `MIN_ROUND` in any case."""
MIN_ROUND = 5 * BATCH
FEW = 10
"""So few expired runs are removed whatever their share is: a small installation has few runs."""


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """How long finished runs are kept (contract F9), and which share of them may go at once."""

    retention_s: float = 30 * 24 * 3600.0
    max_share: float = 0.5


class Retention:
    """Removes runs past their retention. Their files are removed by `FileRemoval`."""

    def __init__(
        self,
        store: RunStore,
        options: RetentionOptions,
        leader: LeaderLease,
        metrics: RunMetrics,
        allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._options = options
        self._leader = leader
        self._metrics = metrics
        self._allowed = allowed
        self._refused: ExpiredShare | None = None

    def problem(self) -> str | None:
        """Why nothing is removed, for operators; None when retention works."""
        if self._refused is None:
            return None
        return (
            f"retention has stopped: {self._refused.expired} of {self._refused.finished} finished "
            "runs would be removed at once, as after a wrong clock; check the clock of the "
            "database, or allow it with results.retention_max_share = 1"
        )

    async def round(self) -> int:
        """Remove what is expired, at most a share of all; returns how many runs.

        Only the leader removes, one transaction for each `BATCH`.
        """
        if not await self._leader.held(LeaderTask.RETENTION):
            return 0
        share = await self._store.expired_share(
            retention_s=self._options.retention_s, max_expired=MAX_COUNTED
        )
        self._refuse(share if self._is_too_much(share) else None)
        if self._refused is not None or not share.expired:
            return 0
        return await self._remove(max(MIN_ROUND, int(share.finished * MAX_ROUND_SHARE)))

    async def _remove(self, budget: int) -> int:
        removed = 0
        while removed < budget and self._allowed():
            batch = await self._store.remove_expired(
                retention_s=self._options.retention_s, limit=BATCH
            )
            self._metrics.reaped.labels("run").inc(batch)
            removed += batch
            if batch < BATCH:
                break
        return removed

    def _is_too_much(self, share: ExpiredShare) -> bool:
        limit = self._options.max_share * share.finished
        return share.expired > FEW and share.expired > limit

    def _refuse(self, share: ExpiredShare | None) -> None:
        """Log each change once."""
        was_refused, self._refused = self._refused is not None, share
        self._metrics.retention_stopped.set(0 if share is None else 1)
        if share is not None and not was_refused:
            log.error(
                "retention_stopped",
                expired=share.expired,
                finished=share.finished,
                max_share=self._options.max_share,
            )
        elif share is None and was_refused:
            log.warning("retention_continues")

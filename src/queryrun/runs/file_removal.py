"""Removes result files that no run has. A store of files that hangs delays no run's outcome.

A file is removed at once when its store responds. Otherwise its key is put on record in the
database, and a task removes it later.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from queryrun.errors import RunFailed, Unavailable
from queryrun.results.bounded_threads import BoundedThreads
from queryrun.results.store import ResultStore
from queryrun.runs.leader import LeaderLease, LeaderTask
from queryrun.runs.store import RunStore

log = structlog.get_logger()

TIMEOUT_S = 0.25
"""How long an outcome waits for the removal of its attempt's file."""
BATCH = 200
_THREADS = 8
_MAX_WAITING = 64


class FileRemoval:
    """Removes files of one result store. `close` starts no more removals."""

    def __init__(self, store: RunStore, results: ResultStore, leader: LeaderLease) -> None:
        self._store = store
        self._results = results
        self._leader = leader
        self._threads = BoundedThreads("file-removal", threads=_THREADS, max_waiting=_MAX_WAITING)
        self._running: set[asyncio.Future[None]] = set()

    async def discard(self, key: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        """Remove what an attempt left under `key`, or put it on record. Never raises.

        Call it only after the writer is confirmed stopped. When the database cannot record it
        either, the sweeper finds the file by its age.
        """
        if key is None or await self._removed_within(key, timeout_s):
            return
        try:
            await self._store.record_removals([key])
        except Unavailable as error:
            log.warning("file_removal_not_recorded", reason=str(error))

    async def round(self) -> int:
        """Remove files that are on record, a batch; returns how many. The leader's task."""
        if not await self._leader.held(LeaderTask.FILES):
            return 0
        keys = await self._store.recorded_removals(limit=BATCH)
        removed = await asyncio.gather(*(self._remove_recorded(key) for key in keys))
        done = [key for key, is_removed in zip(keys, removed, strict=True) if is_removed]
        left = [key for key, is_removed in zip(keys, removed, strict=True) if not is_removed]
        await self._store.forget_removals(done)
        await self._store.record_removals(left)  # behind the others: one must not block all
        return len(done)

    async def close(self) -> None:
        """Start no more removals and wait for none."""
        self._threads.close()
        for future in self._running:
            future.cancel()

    async def _removed_within(self, key: str, timeout_s: float) -> bool:
        """Whether the file was removed in time. A removal that takes longer goes on."""
        future = asyncio.ensure_future(self._remove(key))
        self._running.add(future)
        future.add_done_callback(self._finished)
        done, _ = await asyncio.wait({future}, timeout=timeout_s)
        return bool(done) and not future.cancelled() and future.exception() is None

    def _finished(self, future: asyncio.Future[None]) -> None:
        self._running.discard(future)
        if not future.cancelled() and (error := future.exception()) is not None:
            log.warning("result_file_discard_failed", error=_reason(error))

    async def _remove_recorded(self, key: str) -> bool:
        try:
            await self._remove(key)
        except (RunFailed, OSError, Unavailable) as error:
            log.warning("result_file_discard_failed", error=_reason(error))
            return False
        return True

    async def _remove(self, key: str) -> None:
        await self._threads.run(partial(self._results.discard, key))


def _reason(error: BaseException) -> str:
    """The store's own words: they name no file and no statement."""
    return error.failure.message if isinstance(error, RunFailed) else type(error).__name__

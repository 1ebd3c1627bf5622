"""The only thread that writes: it commits units of work in groups.

All units that are queued when the thread is free are committed together, so the cost of an fsync
is shared under load and a single unit is committed without a delay. A unit is a plain function
of the connection, which may run twice; one that fails is rolled back alone.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from queryrun.causes import cause_of
from queryrun.db.sqlite.pending import WriteConnection
from queryrun.errors import Unavailable

T = TypeVar("T")
Unit = Callable[[sqlite3.Connection], T]

BATCH_LIMIT = 256
"""Units in one transaction. Bounds how long the first of them waits for the last."""
CHECKED_S = 0.01
"""How old a check of the files may be that counts for the beginning of another transaction. Each
ends with a check of its own."""
QUEUE_LIMIT = 20_000
"""Units that may wait. Beyond it new ones are refused, so memory stays bounded."""

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_NOMEM,
}
"""Primary result codes of a database that cannot be used now. Others are bugs of ours."""


@dataclass(slots=True)
class _Job:
    """A unit, the future of its caller, and its outcome."""

    unit: Unit[Any]
    durable: bool
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class _HalfWrittenError(Exception):
    """A unit of a batch has failed after it had written something."""


class Writer:
    """Runs units on one thread that owns one connection, until `close`.

    The connection must be in autocommit (`isolation_level=None`) and is closed by `close`.
    """

    def __init__(
        self,
        connection: WriteConnection,
        *,
        check_files: Callable[[], None] = lambda: None,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """`check_files` raises when the database's files are not those that were opened: then
        nothing is written, and what was committed at that moment counts as not committed."""
        self._connection = connection
        self._check_files = check_files
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._queue_limit = queue_limit
        self._closed = False
        self._synchronous = ""
        self._checked_s = -math.inf
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, unit: Unit[T], *, durable: bool) -> T:
        """Run `unit` in a transaction and return its result once that is committed.

        With `durable`, it has been fsynced when this returns; without, it survives a killed
        process but perhaps not a power cut. An exception of the unit rolls the unit back and
        is raised here. `Unavailable` when the queue is full, the writer is closed, or the
        database cannot be written to; the unit is not committed then.

        Cancelling a caller that waits does not undo the unit.
        """
        if self._closed:
            raise Unavailable("the store is closed")
        if self._queue.qsize() >= self._queue_limit:
            raise Unavailable("too many writes are waiting; try again")
        loop = asyncio.get_running_loop()
        job = _Job(unit, durable, loop.create_future(), loop)
        self._queue.put(job)
        result: T = await job.future
        return result

    def close(self) -> None:
        """Finish what is queued, then stop the thread and close the connection. Idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()
            self._connection.close()

    # --- on the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = self._batch(first)
            self._write(batch)
            _deliver(batch)
            if last:
                return

    def _batch(self, first: _Job) -> tuple[list[_Job], bool]:
        """`first` and what is queued behind it, without waiting; whether the queue was closed."""
        batch = [first]
        with suppress(Empty):
            while len(batch) < BATCH_LIMIT:
                job = self._queue.get_nowait()
                if job is None:
                    return batch, True
                batch.append(job)
        return batch, False

    def _write(self, batch: list[_Job]) -> None:
        """Run and commit the batch. If the transaction itself fails, every unit fails."""
        try:
            if time.monotonic() - self._checked_s > CHECKED_S:
                self._check_files()
            try:
                self._commit(batch, self._run)
            except _HalfWrittenError:
                self._roll_back()
                self._commit(batch, self._run_alone)
            self._check_files()
            self._checked_s = time.monotonic()
        except Exception as error:
            self._roll_back()
            for job in batch:
                job.error = translated(error)

    def _commit(self, batch: list[_Job], run: Callable[[_Job], None]) -> None:
        self._begin(durable=any(job.durable for job in batch))
        for job in batch:
            run(job)
        self._connection.pending.write(self._connection)
        self._connection.execute("COMMIT")
        self._connection.pending.clear()

    def _begin(self, *, durable: bool) -> None:
        synchronous = "FULL" if durable else "NORMAL"
        if synchronous != self._synchronous:
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        self._connection.execute("BEGIN IMMEDIATE")

    def _run(self, job: _Job) -> None:
        """Run one unit without a savepoint: two statements less. Most units that fail do so before
        they write, and leave nothing to roll back."""
        connection = self._connection
        job.error = None
        before = connection.total_changes, connection.pending.noted
        try:
            job.result = job.unit(connection)
        except Exception as error:
            if not connection.in_transaction:  # disk full or similar: SQLite rolled back all
                raise
            if (connection.total_changes, connection.pending.noted) != before:
                raise _HalfWrittenError from error
            job.error = translated(error)

    def _run_alone(self, job: _Job) -> None:
        """Run one unit. One that fails is rolled back alone, the others of the batch stay."""
        connection = self._connection
        job.error = None
        connection.execute("SAVEPOINT unit")
        try:
            job.result = job.unit(connection)
            connection.pending.write(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO unit")
            connection.pending.clear()
            job.error = translated(error)
        connection.execute("RELEASE unit")

    def _roll_back(self) -> None:
        self._connection.pending.clear()
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def translated(error: BaseException) -> BaseException:
    """`Unavailable` for a database that cannot be used now; any other error unchanged."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or (code & 0xFF) not in _UNAVAILABLE:
        return error
    unavailable = Unavailable("the store cannot be used at the moment", cause_of(error))
    unavailable.__cause__ = error
    return unavailable


def _deliver(batch: list[_Job]) -> None:
    """Resolve the futures, with one call into each event loop however large the batch is."""
    for loop in {job.loop for job in batch}:
        jobs = [job for job in batch if job.loop is loop]
        with suppress(RuntimeError):  # the loop has been closed: no caller is waiting
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job]) -> None:
    """On the event loop. A caller that was cancelled meanwhile has a future that is done."""
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)

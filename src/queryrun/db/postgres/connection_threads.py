"""Threads with one connection each, which run units of work in bounded time.

A unit is a plain function of the connection. psycopg waits for the server without the
interpreter's lock, so a few threads serve a node and the event loop is never blocked.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg.pq import TransactionStatus

from queryrun.db.postgres.connect import (
    Connection,
    is_connection_limit,
    server_words,
    translated,
)
from queryrun.errors import Unavailable

log = structlog.get_logger()

T = TypeVar("T")
Unit = Callable[[Connection], T]

QUEUE_LIMIT = 5_000
"""Units that may wait for a thread. Beyond it new ones are refused, so memory stays bounded."""
RESPONSE_TIMEOUT_S = 15.0
"""How long a caller waits, the queue included. Then the outcome is unknown: `Unavailable`."""
CONNECT_PAUSE_S = 0.25
"""How long units fail at once after a failed connect, instead of each trying to connect."""
LIMIT_PAUSE_S = 0.25
"""How long a thread that got no connection, because the server has too many, waits with its unit
before it tries again. Meanwhile other threads of the node take what is queued."""
IDLE_CONNECTION_S = 60.0
"""A connection that nobody used for this long is closed: other nodes may need it."""
CLOSE_LIMIT_S = 5.0
MAX_ATTEMPTS = 5
"""How often a unit is run when the server rolls it back because of a deadlock."""

_ROLLED_BACK = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class _NoConnectionLeft(Exception):
    """The server has as many connections as it takes."""


class _ConnectLog:
    """Logs why no connection can be opened, in the server's words, once per change of them."""

    def __init__(self) -> None:
        self._words: str | None = None
        self._lock = threading.Lock()

    def failed(self, error: psycopg.Error) -> None:
        """A connection could not be opened."""
        words = server_words(error) or type(error).__name__
        with self._lock:
            is_new, self._words = words != self._words, words
        if is_new:
            log.error("store_connect_failed", reason=words)

    def connected(self) -> None:
        """A connection was opened."""
        with self._lock:
            was, self._words = self._words, None
        if was is not None:
            log.warning("store_connected")


_log_once = _ConnectLog()


@dataclass(slots=True)
class _Job:
    """A unit, the future of its caller, and its outcome."""

    unit: Unit[Any]
    read_only: bool
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    abandoned: bool = False
    is_waiting: bool = False
    """No connection was free for it: the server has as many as it takes."""
    result: Any = None
    error: BaseException | None = None


class ConnectionThreads:
    """`count` threads that take units from one queue, until `close`.

    `connect` opens a connection in autocommit; it is called on first use, and again whenever a
    connection has been lost. Units may therefore run on any connection, at any time.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        count: int,
        name: str,
        *,
        response_timeout_s: float = RESPONSE_TIMEOUT_S,
    ) -> None:
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._response_timeout_s = response_timeout_s
        self._closed = False
        self._threads = [
            _ConnectionThread(f"{name}-{n}", self._queue, connect) for n in range(count)
        ]

    async def run(self, unit: Unit[T], *, read_only: bool = False) -> T:
        """Run `unit` on one of the connections and return its result.

        The connection is in autocommit: a unit of one statement is one transaction, a longer
        one opens its own (`connection.transaction()`). It is retried when the server rolled it
        back for a deadlock and, with `read_only`, when its connection broke.

        `Unavailable` when the database cannot be reached, did not respond within the timeout or
        closed the connection; the unit may or may not have been committed then. Cancelling a
        caller that waits does not undo the unit.
        """
        if self._closed:
            raise Unavailable("the store is closed")
        if self._queue.qsize() >= QUEUE_LIMIT:
            raise Unavailable("too many reads and writes are waiting; try again")
        loop = asyncio.get_running_loop()
        job = _Job(unit, read_only, loop.create_future(), loop)
        self._queue.put(job)
        try:
            async with asyncio.timeout(self._response_timeout_s):
                result: T = await job.future
        except TimeoutError:
            self._abandon(job)
            reason = "has no free connection" if job.is_waiting else "does not answer"
            raise Unavailable(f"the store {reason}") from None
        return result

    def close(self) -> None:
        """Finish what is queued, then stop the threads and close their connections. Idempotent.

        Bounded: a thread whose server does not respond is aborted after `CLOSE_LIMIT_S`.
        """
        if self._closed:
            return
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + CLOSE_LIMIT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _abandon(self, job: _Job) -> None:
        """The caller gave up: skip the unit if it has not begun, abort it if it has."""
        job.abandoned = True
        for thread in self._threads:
            thread.abort(job)


class _ConnectionThread:
    """One thread and its connection."""

    def __init__(
        self, name: str, queue: SimpleQueue[_Job | None], connect: Callable[[], Connection]
    ) -> None:
        self._queue = queue
        self._connect = connect
        self._connection: Connection | None = None
        self._job: _Job | None = None
        self._guard = threading.Lock()
        """Held while the connection is replaced or aborted: a closed socket's number is reused."""
        self._next_connect_s = 0.0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has exited; abort what it waits for after `timeout_s`."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self.abort(self._job)
            self._thread.join(1.0)

    def abort(self, job: _Job | None) -> None:
        """Shut the socket if this thread runs `job`, which ends psycopg's wait for the server."""
        with self._guard:
            connection = self._connection
            if job is None or self._job is not job or connection is None or connection.closed:
                return
            with (
                suppress(OSError, psycopg.Error),
                socket.socket(fileno=os.dup(connection.fileno())) as line,
            ):
                line.shutdown(socket.SHUT_RDWR)

    # --- on the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if not job.abandoned:
                self._job = job
                self._do(job)
                self._job = None
                if job.is_waiting:
                    self._queue.put(job)
                    time.sleep(LIMIT_PAUSE_S)  # after the put: a thread with a connection takes it
                else:
                    _deliver(job)
            del job  # frees its result before the next one comes
        self._close()

    def _next(self) -> _Job | None:
        """The next unit. Closes a connection that has been idle for long."""
        while True:
            try:
                return self._queue.get(timeout=IDLE_CONNECTION_S)
            except Empty:
                self._close()

    def _do(self, job: _Job) -> None:
        """Run the unit; again after a deadlock, and once more if it only reads and the connection
        broke, because a restart of the server breaks every idle connection at once."""
        job.is_waiting = False
        for left in reversed(range(MAX_ATTEMPTS)):
            try:
                job.result = job.unit(self._opened())
            except _NoConnectionLeft:
                job.is_waiting = True
                return
            except _ROLLED_BACK as error:
                job.error = translated(error)
                if not left:
                    return
            except Exception as error:
                job.error = translated(error)
                broke = self._reset()
                if not (broke and job.read_only and not job.abandoned):
                    return
                job.read_only = False
            else:
                job.error = None
                return

    def _opened(self) -> Connection:
        """The connection, reopened if it has been lost."""
        if self._connection is not None and not _is_closed_by_server(self._connection):
            return self._connection
        self._close()
        if time.monotonic() < self._next_connect_s:
            raise Unavailable("the store cannot be reached at the moment")
        try:
            connection = self._connect()
        except psycopg.Error as error:
            _log_once.failed(error)
            if is_connection_limit(error):
                raise _NoConnectionLeft from error
            self._next_connect_s = time.monotonic() + CONNECT_PAUSE_S
            raise
        _log_once.connected()
        with self._guard:
            self._connection = connection
        return connection

    def _reset(self) -> bool:
        """Leave no transaction open after an error. Returns whether the connection was lost."""
        connection = self._connection
        if connection is None:
            return False
        if not connection.closed:
            with suppress(psycopg.Error):
                if connection.info.transaction_status is not TransactionStatus.IDLE:
                    connection.rollback()
                return False
        self._close()
        return True

    def _close(self) -> None:
        with self._guard:
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()


def _is_closed_by_server(connection: Connection) -> bool:
    """Whether the server has closed the connection while it was idle.

    The server sends nothing on an idle connection but a notice or the end of the stream.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return False
    with suppress(psycopg.Error):
        connection.pgconn.consume_input()
        return bool(poll.poll(0))
    return True


def _deliver(job: _Job) -> None:
    with suppress(RuntimeError):  # the loop has been closed: no caller is waiting
        job.loop.call_soon_threadsafe(_resolve, job)


def _resolve(job: _Job) -> None:
    if job.future.done():
        return
    if job.error is not None:
        job.future.set_exception(job.error)
    else:
        job.future.set_result(job.result)

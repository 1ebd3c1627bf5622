"""Reads: point reads on the calling thread, scans on a separate thread.

Reads never wait for the writer (WAL) and see everything that was committed before they began.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from queryrun.db.sqlite.writer import translated
from queryrun.errors import Unavailable
from queryrun.results.ready_threads import ReadyThreads

T = TypeVar("T")


class Reader:
    """Two read-only connections. Both are closed by `close`.

    The first serves point reads (microseconds), which may run on the event loop; the second
    serves reads whose cost grows with what is stored, on one thread, one after the other.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._points = connect()
        try:
            self._scans = connect()
        except BaseException:
            self._points.close()
            raise
        self._thread = ReadyThreads(1, "sqlite-scan")
        self._closed = False

    def read(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Run a point read on this thread. `Unavailable` when the database cannot be read."""
        return self._read(unit, self._points)

    async def scan(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Run a longer read on the scan thread. `Unavailable` as for `read`."""
        if self._closed:
            raise Unavailable("the store is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._read, unit, self._scans)

    def close(self) -> None:
        """Wait for a running scan, then close. Idempotent."""
        self._closed = True
        self._thread.shutdown()
        self._points.close()
        self._scans.close()

    def _read(self, unit: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
        if self._closed:
            raise Unavailable("the store is closed")
        try:
            return unit(connection)
        except sqlite3.Error as error:
            unavailable = translated(error)
            if unavailable is error:
                raise
            raise unavailable from error

"""The way from a node to the store: delays, losses and outages around the real `RunStore`."""

from __future__ import annotations

import asyncio
import contextvars
import random
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from typing import Any

from queryrun.db.sqlite.migrate import migrate_sqlite
from queryrun.db.sqlite.pending import WriteConnection
from queryrun.db.sqlite.runs import SqliteRunStore
from queryrun.errors import QueryrunError, Unavailable

_TIMEOUT_S = 5.0
"""When a caller gives up on a store that does not answer."""


class _Writer:
    """Transactions on the calling thread: the simulation has one."""

    def __init__(self, connection: WriteConnection) -> None:
        self._connection = connection

    async def write(self, unit: Callable[[sqlite3.Connection], Any], *, durable: bool) -> Any:
        assert durable in {True, False}
        self._connection.execute("BEGIN")
        try:
            result = unit(self._connection)
            self._connection.pending.write(self._connection)
        except BaseException:
            self._connection.pending.clear()
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        self._connection.pending.clear()
        return result

    def read(self, unit: Callable[[sqlite3.Connection], Any]) -> Any:
        return unit(self._connection)

    async def scan(self, unit: Callable[[sqlite3.Connection], Any]) -> Any:
        return unit(self._connection)


@cache
def _migrated() -> sqlite3.Connection:
    """An empty store. A copy of it takes a fiftieth of the time of the migrations."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate_sqlite(connection)
    return connection


class StoreBackend:
    """The one store of a simulation, and whether it can be reached."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.connection = sqlite3.connect(":memory:", factory=WriteConnection, isolation_level=None)
        _migrated().backup(self.connection)
        way: Any = _Writer(self.connection)
        self.runs = SqliteRunStore(way, way, now)
        self.is_away = False

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What is really in the store."""
        return self.connection.execute(statement, values).fetchall()


class Link:
    """One node's way to the store."""

    def __init__(self, backend: StoreBackend, dice: random.Random) -> None:
        self._backend = backend
        self._dice = dice
        self.is_cut = False
        self.loses_replies = False
        self.commits_late = False
        self._late: set[asyncio.Task[Any]] = set()
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._backend.runs, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._call(method, *args, **kwargs)

        return call

    async def _call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(self._delay_s())
        await self._unless_dead()
        if self.is_cut or self._backend.is_away:
            await asyncio.sleep(self._dice.choice((0.0, 0.1, _TIMEOUT_S)))
            raise Unavailable("the store does not answer")
        if self.commits_late and self._dice.random() < 0.3:
            self._commit_later(partial(method, *args, **kwargs))
            await asyncio.sleep(self._dice.choice((0.0, 0.1, _TIMEOUT_S)))
            raise Unavailable("the connection was lost")
        result = await method(*args, **kwargs)
        await asyncio.sleep(self._delay_s())
        await self._unless_dead()
        if self.is_cut or (self.loses_replies and self._dice.random() < 0.3):
            raise Unavailable("the reply was lost")
        return result

    def _commit_later(self, unit: Callable[[], Awaitable[Any]]) -> None:
        """A server that shares its data goes on with what it was sent, also when the network is
        gone and the caller has given up; whoever sent it may be dead by then."""

        async def commit() -> None:
            await asyncio.sleep(self._dice.choice((0.01, 0.5, 3.0, 12.0)))
            with suppress(QueryrunError):
                await unit()

        task = asyncio.get_running_loop().create_task(commit(), context=contextvars.Context())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _unless_dead(self) -> None:
        """What a killed process has begun never goes on."""
        if self.is_dead:
            await asyncio.get_running_loop().create_future()

    def _delay_s(self) -> float:
        return self._dice.choice((0.0, 0.001, 0.003, 0.02, 0.3))

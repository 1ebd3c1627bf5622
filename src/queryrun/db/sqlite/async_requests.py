"""AsyncRequestStore on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

from queryrun.db.rows import async_request_of, callout_values, new_request_values
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import from_ms, to_ms
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome


class SqliteAsyncRequestStore:
    """AsyncRequestStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now

    async def begin_request(self, request: NewRequest) -> AsyncRequest:
        """Write it, in progress, durably."""

        def unit(connection: sqlite3.Connection) -> AsyncRequest:
            created_ms = to_ms(self._now())
            values = {**new_request_values(request), "created_ms": created_ms}
            connection.execute(SQL["add_async_request"], values)
            return AsyncRequest(request, from_ms(created_ms))

        return await self._writer.write(unit, durable=True)

    async def finish_request(self, request_id: str, outcome: RequestOutcome) -> bool:
        """Write its outcome, durably; False when it is unknown or finished."""

        def unit(connection: sqlite3.Connection) -> bool:
            values = {
                "id": request_id,
                "state": outcome.state,
                "response": outcome.response,
                "completed_ms": to_ms(self._now()),
            }
            written = connection.execute(SQL["finish_async_request"], values).rowcount == 1
            if written and outcome.callout is not None:
                row = connection.execute(SQL["async_request_by_id"], values).fetchone()
                notified = callout_values(async_request_of(row).request, outcome)
                at = {"at_ms": values["completed_ms"]}
                connection.execute(SQL["announce_request"], {**notified, **at})
            return written

        return await self._writer.write(unit, durable=True)

    async def get_request(self, request_id: str) -> AsyncRequest | None:
        """The request as last written, or None."""
        values = {"id": request_id}
        row = self._reader.read(
            lambda db: db.execute(SQL["async_request_by_id"], values).fetchone()
        )
        return None if row is None else async_request_of(row)

    async def finishable_requests(self, *, limit: int) -> list[AsyncRequest]:
        """Requests in progress whose run is terminal."""
        values = {"limit": limit}
        rows = self._reader.read(
            lambda db: db.execute(SQL["finishable_async_requests"], values).fetchall()
        )
        return [async_request_of(row) for row in rows]

    async def remove_expired_requests(self, *, created_before: datetime) -> int:
        """Delete requests created before that time; returns how many."""
        values = {"before_ms": to_ms(created_before)}
        return await self._writer.write(
            lambda db: db.execute(SQL["remove_expired_async_requests"], values).rowcount,
            durable=False,
        )

"""AsyncRequestStore on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import from_ms, from_ms_or_none, to_ms
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome, RequestState

_ADD = (
    "INSERT INTO async_requests (id, tenant_id, client_id, operation, run_id, state, created_ms)"
    " VALUES (?, ?, ?, ?, ?, 'in_progress', ?)"
)
_FINISH = (
    "UPDATE async_requests SET state = ?, response = ?, completed_ms = ?"
    " WHERE id = ? AND state = 'in_progress'"
)
_GET = (
    "SELECT id, tenant_id, client_id, operation, run_id, state, created_ms, completed_ms,"
    " response FROM async_requests WHERE id = ?"
)
_EXPIRE = "DELETE FROM async_requests WHERE created_ms < ?"


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
            sender = request.id, request.tenant_id, request.client_id
            connection.execute(_ADD, (*sender, request.operation, request.run_id, created_ms))
            return AsyncRequest(request, from_ms(created_ms))

        return await self._writer.write(unit, durable=True)

    async def finish_request(self, request_id: str, outcome: RequestOutcome) -> bool:
        """Write its outcome, durably; False when it is unknown or finished."""

        def unit(connection: sqlite3.Connection) -> bool:
            values = outcome.state, outcome.response, to_ms(self._now()), request_id
            return connection.execute(_FINISH, values).rowcount == 1

        return await self._writer.write(unit, durable=True)

    async def get_request(self, request_id: str) -> AsyncRequest | None:
        """The request as last written, or None."""
        row = self._reader.read(lambda db: db.execute(_GET, (request_id,)).fetchone())
        return None if row is None else _request(row)

    async def remove_expired_requests(self, *, created_before: datetime) -> int:
        """Forget requests begun before that time; how many."""
        before_ms = to_ms(created_before)
        return await self._writer.write(
            lambda db: db.execute(_EXPIRE, (before_ms,)).rowcount, durable=False
        )


def _request(row: tuple[Any, ...]) -> AsyncRequest:
    state, created_ms, completed_ms, response = row[5:]
    finished = RequestState(state) is not RequestState.IN_PROGRESS
    return AsyncRequest(
        NewRequest(*row[:5]),
        from_ms(created_ms),
        from_ms_or_none(completed_ms),
        RequestOutcome(RequestState(state), response) if finished else None,
    )

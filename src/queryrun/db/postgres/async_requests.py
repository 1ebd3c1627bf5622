"""AsyncRequestStore on PostgreSQL."""

from __future__ import annotations

from datetime import datetime

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.rows import async_request_of, callout_values, new_request_values
from queryrun.db.times import from_ms, to_ms
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome


class PostgresAsyncRequestStore:
    """AsyncRequestStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql

    async def begin_request(self, request: NewRequest) -> AsyncRequest:
        """Write it, in progress, durably."""
        values = new_request_values(request)

        def unit(connection: Connection) -> AsyncRequest:
            [(created_ms,)] = connection.execute(self._sql["add_async_request"], values).fetchall()
            return AsyncRequest(request, from_ms(created_ms))

        return await self._connections.write(unit, durable=True)

    async def finish_request(self, request_id: str, outcome: RequestOutcome) -> bool:
        """Write its outcome, durably; False when it is unknown or finished."""
        values = {"id": request_id, "state": outcome.state, "response": outcome.response}

        def unit(connection: Connection) -> bool:
            with connection.transaction():
                written = connection.execute(self._sql["finish_async_request"], values).rowcount
                if written == 1 and outcome.callout is not None:
                    self._announce(connection, request_id, outcome)
            return written == 1

        return await self._connections.write(unit, durable=True)

    def _announce(self, connection: Connection, request_id: str, outcome: RequestOutcome) -> None:
        by_id = {"id": request_id}
        [row] = connection.execute(self._sql["async_request_by_id"], by_id).fetchall()
        notified = callout_values(async_request_of(row).request, outcome)
        connection.execute(self._sql["announce_request"], notified)

    async def finishable_requests(self, *, limit: int) -> list[AsyncRequest]:
        """Requests in progress whose run is terminal."""
        values = {"limit": limit}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["finishable_async_requests"], values).fetchall()
        )
        return [async_request_of(row) for row in rows]

    async def get_request(self, request_id: str) -> AsyncRequest | None:
        """The request as last written, or None."""
        values = {"id": request_id}
        row = await self._connections.read(
            lambda db: db.execute(self._sql["async_request_by_id"], values).fetchone()
        )
        return None if row is None else async_request_of(row)

    async def remove_expired_requests(self, *, created_before: datetime) -> int:
        """Delete requests created before that time; returns how many."""
        values = {"before_ms": to_ms(created_before)}
        return await self._connections.write(
            lambda db: db.execute(self._sql["remove_expired_async_requests"], values).rowcount,
            durable=False,
        )

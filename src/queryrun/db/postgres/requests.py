"""AsyncRequestStore on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.times import from_ms, from_ms_or_none, to_ms
from queryrun.runs.requests import AsyncRequest, NewRequest, RequestOutcome, RequestState

_GET = (
    "SELECT id, tenant_id, client_id, operation, run_id, state, created_ms, completed_ms,"
    " response FROM async_requests WHERE id = %s"
)
_EXPIRE = "DELETE FROM async_requests WHERE created_ms < %s"


class PostgresAsyncRequestStore:
    """AsyncRequestStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._add = (
            "INSERT INTO async_requests"
            " (id, tenant_id, client_id, operation, run_id, state, created_ms)"
            f" VALUES (%s, %s, %s, %s, %s, 'in_progress', {connections.now}) RETURNING created_ms"
        )
        self._finish = (
            "UPDATE async_requests SET state = %s, response = %s::bytea,"
            f" completed_ms = {connections.now}"
            " WHERE id = %s AND state = 'in_progress'"
        )

    async def begin_request(self, request: NewRequest) -> AsyncRequest:
        """Write it, in progress, durably."""
        sender = request.id, request.tenant_id, request.client_id

        def unit(connection: Connection) -> AsyncRequest:
            values = *sender, request.operation, request.run_id
            [(created_ms,)] = connection.execute(self._add, values).fetchall()
            return AsyncRequest(request, from_ms(created_ms))

        return await self._connections.write(unit, durable=True)

    async def finish_request(self, request_id: str, outcome: RequestOutcome) -> bool:
        """Write its outcome, durably; False when it is unknown or finished."""
        values = outcome.state, outcome.response, request_id
        written = await self._connections.write(
            lambda db: db.execute(self._finish, values).rowcount, durable=True
        )
        return written == 1

    async def get_request(self, request_id: str) -> AsyncRequest | None:
        """The request as last written, or None."""
        row = await self._connections.read(lambda db: db.execute(_GET, (request_id,)).fetchone())
        return None if row is None else _request(row)

    async def remove_expired_requests(self, *, created_before: datetime) -> int:
        """Forget requests begun before that time; how many."""
        values = (to_ms(created_before),)
        return await self._connections.write(
            lambda db: db.execute(_EXPIRE, values).rowcount, durable=False
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

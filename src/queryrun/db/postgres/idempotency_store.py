"""IdempotencyStore on PostgreSQL: keys that hold on every node."""

from __future__ import annotations

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.postgres.idempotency import RETENTION_MS, find_key, key_values, reserve_values
from queryrun.errors import Unavailable
from queryrun.runs.model import IdempotencyKey

_MAX_ATTEMPTS = 10


class PostgresIdempotencyStore:
    """IdempotencyStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql

    async def find_key(self, key: IdempotencyKey) -> bytes | None:
        """The response to replay, or None when the key is unused."""
        found = await self._connections.read(lambda db: find_key(db, self._sql["find_key"], key))
        return found.record.response if found.record else None

    async def reserve_key(self, key: IdempotencyKey) -> bytes | None:
        """Like `find_key`; None means that the key is now reserved for this caller."""
        values = reserve_values(key, run_id=None, response=None, in_flight=True)

        def unit(connection: Connection) -> bytes | None:
            for _ in range(_MAX_ATTEMPTS):
                if connection.execute(self._sql["reserve_key"], values).fetchone() is not None:
                    return None
                found = find_key(connection, self._sql["find_key"], key)
                if found.record is not None:
                    return found.record.response
            raise Unavailable("too many requests use this key at once; try again")

        return await self._connections.write(unit, durable=False)

    async def complete_key(self, key: IdempotencyKey, response: bytes) -> None:
        """Store the response for replay, durably."""
        values = {**key_values(key), "response": response}
        await self._connections.write(
            lambda db: db.execute(self._sql["complete_key"], values).rowcount, durable=True
        )

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; returns how many."""
        values = {"retention_ms": RETENTION_MS}
        return await self._connections.write(
            lambda db: db.execute(self._sql["remove_expired_keys"], values).rowcount, durable=False
        )

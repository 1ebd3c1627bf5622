"""IdempotencyStore on PostgreSQL: keys that hold on every node."""

from __future__ import annotations

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.postgres.idempotency import (
    RESERVE,
    RETENTION_MS,
    find_key,
    find_sql,
    reserve_values,
)
from queryrun.errors import Unavailable
from queryrun.runs.model import IdempotencyKey

_COMPLETE = (
    "UPDATE idempotency_keys SET reserved_until_ms = NULL, response = %s::bytea"
    " WHERE tenant_id = %s AND idempotency_key = %s AND reserved_until_ms IS NOT NULL"
)
_RELEASE = (
    "DELETE FROM idempotency_keys"
    " WHERE tenant_id = %s AND idempotency_key = %s AND reserved_until_ms IS NOT NULL"
)
_MAX_TRIES = 10


class PostgresIdempotencyStore:
    """IdempotencyStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        clock = f"WITH clock AS MATERIALIZED (SELECT {connections.now} AS ms)"
        self._find = find_sql(connections.now)
        self._reserve = clock + RESERVE.format(also="")
        self._expire = (
            f"{clock} DELETE FROM idempotency_keys USING clock WHERE created_ms <= ms - %s"
        )

    async def find_key(self, key: IdempotencyKey) -> bytes | None:
        """The response to replay, or None when the key is unused."""
        found = await self._connections.read(lambda db: find_key(db, self._find, key))
        return found.record.response if found.record else None

    async def reserve_key(self, key: IdempotencyKey) -> bytes | None:
        """Like `find_key`; None means that the key is now reserved for this caller."""
        values = reserve_values(key, run_id=None, response=None, in_flight=True)

        def unit(connection: Connection) -> bytes | None:
            for _ in range(_MAX_TRIES):
                if connection.execute(self._reserve, values).fetchone() is not None:
                    return None
                found = find_key(connection, self._find, key)
                if found.record is not None:
                    return found.record.response
            raise Unavailable("too many requests use this key at once; try again")

        return await self._connections.write(unit, durable=False)

    async def complete_key(self, key: IdempotencyKey, response: bytes) -> None:
        """Store the response for replay, durably."""
        values = response, key.tenant_id, key.text
        await self._connections.write(
            lambda db: db.execute(_COMPLETE, values).rowcount, durable=True
        )

    async def release_key(self, key: IdempotencyKey) -> None:
        """Free a reserved key whose response is not to be stored."""
        values = key.tenant_id, key.text
        await self._connections.write(
            lambda db: db.execute(_RELEASE, values).rowcount, durable=False
        )

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; returns how many."""
        return await self._connections.write(
            lambda db: db.execute(self._expire, (RETENTION_MS,)).rowcount, durable=False
        )

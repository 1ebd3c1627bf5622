"""IdempotencyStore on PostgreSQL: keys that hold on every node."""

from __future__ import annotations

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.postgres.idempotency import KEPT_MS, TAKE, KeyUse, look, look_sql
from queryrun.errors import Unavailable
from queryrun.runs.model import StoredAnswer

_FINISH = (
    "UPDATE idempotency SET claim_until_ms = NULL, status = %s::bigint, body = %s::bytea"
    " WHERE tenant_id = %s AND key = %s AND claim_until_ms IS NOT NULL"
)
_DROP = "DELETE FROM idempotency WHERE tenant_id = %s AND key = %s AND claim_until_ms IS NOT NULL"
_TRIES = 10


class PostgresIdempotencyStore:
    """IdempotencyStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        clock = f"WITH clock AS MATERIALIZED (SELECT {connections.now} AS ms)"
        self._look = look_sql(connections.now)
        self._take = clock + TAKE.format(also="")
        self._expire = f"{clock} DELETE FROM idempotency USING clock WHERE created_ms <= ms - %s"

    async def find_key(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """The answer to replay, or None when the key is unused."""
        use = KeyUse(tenant_id, key, fingerprint)
        found = await self._connections.read(lambda db: look(db, self._look, use))
        return found.kept.answer if found.kept else None

    async def reserve_key(self, tenant_id: str, key: str, fingerprint: str) -> StoredAnswer | None:
        """Like `find_key`, and on None the key is now in flight for this caller."""
        use = KeyUse(tenant_id, key, fingerprint)
        values = use.taken_by(run_id=None, answer=None, in_flight=True)

        def unit(connection: Connection) -> StoredAnswer | None:
            for _ in range(_TRIES):
                if connection.execute(self._take, values).fetchone() is not None:
                    return None
                found = look(connection, self._look, use)
                if found.kept is not None:
                    return found.kept.answer
            raise Unavailable("the key changes hands too quickly; try again")

        return await self._connections.write(unit, durable=False)

    async def complete_key(self, tenant_id: str, key: str, answer: StoredAnswer) -> None:
        """Store the answer for replay, durably."""
        row = answer.status, answer.body, tenant_id, key
        await self._connections.write(lambda db: db.execute(_FINISH, row).rowcount, durable=True)

    async def release_key(self, tenant_id: str, key: str) -> None:
        """Free a key in flight whose outcome is not to be stored."""
        await self._connections.write(
            lambda db: db.execute(_DROP, (tenant_id, key)).rowcount, durable=False
        )

    async def remove_expired_keys(self) -> int:
        """Delete keys older than `KEY_RETENTION_S`; how many."""
        return await self._connections.write(
            lambda db: db.execute(self._expire, (KEPT_MS,)).rowcount, durable=False
        )

"""AuditStore on PostgreSQL, for as many nodes as share the database."""

from __future__ import annotations

from datetime import datetime

from queryrun.audit.model import (
    AuditEntry,
    AuditEvent,
    ChainedEntry,
    ChainHead,
    WaitingEntries,
    content_of,
)
from queryrun.audit.store import SEALED_AT_ONCE
from queryrun.db.audit_rows import MAX_POSITION, chained, head_of
from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connections import Connections
from queryrun.db.times import from_ms_or_none, to_ms


class PostgresAuditStore:
    """AuditStore on PostgreSQL."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = connections.sql

    async def append(self, entry: AuditEntry, *, durable: bool = False) -> None:
        """Add an entry."""
        await self._connections.write(lambda db: self._append(db, entry), durable=durable)

    def _append(self, connection: Connection, entry: AuditEntry) -> None:
        connection.execute(self._sql["append_audit"], {"content": content_of(entry)})

    async def seal(self) -> int:
        """Take waiting entries into the chain. A read first, so that nothing is locked in vain."""
        if not (await self.waiting()).count:
            return 0
        return await self._connections.write(self._seal, durable=False)

    def _seal(self, connection: Connection) -> int:
        """The row of the head is the lock: one node seals at a time."""
        with connection.transaction():
            row = connection.execute(self._sql["lock_audit_head"]).fetchone()
            assert row is not None  # noqa: S101 - the migration has made it
            head = head_of(row)
            taken = connection.execute(
                self._sql["take_audit_inbox"], {"limit": SEALED_AT_ONCE}
            ).fetchall()
            if not taken:
                return 0
            rows = [one[1:] for one in sorted(taken)]
            entries = chained(rows, head.position, head.digest)
            with connection.cursor() as cursor:
                cursor.executemany(self._sql["add_audit_log"], entries)
            end = {"position": entries[-1][0], "digest": entries[-1][3]}
            connection.execute(self._sql["set_audit_head"], end)
        return len(entries)

    async def head(self) -> ChainHead:
        """Where the chain ends and begins."""
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["audit_head"]).fetchall()
        )
        return head_of(rows[0] if rows else None)

    async def waiting(self) -> WaitingEntries:
        """What has been appended and not sealed."""
        [(count, oldest_ms)] = await self._connections.read(
            lambda db: db.execute(self._sql["audit_waiting"]).fetchall()
        )
        return WaitingEntries(count, from_ms_or_none(oldest_ms))

    async def entries(self, *, after: int, limit: int) -> list[ChainedEntry]:
        """Sealed entries behind a position, in order."""
        values = {"after": after, "limit": limit}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["audit_log"], values).fetchall()
        )
        return [ChainedEntry(*row) for row in rows]

    async def entries_before(self, *, before: int | None, limit: int) -> list[ChainedEntry]:
        """Sealed entries in front of a position, newest first."""
        values = {"before": MAX_POSITION if before is None else before, "limit": limit}
        rows = await self._connections.read(
            lambda db: db.execute(self._sql["audit_log_before"], values).fetchall()
        )
        return [ChainedEntry(*row) for row in rows]

    async def remove_expired_entries(self, *, before: datetime, limit: int) -> int:
        """Remove older sealed entries from the beginning of the chain."""
        values = {"before_ms": to_ms(before), "limit": limit}

        def unit(connection: Connection) -> int:
            with connection.transaction():
                connection.execute(self._sql["lock_audit_head"])
                found = connection.execute(self._sql["expired_audit"], values).fetchone()
                if found is None:
                    return 0
                last = {"position": found[0], "digest": found[1]}
                removed = connection.execute(self._sql["remove_audit"], last).rowcount
                connection.execute(self._sql["set_audit_base"], last)
                detail = {**last, "count": removed}
                self._append(connection, AuditEntry(AuditEvent.ENTRIES_REMOVED, detail=detail))
            return removed

        return await self._connections.write(unit, durable=False)

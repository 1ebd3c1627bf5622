"""AuditStore on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

from queryrun.audit.model import (
    AuditEntry,
    AuditEvent,
    ChainedEntry,
    ChainHead,
    WaitingEntries,
)
from queryrun.db.audit_rows import MAX_POSITION, head_of, text_of
from queryrun.db.sqlite.pending import pending_of
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import to_ms


class SqliteAuditStore:
    """AuditStore on SQLite."""

    def __init__(self, writer: Writer, reader: Reader, now: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._now = now

    async def append(self, entry: AuditEntry, *, durable: bool = False) -> None:
        """Add an entry."""
        await self._writer.write(
            lambda db: append_audit(db, entry, to_ms(self._now())), durable=durable
        )

    async def seal(self) -> int:
        """Nothing to do: there is one writer, and it puts entries into the chain."""
        return 0

    async def head(self) -> ChainHead:
        """Where the chain ends and begins."""
        return head_of(self._reader.read(lambda db: db.execute(SQL["audit_head"]).fetchone()))

    async def waiting(self) -> WaitingEntries:
        """None wait."""
        return WaitingEntries(0, None)

    async def entries(self, *, after: int, limit: int) -> list[ChainedEntry]:
        """Sealed entries behind a position, in order."""
        values = {"after": after, "limit": limit}
        rows = await self._reader.scan(lambda db: db.execute(SQL["audit_log"], values).fetchall())
        return [_entry_of(*row) for row in rows]

    async def entries_before(self, *, before: int | None, limit: int) -> list[ChainedEntry]:
        """Sealed entries in front of a position, newest first."""
        values = {"before": MAX_POSITION if before is None else before, "limit": limit}
        sql = SQL["audit_log_before"]
        rows = await self._reader.scan(lambda db: db.execute(sql, values).fetchall())
        return [_entry_of(*row) for row in rows]

    async def remove_expired_entries(self, *, before: datetime, limit: int) -> int:
        """Remove older sealed entries from the beginning of the chain."""

        def unit(connection: sqlite3.Connection) -> int:
            values = {"before_ms": to_ms(before), "limit": limit}
            found = connection.execute(SQL["expired_audit"], values).fetchone()
            if found is None:
                return 0
            last = {"position": found[0], "digest": found[1]}
            removed = connection.execute(SQL["remove_audit"], last).rowcount
            connection.execute(SQL["set_audit_base"], last)
            detail = {**last, "count": removed}
            entry = AuditEntry(AuditEvent.ENTRIES_REMOVED, detail=detail)
            append_audit(connection, entry, to_ms(self._now()))
            return removed

        return await self._writer.write(unit, durable=False)


def append_audit(connection: sqlite3.Connection, entry: AuditEntry, at_ms: int) -> None:
    """Put an entry at the end of the chain, in the unit of what it is about."""
    pending_of(connection).add_audit(entry, at_ms)


def _entry_of(position: int, at_ms: int, content: bytes, digest: bytes) -> ChainedEntry:
    return ChainedEntry(position, at_ms, text_of(content), text_of(digest))

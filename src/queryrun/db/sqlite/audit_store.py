"""AuditStore on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import astuple
from datetime import datetime

from queryrun.audit.model import (
    AuditEntry,
    AuditEvent,
    ChainedEntry,
    ChainHead,
    WaitingEntries,
)
from queryrun.audit.store import SEALED_AT_ONCE
from queryrun.db.audit_rows import chained, entry_values, head_of
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.statements import SQL
from queryrun.db.sqlite.writer import Writer
from queryrun.db.times import from_ms_or_none, to_ms


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
        """Take waiting entries into the chain. A read first, so that nothing is written in vain."""
        if not (await self.waiting()).count:
            return 0
        return await self._writer.write(_seal, durable=False)

    async def head(self) -> ChainHead:
        """Where the chain ends and begins."""
        return head_of(self._reader.read(lambda db: db.execute(SQL["audit_head"]).fetchone()))

    async def waiting(self) -> WaitingEntries:
        """What has been appended and not sealed."""
        count, oldest_ms = self._reader.read(lambda db: db.execute(SQL["audit_waiting"]).fetchone())
        return WaitingEntries(count, from_ms_or_none(oldest_ms))

    async def entries(self, *, after: int, limit: int) -> list[ChainedEntry]:
        """Sealed entries behind a position, in order."""
        values = {"after": after, "limit": limit}
        rows = await self._reader.scan(lambda db: db.execute(SQL["audit_log"], values).fetchall())
        return [ChainedEntry(*row) for row in rows]

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
    """Add an entry in the unit of what it is about."""
    connection.execute(SQL["append_audit"], {**entry_values(entry), "audit_at_ms": at_ms})


def _seal(connection: sqlite3.Connection) -> int:
    rows = connection.execute(SQL["audit_inbox"], {"limit": SEALED_AT_ONCE}).fetchall()
    if not rows:
        return 0
    head = head_of(connection.execute(SQL["audit_head"]).fetchone())
    entries = chained([row[1:] for row in rows], head.position, head.digest)
    connection.executemany(SQL["add_audit_log"], map(astuple, entries))
    connection.execute(SQL["empty_audit_inbox"], {"seq": rows[-1][0]})
    end = {"position": entries[-1].position, "digest": entries[-1].digest}
    connection.execute(SQL["set_audit_head"], end)
    return len(entries)

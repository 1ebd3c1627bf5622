"""Open a SQLite database: connections, schema, writer, and the stores on top of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from queryrun.db.migrate import MigrateOnOpen
from queryrun.db.sqlite.async_requests import SqliteAsyncRequestStore
from queryrun.db.sqlite.audit_store import SqliteAuditStore
from queryrun.db.sqlite.auth import SqliteAuthStore
from queryrun.db.sqlite.idempotency import SqliteIdempotencyStore
from queryrun.db.sqlite.migrate import migrate_sqlite
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.runs import SqliteRunStore
from queryrun.db.sqlite.usage_store import SqliteUsageStore
from queryrun.db.sqlite.writer import Writer
from queryrun.runs.leader import AlwaysLeader, LeaderLease
from queryrun.runs.notify import NodeNotifier, NoOtherNodes

BUSY_TIMEOUT_S = 5.0
"""How long a write waits for one of another process (`queryrun clients create`)."""
CACHE_KIB = 8192
"""Page cache of each connection."""


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    """One open database and every store in it."""

    writer: Writer
    reader: Reader
    runs: SqliteRunStore
    auth: SqliteAuthStore
    idempotency: SqliteIdempotencyStore
    requests: SqliteAsyncRequestStore
    usage: SqliteUsageStore
    audit: SqliteAuditStore
    notifier: NodeNotifier = field(default_factory=NoOtherNodes)
    leader: LeaderLease = field(default_factory=AlwaysLeader)

    async def clean_up(self) -> None:
        """Does nothing: the stores remove everything themselves."""

    def close(self) -> None:
        """Finish the writes that are queued, then close every connection. Idempotent."""
        self.writer.close()
        self.reader.close()


def open_sqlite(
    path: Path, now: Callable[[], datetime], on_open: MigrateOnOpen = MigrateOnOpen.ALWAYS
) -> SqliteDatabase:
    """Open, and create or migrate, the database file at `path`; its folder must exist.

    `now` is the store's clock. Takes milliseconds. Several processes may have the file open,
    but only one should run a dispatcher on it. `ConfigurationError` when a newer program has
    migrated it, or when it needs migrations that `on_open` forbids.
    """
    connection = _connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate_sqlite(connection, on_open)
    except BaseException:
        connection.close()
        raise
    writer, reader = Writer(connection), Reader(lambda: _connect_to_read(path))
    return SqliteDatabase(
        writer=writer,
        reader=reader,
        runs=SqliteRunStore(writer, reader, now),
        auth=SqliteAuthStore(writer, reader),
        idempotency=SqliteIdempotencyStore(writer, reader, now),
        requests=SqliteAsyncRequestStore(writer, reader, now),
        usage=SqliteUsageStore(writer, reader, now),
        audit=SqliteAuditStore(writer, reader, now),
    )


def _connect(path: Path) -> sqlite3.Connection:
    """In autocommit, because the writer begins its transactions itself."""
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_S,
        cached_statements=256,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection

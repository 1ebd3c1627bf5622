"""Open a SQLite database: connections, schema, writer, and the stores on top of them."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from queryrun.causes import Cause, cause_of
from queryrun.db.migrate import MigrateOnOpen
from queryrun.db.sqlite.async_requests import SqliteAsyncRequestStore
from queryrun.db.sqlite.audit_store import SqliteAuditStore
from queryrun.db.sqlite.auth import SqliteAuthStore
from queryrun.db.sqlite.files import DatabaseFiles, machine_error
from queryrun.db.sqlite.idempotency import SqliteIdempotencyStore
from queryrun.db.sqlite.limit_store import SqliteLimitStore
from queryrun.db.sqlite.migrate import migrate_sqlite
from queryrun.db.sqlite.pending import WriteConnection
from queryrun.db.sqlite.reader import Reader
from queryrun.db.sqlite.runs import SqliteRunStore
from queryrun.db.sqlite.saved_statements import SqliteStatementStore
from queryrun.db.sqlite.usage_store import SqliteUsageStore
from queryrun.db.sqlite.webhook_store import SqliteWebhookStore
from queryrun.db.sqlite.writer import Writer
from queryrun.errors import Unavailable
from queryrun.runs.clock import OwnClock, SharedClock
from queryrun.runs.cluster import NodeRegistry, NoOtherNode
from queryrun.runs.leader import AlwaysLeader, LeaderLease
from queryrun.runs.notify import NodeNotifier, NoOtherNodes

BUSY_TIMEOUT_S = 5.0
"""How long a write waits for one of another process (`queryrun clients create`)."""
PROBE_TIMEOUT_S = 1.5
"""How long the write of a probe may take before the database counts as unavailable."""
CACHE_KIB = 8192
"""Page cache of each connection."""


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    """One open database and every store in it."""

    files: DatabaseFiles
    writer: Writer
    reader: Reader
    runs: SqliteRunStore
    auth: SqliteAuthStore
    idempotency: SqliteIdempotencyStore
    requests: SqliteAsyncRequestStore
    usage: SqliteUsageStore
    audit: SqliteAuditStore
    statements: SqliteStatementStore
    limits: SqliteLimitStore
    webhooks: SqliteWebhookStore
    clock: SharedClock
    nodes: NodeRegistry = field(default_factory=NoOtherNode)
    notifier: NodeNotifier = field(default_factory=NoOtherNodes)
    leader: LeaderLease = field(default_factory=AlwaysLeader)

    async def clean_up(self) -> None:
        """Does nothing: the stores remove everything themselves."""

    async def probe(self) -> None:
        """Write and commit durably. See `Database.probe`."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self.writer.write(_probe, durable=True)
        except (Unavailable, TimeoutError) as error:
            holder = await asyncio.to_thread(self.files.lock_holder)
            if holder is not None and cause_of(error) in (Cause.LOCKED, Cause.TIMEOUT):
                raise Unavailable(f"the database is locked by {holder}", Cause.LOCKED) from error
            found = await asyncio.to_thread(machine_error, self.files.path, cause_of(error))
            if found is not None:
                raise Unavailable("the store cannot be used at the moment") from found
            raise

    def close(self) -> None:
        """Finish the writes that are queued, then close every connection. Idempotent."""
        self.writer.close()
        self.reader.close()
        self.files.close()


def open_sqlite(
    path: Path, now: Callable[[], datetime], on_open: MigrateOnOpen = MigrateOnOpen.ALWAYS
) -> SqliteDatabase:
    """Open, and create or migrate, the database file at `path`; its folder must exist.

    `now` is the store's clock. Takes milliseconds. Several processes may have the file open,
    but only one should run a dispatcher on it. `ConfigurationError` when a newer program has
    migrated it, or when it needs migrations that `on_open` forbids.
    """
    try:
        connection = _connect(path)
    except sqlite3.OperationalError as error:
        _raise_machine_error(path, error)
        raise
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate_sqlite(connection, on_open)
        _name_database(connection)
        reader = Reader(lambda: _connect_to_read(path))
        files = _files_of(path, connection, reader)
    except sqlite3.OperationalError as error:
        connection.close()
        _raise_machine_error(path, error)
        raise
    except BaseException:
        connection.close()
        raise
    writer = Writer(connection, check_files=files.check)
    return SqliteDatabase(
        files=files,
        writer=writer,
        reader=reader,
        runs=SqliteRunStore(writer, reader, now),
        auth=SqliteAuthStore(writer, reader),
        idempotency=SqliteIdempotencyStore(writer, reader, now),
        requests=SqliteAsyncRequestStore(writer, reader, now),
        usage=SqliteUsageStore(writer, reader, now),
        audit=SqliteAuditStore(writer, reader, now),
        statements=SqliteStatementStore(writer, reader),
        limits=SqliteLimitStore(writer, reader),
        webhooks=SqliteWebhookStore(writer, reader, now),
        clock=OwnClock(now),
    )


def _raise_machine_error(path: Path, error: sqlite3.OperationalError) -> None:
    """Nothing is raised when the machine has no better word for it."""
    found = machine_error(path, cause_of(error))
    if found is not None:
        raise found from error


def _files_of(path: Path, connection: sqlite3.Connection, reader: Reader) -> DatabaseFiles:
    try:
        return DatabaseFiles(path, connection)
    except BaseException:
        reader.close()
        raise


def _name_database(connection: sqlite3.Connection) -> None:
    """Give the database an id of its own, in its header: another one copied over it is noticed.

    The checkpoint writes it to the file itself; while another process reads, a later one does.
    """
    (known,) = connection.execute("PRAGMA application_id").fetchone()
    if not known:
        connection.execute(f"PRAGMA application_id = {secrets.randbelow(2**31 - 1) + 1}")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _probe(connection: sqlite3.Connection) -> None:
    """Change a number in the header that means nothing else: a write of one page."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {(number + 1) % 2**31}")


def _connect(path: Path) -> WriteConnection:
    """In autocommit, because the writer begins its transactions itself."""
    connection: WriteConnection = sqlite3.connect(
        path,
        factory=WriteConnection,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_S,
        cached_statements=256,
    )
    return _prepared(connection, "foreign_keys = ON", f"cache_size = -{CACHE_KIB}")


def _connect_to_read(path: Path) -> sqlite3.Connection:
    return _prepared(_connect(path), "query_only = ON")


def _prepared(connection: WriteConnection, *pragmas: str) -> WriteConnection:
    """Closes the connection when it cannot be used: nobody else has it yet."""
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection

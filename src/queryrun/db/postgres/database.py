"""Open a PostgreSQL database: schema, connections, and the stores on top of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from queryrun.causes import Cause
from queryrun.db.migrate import MigrateOnOpen, Migration
from queryrun.db.postgres.async_requests import PostgresAsyncRequestStore
from queryrun.db.postgres.audit_store import PostgresAuditStore
from queryrun.db.postgres.auth import PostgresAuthStore
from queryrun.db.postgres.clock import PostgresClock
from queryrun.db.postgres.connect import (
    Connection,
    connect,
    conninfo_of,
    server_words,
    start_error,
)
from queryrun.db.postgres.connection_threads import RESPONSE_TIMEOUT_S
from queryrun.db.postgres.connections import ConnectionCounts, Connections
from queryrun.db.postgres.idempotency_store import PostgresIdempotencyStore
from queryrun.db.postgres.leader import PostgresLeaderLease
from queryrun.db.postgres.limit_store import PostgresLimitStore
from queryrun.db.postgres.migrate import migrate_postgres, pending
from queryrun.db.postgres.node_notifier import PostgresNodeNotifier
from queryrun.db.postgres.nodes import PostgresNodes
from queryrun.db.postgres.rates import PostgresRates
from queryrun.db.postgres.runs import PostgresRunStore
from queryrun.db.postgres.saved_statements import PostgresStatementStore
from queryrun.db.postgres.statements import DATABASE_CLOCK
from queryrun.db.postgres.usage_store import PostgresUsageStore
from queryrun.db.postgres.webhook_store import PostgresWebhookStore
from queryrun.errors import Unavailable

PROBE_TIMEOUT_S = 2.0
"""How long the server may take to answer a probe before it counts as unavailable."""


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """One node's view of the shared database, and every store in it."""

    connections: Connections
    notifier: PostgresNodeNotifier
    runs: PostgresRunStore
    auth: PostgresAuthStore
    idempotency: PostgresIdempotencyStore
    requests: PostgresAsyncRequestStore
    usage: PostgresUsageStore
    audit: PostgresAuditStore
    statements: PostgresStatementStore
    limits: PostgresLimitStore
    webhooks: PostgresWebhookStore
    rates: PostgresRates
    clock: PostgresClock
    nodes: PostgresNodes
    leader: PostgresLeaderLease

    async def clean_up(self) -> None:
        """Delete the rates of callers without recent requests."""
        await self.rates.forget_full()

    async def probe(self) -> None:
        """Write, on a connection that nothing else uses. See `Database.probe`."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self.nodes.beat()
        except Unavailable as error:
            if isinstance(error.__cause__, psycopg.errors.ReadOnlySqlTransaction):
                raise Unavailable(
                    "PostgreSQL is read-only: a standby, or set so; nodes need the primary",
                    Cause.READ_ONLY,
                ) from error
            if (words := server_words(error)) is not None:
                raise Unavailable(words, Cause.OTHER) from error
            raise

    def close(self) -> None:
        """Finish the work that is queued, then close every connection; await `notifier.close()`
        before. Takes seconds when the server does not respond. Idempotent."""
        self.leader.close()
        self.nodes.close()
        self.connections.close()


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """How a node uses the database. The defaults are for a node; tests change the time."""

    sizes: ConnectionCounts = field(default_factory=ConnectionCounts)
    now: str = DATABASE_CLOCK
    """The SQL expression, in milliseconds since 1970, that every statement takes the time from."""
    on_open: MigrateOnOpen = MigrateOnOpen.ALWAYS
    response_timeout_s: float = RESPONSE_TIMEOUT_S


def open_postgres(url: str, options: PostgresOptions | None = None) -> PostgresDatabase:
    """Open, and create or migrate, the database at `url` (`postgresql://user:password@host/name`).

    Blocks, for seconds when the server is slow: call it before the event loop runs. Any number
    of nodes may have the database open, and start at once.

    `ConfigurationError` when the URL cannot be read, a newer program has made the database
    unusable for this one, or it needs migrations that `on_open` forbids; `Unavailable` when the
    server cannot be reached or refuses.
    """
    options = options or PostgresOptions()
    conninfo = conninfo_of(url)
    migrate_at(url, options.on_open)
    connections = Connections(
        conninfo, options.sizes, now=options.now, response_timeout_s=options.response_timeout_s
    )
    with _connected(url) as connection:
        clock = PostgresClock(connections, connection)
    return PostgresDatabase(
        connections=connections,
        clock=clock,
        nodes=PostgresNodes(connections, connections.own("probe", PROBE_TIMEOUT_S)),
        notifier=PostgresNodeNotifier(conninfo),
        runs=PostgresRunStore(connections),
        auth=PostgresAuthStore(connections),
        idempotency=PostgresIdempotencyStore(connections),
        requests=PostgresAsyncRequestStore(connections),
        usage=PostgresUsageStore(connections),
        audit=PostgresAuditStore(connections),
        statements=PostgresStatementStore(connections),
        limits=PostgresLimitStore(connections),
        webhooks=PostgresWebhookStore(connections),
        rates=PostgresRates(connections),
        leader=PostgresLeaderLease(conninfo, connections),
    )


def migrate_at(url: str, on_open: MigrateOnOpen = MigrateOnOpen.ALWAYS) -> list[Migration]:
    """Apply the migrations that are missing; returns what was applied.

    Raises the errors of `open_postgres`; `Unavailable` also when statements in progress lock a
    table for longer than `LOCK_TIMEOUT_MS`.
    """
    with _connected(url) as connection:
        return migrate_postgres(connection, on_open)


def pending_at(url: str) -> list[Migration]:
    """The migrations that are missing. Changes nothing. Raises the errors of `open_postgres`."""
    with _connected(url) as connection:
        return pending(connection)


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """A durable connection for the duration of the block, its errors translated."""
    try:
        with connect(conninfo_of(url), durable=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise start_error(error) from error

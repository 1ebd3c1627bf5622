"""The interface of a node's database, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Protocol

from queryrun.audit.store import AuditStore
from queryrun.auth.store import AuthStore
from queryrun.runs.clock import SharedClock
from queryrun.runs.cluster import NodeRegistry
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.leader import LeaderLease
from queryrun.runs.limits import LimitStore
from queryrun.runs.notify import NodeNotifier
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.statements import StatementStore
from queryrun.runs.store import RunStore
from queryrun.runs.usage import UsageStore
from queryrun.webhooks.store import WebhookStore


class Database(Protocol):
    """One open database and every store in it (`db.sqlite.database`, `db.postgres.database`)."""

    @property
    def runs(self) -> RunStore:
        """Runs, their attempts and their history."""
        ...

    @property
    def auth(self) -> AuthStore:
        """Clients, entities and tokens."""
        ...

    @property
    def idempotency(self) -> IdempotencyStore:
        """Responses stored under a caller's key."""
        ...

    @property
    def requests(self) -> AsyncRequestStore:
        """Requests whose outcome is read later."""
        ...

    @property
    def usage(self) -> UsageStore:
        """The ledger of what runs have used."""
        ...

    @property
    def audit(self) -> AuditStore:
        """The record of who did what."""
        ...

    @property
    def statements(self) -> StatementStore:
        """Statements that people keep for later."""
        ...

    @property
    def limits(self) -> LimitStore:
        """Limits that were set over HTTP."""
        ...

    @property
    def webhooks(self) -> WebhookStore:
        """Who is told of what, and the outbox."""
        ...

    @property
    def notifier(self) -> NodeNotifier:
        """How nodes that share it notify each other of changes. Close it before the database."""
        ...

    @property
    def clock(self) -> SharedClock:
        """The time of all nodes that share it."""
        ...

    @property
    def nodes(self) -> NodeRegistry:
        """The nodes that share it."""
        ...

    @property
    def leader(self) -> LeaderLease:
        """Which of the nodes that share it runs a task for all of them."""
        ...

    async def probe(self) -> None:
        """Write to the database and commit. Takes seconds at most.

        Raises `Unavailable` with a sentence for operators, and the cause if that is known, or
        `TimeoutError`. Nothing that callers read is changed.
        """
        ...

    async def clean_up(self) -> None:
        """Remove internal rows of the database that are no longer needed."""
        ...

    def close(self) -> None:
        """Finish what is in progress and close every connection. Idempotent."""
        ...

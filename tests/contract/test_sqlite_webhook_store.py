"""SQLite keeps the contract of webhooks."""

from __future__ import annotations

import pytest

from queryrun.auth.store import AuthStore
from queryrun.db.sqlite.database import SqliteDatabase
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.store import RunStore
from queryrun.webhooks.store import WebhookStore
from tests.contract.sqlite_database import OnSqlite
from tests.contract.webhook_store import WebhookStoreContract


class TestSqliteWebhookStore(OnSqlite, WebhookStoreContract):
    """The outbox of the embedded default."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> WebhookStore:
        """The store under test."""
        return database.webhooks

    @pytest.fixture
    def runs(self, database: SqliteDatabase) -> RunStore:
        """What writes the outbox."""
        return database.runs

    @pytest.fixture
    def requests(self, database: SqliteDatabase) -> AsyncRequestStore:
        """The other writer."""
        return database.requests

    @pytest.fixture
    def auth(self, database: SqliteDatabase) -> AuthStore:
        """The clients."""
        return database.auth

"""PostgreSQL keeps the contract of webhooks."""

from __future__ import annotations

import pytest

from queryrun.auth.store import AuthStore
from queryrun.db.postgres.database import PostgresDatabase
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.store import RunStore
from queryrun.webhooks.store import WebhookStore
from tests.contract.postgres_database import OnPostgres
from tests.contract.webhook_store import WebhookStoreContract


class TestPostgresWebhookStore(OnPostgres, WebhookStoreContract):
    """The outbox of a cluster."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> WebhookStore:
        """The store under test."""
        return database.webhooks

    @pytest.fixture
    def runs(self, database: PostgresDatabase) -> RunStore:
        """What writes the outbox."""
        return database.runs

    @pytest.fixture
    def requests(self, database: PostgresDatabase) -> AsyncRequestStore:
        """The other writer."""
        return database.requests

    @pytest.fixture
    def auth(self, database: PostgresDatabase) -> AuthStore:
        """The clients."""
        return database.auth

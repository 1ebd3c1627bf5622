"""PostgreSQL keeps every contract of a store."""

from __future__ import annotations

import pytest

from queryrun.auth.store import AuthStore
from queryrun.db.postgres.database import PostgresDatabase
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.statements import StatementStore
from queryrun.runs.store import RunStore
from tests.contract.auth_store import AuthStoreContract
from tests.contract.postgres_database import OnPostgres
from tests.contract.response_stores import AsyncRequestStoreContract, IdempotencyStoreContract
from tests.contract.run_store import RunStoreContract
from tests.contract.statement_store import StatementStoreContract


class TestPostgresRunStore(OnPostgres, RunStoreContract):
    """The run store of a cluster."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> RunStore:
        """The store under test."""
        return database.runs

    @pytest.fixture
    def idempotency_store(self, database: PostgresDatabase) -> IdempotencyStore:
        """The keys in the same database."""
        return database.idempotency


class TestPostgresAuthStore(OnPostgres, AuthStoreContract):
    """The auth store of a cluster."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> AuthStore:
        """The store under test."""
        return database.auth


class TestPostgresIdempotencyStore(OnPostgres, IdempotencyStoreContract):
    """Idempotency keys of a cluster."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> IdempotencyStore:
        """The store under test."""
        return database.idempotency


class TestPostgresAsyncRequestStore(OnPostgres, AsyncRequestStoreContract):
    """Asynchronous requests of a cluster."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> AsyncRequestStore:
        """The store under test."""
        return database.requests


class TestPostgresStatementStore(OnPostgres, StatementStoreContract):
    """PostgreSQL keeps the contract."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> StatementStore:
        """The store."""
        return database.statements

    @pytest.fixture
    def auth(self, database: PostgresDatabase) -> AuthStore:
        """The clients beside it."""
        return database.auth

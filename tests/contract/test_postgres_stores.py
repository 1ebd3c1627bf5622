"""PostgreSQL keeps every contract of a store."""

from __future__ import annotations

import pytest

from queryrun.audit.store import AuditStore
from queryrun.auth.store import AuthStore
from queryrun.db.postgres.database import PostgresDatabase
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.limits import LimitStore
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.statements import StatementStore
from queryrun.runs.store import RunStore
from queryrun.runs.usage import UsageStore
from tests.contract.audit_store import AuditStoreContract
from tests.contract.auth_store import AuthStoreContract
from tests.contract.limit_store import LimitStoreContract
from tests.contract.postgres_database import OnPostgres
from tests.contract.response_stores import AsyncRequestStoreContract, IdempotencyStoreContract
from tests.contract.run_store import RunStoreContract
from tests.contract.statement_store import StatementStoreContract
from tests.contract.usage_store import UsageStoreContract


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


class TestPostgresUsageStore(OnPostgres, UsageStoreContract):
    """The ledger of a cluster."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> RunStore:
        """What writes the records of attempts."""
        return database.runs

    @pytest.fixture
    def usage_store(self, database: PostgresDatabase) -> UsageStore:
        """The store under test."""
        return database.usage

    @pytest.fixture
    def auth_store(self, database: PostgresDatabase) -> AuthStore:
        """Who the tenants are."""
        return database.auth


class TestPostgresAuditStore(OnPostgres, AuditStoreContract):
    """The audit log of a cluster."""

    @pytest.fixture
    def store(self, database: PostgresDatabase) -> AuditStore:
        """The store under test."""
        return database.audit

    @pytest.fixture
    def runs(self, database: PostgresDatabase) -> RunStore:
        """What appends an entry with each run."""
        return database.runs


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


class TestPostgresLimitStore(OnPostgres, LimitStoreContract):
    """Limits that were set over HTTP."""

    @pytest.fixture
    def limits(self, database: PostgresDatabase) -> LimitStore:
        """The store under test."""
        return database.limits

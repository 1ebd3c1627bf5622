"""SQLite satisfies the contracts of the response stores."""

from __future__ import annotations

import pytest

from queryrun.audit.store import AuditStore
from queryrun.auth.store import AuthStore
from queryrun.db.sqlite.database import SqliteDatabase
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.limits import LimitStore
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.statements import StatementStore
from queryrun.runs.store import RunStore
from queryrun.runs.usage import UsageStore
from tests.contract.audit_store import AuditStoreContract
from tests.contract.limit_store import LimitStoreContract
from tests.contract.response_stores import AsyncRequestStoreContract, IdempotencyStoreContract
from tests.contract.sqlite_database import OnSqlite
from tests.contract.statement_store import StatementStoreContract
from tests.contract.usage_store import UsageStoreContract


class TestSqliteIdempotencyStore(OnSqlite, IdempotencyStoreContract):
    """Idempotency keys of the embedded default."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> IdempotencyStore:
        """The store under test."""
        return database.idempotency


class TestSqliteAsyncRequestStore(OnSqlite, AsyncRequestStoreContract):
    """Asynchronous requests of the embedded default."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> AsyncRequestStore:
        """The store under test."""
        return database.requests


class TestSqliteUsageStore(OnSqlite, UsageStoreContract):
    """The ledger of the embedded default."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> RunStore:
        """What writes the records of attempts."""
        return database.runs

    @pytest.fixture
    def usage_store(self, database: SqliteDatabase) -> UsageStore:
        """The store under test."""
        return database.usage

    @pytest.fixture
    def auth_store(self, database: SqliteDatabase) -> AuthStore:
        """Who the tenants are."""
        return database.auth


class TestSqliteAuditStore(OnSqlite, AuditStoreContract):
    """The audit log of the embedded default."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> AuditStore:
        """The store under test."""
        return database.audit

    @pytest.fixture
    def runs(self, database: SqliteDatabase) -> RunStore:
        """What appends an entry with each run."""
        return database.runs


class TestSqliteStatementStore(OnSqlite, StatementStoreContract):
    """SQLite keeps the contract."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> StatementStore:
        """The store."""
        return database.statements

    @pytest.fixture
    def auth(self, database: SqliteDatabase) -> AuthStore:
        """The clients beside it."""
        return database.auth


class TestSqliteLimitStore(OnSqlite, LimitStoreContract):
    """Limits that were set over HTTP."""

    @pytest.fixture
    def limits(self, database: SqliteDatabase) -> LimitStore:
        """The store under test."""
        return database.limits

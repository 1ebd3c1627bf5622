"""SQLite satisfies the contracts of the response stores."""

from __future__ import annotations

import pytest

from queryrun.auth.store import AuthStore
from queryrun.db.sqlite.database import SqliteDatabase
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.requests import AsyncRequestStore
from queryrun.runs.statements import StatementStore
from tests.contract.response_stores import AsyncRequestStoreContract, IdempotencyStoreContract
from tests.contract.sqlite_database import OnSqlite
from tests.contract.statement_store import StatementStoreContract


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

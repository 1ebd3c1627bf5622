"""SQLite satisfies the contracts of the response stores."""

from __future__ import annotations

import pytest

from queryrun.db.sqlite.database import SqliteDatabase
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.requests import AsyncRequestStore
from tests.contract.response_stores import AsyncRequestStoreContract, IdempotencyStoreContract
from tests.contract.sqlite_database import OnSqlite


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

"""SQLite keeps the RunStore contract."""

from __future__ import annotations

import pytest

from queryrun.db.sqlite.database import SqliteDatabase
from queryrun.runs.idempotency import IdempotencyStore
from queryrun.runs.store import RunStore
from tests.contract.run_store import RunStoreContract
from tests.contract.sqlite_database import OnSqlite


class TestSqliteRunStore(OnSqlite, RunStoreContract):
    """The run store of the embedded default."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> RunStore:
        """The store under test."""
        return database.runs

    @pytest.fixture
    def idempotency_store(self, database: SqliteDatabase) -> IdempotencyStore:
        """The keys in the same database."""
        return database.idempotency

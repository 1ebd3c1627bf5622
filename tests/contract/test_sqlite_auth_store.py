"""SQLite keeps the AuthStore contract."""

from __future__ import annotations

import pytest

from queryrun.auth.store import AuthStore
from queryrun.db.sqlite.database import SqliteDatabase
from tests.contract.auth_store import AuthStoreContract
from tests.contract.sqlite_database import OnSqlite


class TestSqliteAuthStore(OnSqlite, AuthStoreContract):
    """The auth store of the embedded default."""

    @pytest.fixture
    def store(self, database: SqliteDatabase) -> AuthStore:
        """The store under test."""
        return database.auth

"""Limits as Hypothesis imagines them, on both databases."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from queryrun.db.postgres.database import PostgresDatabase
from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from tests.conftest import Clock
from tests.postgres_server import (
    DatabaseClock,
    PostgresServer,
    new_open_database,
    postgres_server,
)
from tests.stateful.conftest import PROFILE
from tests.stateful.limits_machine import LimitsMachine
from tests.stateful.sqlite_lifecycle import IN_MEMORY

__all__ = ["postgres_server"]


class SqliteLimits(LimitsMachine):
    """A new file for each life."""

    def open_stores(self) -> tuple[Clock, SqliteDatabase]:
        """A database in memory, and its clock."""
        clock = Clock()
        self.folder = TemporaryDirectory(dir=IN_MEMORY)
        self.database = open_sqlite(Path(self.folder.name) / "store.db", clock)
        return clock, self.database

    def close_stores(self) -> None:
        """Close and remove the file."""
        self.database.close()
        self.folder.cleanup()


class PostgresLimits(LimitsMachine):
    """An empty database for each life."""

    server: ClassVar[PostgresServer]

    def open_stores(self) -> tuple[DatabaseClock, PostgresDatabase]:
        """A database of the server, and its clock."""
        self.stack = ExitStack()
        database, clock, _ = self.stack.enter_context(new_open_database(self.server))
        return clock, database

    def close_stores(self) -> None:
        """Leave it empty."""
        self.stack.close()


TestLimitsOnSqlite = SqliteLimits.TestCase
TestLimitsOnSqlite.settings = settings(PROFILE, max_examples=max(15, PROFILE.max_examples // 5))


@pytest.mark.timeout(600)
def test_limits_on_postgresql_are_what_the_model_says(postgres_server: PostgresServer) -> None:
    PostgresLimits.server = postgres_server
    fewer = settings(PROFILE, max_examples=max(5, PROFILE.max_examples // 20))
    run_state_machine_as_test(PostgresLimits, settings=fewer)

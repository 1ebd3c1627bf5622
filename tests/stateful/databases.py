"""Empty databases for machines about limits, the ledger and the outbox: one for each life."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from queryrun.db.postgres.database import PostgresDatabase
from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from tests.conftest import Clock
from tests.postgres_server import DatabaseClock, PostgresServer, new_open_database
from tests.stateful.sqlite_lifecycle import IN_MEMORY


class OnSqliteFile:
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


class OnPostgresServer:
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

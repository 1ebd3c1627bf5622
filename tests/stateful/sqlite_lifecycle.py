"""The machine on SQLite."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from queryrun.runs.store import RunStore
from tests.conftest import Clock
from tests.stateful.run_lifecycle import RunLifecycle

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - in its own folder there
"""Where fsync costs nothing: a thousand commits a second, none of which has to last."""


class SqliteLifecycle(RunLifecycle):
    """A new file for each life."""

    def open_store(self) -> tuple[Clock, RunStore]:
        """A database in memory, and its clock."""
        clock = Clock()
        self.folder = TemporaryDirectory(dir=IN_MEMORY)
        self.database = open_sqlite(Path(self.folder.name) / "store.db", clock)
        return clock, self.make_store(self.database, clock)

    def make_store(self, database: SqliteDatabase, clock: Clock) -> RunStore:
        """The store under test."""
        return database.runs

    def close_store(self) -> None:
        """Close and remove the file."""
        self.database.close()
        self.folder.cleanup()

"""A SQLite database for one contract test, and direct access behind its interface."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from tests.conftest import Clock
from tests.contract.run_store_fixtures import AttemptRecord

_ATTEMPTS = (
    "SELECT number, node, handle, file_key, ended_ms IS NOT NULL, outcome, failure_code,"
    " stop_reason, stop_engine FROM attempts"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = ?) ORDER BY number"
)


class SqliteRawDatabase:
    """Inspects the file through its own connection."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def now(self) -> datetime:
        """The store's time."""
        return self._clock()

    async def pass_time(self, seconds: float) -> None:
        """Let the store's time pass."""
        self._clock.move(seconds)

    async def attempts(self, run_id: str) -> list[AttemptRecord]:
        """The run's attempts, in order."""
        with self._connected() as connection:
            rows = connection.execute(_ATTEMPTS, (run_id,)).fetchall()
        return [AttemptRecord(*row) for row in rows]

    async def rows_about(self, run_id: str) -> int:
        """Rows of `run_id`, and rows of any run that has no row in `runs` any more."""
        with self._connected() as connection:
            (own,) = connection.execute(
                "SELECT count(*) FROM runs WHERE id = ?", (run_id,)
            ).fetchone()
            (orphans,) = connection.execute(
                "SELECT count(*) FROM (SELECT run_seq FROM run_requests"
                " UNION ALL SELECT run_seq FROM attempts"
                " UNION ALL SELECT run_seq FROM run_events)"
                " WHERE run_seq NOT IN (SELECT seq FROM runs)"
            ).fetchone()
        return int(own) + int(orphans)

    def execute(self, statement: str) -> None:
        """Change the database by hand."""
        with self._connected() as connection:
            connection.execute(statement)
            connection.commit()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as connection:
            yield connection


class OnSqlite:
    """The fixtures that SQLite's side of a contract provides."""

    @pytest.fixture
    def database(self, tmp_path: Path, clock: Clock) -> Iterator[SqliteDatabase]:
        """An empty database."""
        database = open_sqlite(tmp_path / "store.db", clock)
        yield database
        database.close()

    @pytest.fixture
    def raw(self, tmp_path: Path, clock: Clock) -> SqliteRawDatabase:
        """Direct access behind the interface."""
        return SqliteRawDatabase(tmp_path / "store.db", clock)

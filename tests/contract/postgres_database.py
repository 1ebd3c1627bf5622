"""A PostgreSQL database for one contract test, and direct access behind its interface."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import psycopg
import pytest

from queryrun.db.postgres.database import PostgresDatabase
from tests.contract.run_store_fixtures import AttemptRecord
from tests.postgres_server import DatabaseClock, PostgresServer, new_open_database

_ATTEMPTS = (
    "SELECT number, node, handle, file_key, ended_ms IS NOT NULL, outcome, failure_code,"
    " stop_reason, stop_engine FROM attempts"
    " WHERE run_seq = (SELECT seq FROM runs WHERE id = %s) ORDER BY number"
)
_ROWS = (
    "SELECT (SELECT count(*) FROM runs WHERE id = %s) + (SELECT count(*) FROM"
    " (SELECT run_seq FROM run_requests UNION ALL SELECT run_seq FROM attempts"
    " UNION ALL SELECT run_seq FROM run_events) s"
    " WHERE run_seq NOT IN (SELECT seq FROM runs))"
)

Opened = tuple[PostgresDatabase, DatabaseClock, str]


class PostgresRawDatabase:
    """Inspects the database through its own connection."""

    def __init__(self, url: str, clock: DatabaseClock) -> None:
        self._url = url
        self._clock = clock

    def now(self) -> datetime:
        """The store's time."""
        return self._clock()

    async def pass_time(self, seconds: float) -> None:
        """Let the store's time pass."""
        self._clock.move(seconds)

    async def attempts(self, run_id: str) -> list[AttemptRecord]:
        """The run's attempts, in order."""
        with psycopg.connect(self._url) as connection:
            rows = connection.execute(_ATTEMPTS, (run_id,)).fetchall()
        return [AttemptRecord(*row) for row in rows]

    async def rows_about(self, run_id: str) -> int:
        """Rows of `run_id`, and rows of any run that has no row in `runs` any more."""
        with psycopg.connect(self._url) as connection:
            [(rows,)] = connection.execute(_ROWS, (run_id,)).fetchall()
        return int(rows)

    def execute(self, statement: str) -> None:
        """Change the database by hand."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode())


class OnPostgres:
    """The fixtures that PostgreSQL's side of a contract provides."""

    @pytest.fixture
    def opened(self, postgres_server: PostgresServer) -> Iterator[Opened]:
        """An empty database, open."""
        with new_open_database(postgres_server) as opened:
            yield opened

    @pytest.fixture
    def database(self, opened: Opened) -> PostgresDatabase:
        """The same without what is around it."""
        return opened[0]

    @pytest.fixture
    def raw(self, opened: Opened) -> PostgresRawDatabase:
        """Direct access behind the interface."""
        _, clock, url = opened
        return PostgresRawDatabase(url, clock)

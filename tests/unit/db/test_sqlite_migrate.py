"""Migrations: all or nothing, once, and never backwards."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queryrun.db.migrate import migrations
from queryrun.db.sqlite.migrate import migrate_sqlite, pending
from queryrun.errors import ConfigurationError

TABLES = {
    "async_requests",
    "revoked_logins",
    "attempts",
    "client_entities",
    "client_secrets",
    "clients",
    "entities",
    "entity_turns",
    "idempotency_keys",
    "run_events",
    "run_tags",
    "run_requests",
    "runs",
    "schema_version",
    "tenants",
    "tokens",
    "usage",
    "usage_records",
    "usage_sums",
    "audit_head",
    "file_removals",
    "store_outage",
    "saved_statements",
    "webhooks",
    "webhook_deliveries",
    "webhook_attempts",
    "limits",
    "run_listeners",
    "audit_log",
}


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=10)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "store.db")) as connected:
        yield connected


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in rows if not name.startswith("sqlite_")}


def test_an_empty_database_gets_every_table(connection: sqlite3.Connection) -> None:
    migrate_sqlite(connection)
    assert tables(connection) == TABLES


def test_numbers_are_consecutive_and_recorded(connection: sqlite3.Connection) -> None:
    migrate_sqlite(connection)
    known = [(migration.number, migration.name) for migration in migrations("sqlite")]
    assert [number for number, _ in known] == list(range(1, len(known) + 1))
    recorded = connection.execute("SELECT number, name FROM schema_version ORDER BY number")
    assert recorded.fetchall() == known


def test_migrating_again_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate_sqlite(connection)
    before = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    migrate_sqlite(connection)
    assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == before


def test_a_migration_that_fails_leaves_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE VIEW run_events AS SELECT 1 AS in_the_way")
    before = connection.execute("SELECT name FROM sqlite_master").fetchall()
    with pytest.raises(sqlite3.OperationalError):
        migrate_sqlite(connection)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == before


def test_another_programs_database_is_refused(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE songs (title)")
    with pytest.raises(ConfigurationError, match="'songs' and none of this program's"):
        migrate_sqlite(connection)
    with pytest.raises(ConfigurationError, match="another program's"):
        pending(connection)
    assert tables(connection) == {"songs"}


def test_a_newer_database_is_refused(connection: sqlite3.Connection) -> None:
    migrate_sqlite(connection)
    connection.execute("INSERT INTO schema_version VALUES (9999, 'from the future')")
    with pytest.raises(ConfigurationError, match="9999"):
        migrate_sqlite(connection)


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            with closing(connect(tmp_path / "store.db")) as connection:
                migrate_sqlite(connection)
        except sqlite3.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []

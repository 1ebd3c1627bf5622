"""Migrations of PostgreSQL: once, all or nothing, and with old nodes still at work."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from queryrun.db.migrate import Migration, migrations
from queryrun.db.postgres.connect import Connection, connect, conninfo_of
from queryrun.db.postgres.migrate import migrate_postgres, oldest_program_of
from queryrun.db.sqlite.migrate import migrate_sqlite
from queryrun.errors import ConfigurationError
from tests.postgres_server import PostgresServer

ONLY_HERE = {
    ("schema_version", "oldest_program"),
    ("rate_buckets", "key"),
    ("rate_buckets", "full_at"),
    ("rate_buckets", "granted"),
    ("submit_counts", "key"),
    ("submit_counts", "second"),
    ("submit_counts", "count"),
}
TABLES_ONLY_HERE = {"audit_inbox", "nodes"}
"""What one node alone has no use for."""


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database."""
    name = postgres_server.new_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with connect(conninfo_of(url), durable=True) as connected:
        yield connected


def rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode()).fetchall()


def columns(connection: Connection) -> set[tuple[str, str]]:
    found = rows(
        connection,
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public'",
    )
    return {(table, column) for table, column in found}


def columns_of_sqlite(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate_sqlite(connection)
        found = connection.execute(
            "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
            " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        )
        return set(found.fetchall())


def test_both_databases_have_the_same_tables_and_columns(
    connection: Connection, tmp_path: Path
) -> None:
    migrate_postgres(connection)
    shared = {pair for pair in columns(connection) if pair[0] not in TABLES_ONLY_HERE}
    assert shared - ONLY_HERE == columns_of_sqlite(tmp_path / "store.db")


def test_numbers_are_consecutive_and_recorded(connection: Connection) -> None:
    migrate_postgres(connection)
    known = [(migration.number, migration.name) for migration in migrations("postgres")]
    assert [number for number, _ in known] == list(range(1, len(known) + 1))
    assert rows(connection, "SELECT number, name FROM schema_version ORDER BY number") == known


def test_every_migration_declares_which_versions_it_leaves_working() -> None:
    """Never one newer than the migration itself, nor older than that of an earlier one."""
    found = [oldest_program_of(migration) for migration in migrations("postgres")]
    assert found == sorted(found)
    assert all(oldest <= number for number, oldest in enumerate(found, start=1))
    with pytest.raises(ValueError, match="0007_quiet"):
        oldest_program_of(Migration(7, "0007_quiet", "CREATE TABLE t (c int)"))


def test_migrating_again_changes_nothing(connection: Connection) -> None:
    migrate_postgres(connection)
    before = rows(connection, "SELECT relname, relfilenode FROM pg_class ORDER BY oid")
    migrate_postgres(connection)
    assert rows(connection, "SELECT relname, relfilenode FROM pg_class ORDER BY oid") == before


def test_a_migration_that_fails_leaves_nothing(connection: Connection) -> None:
    connection.execute("CREATE TABLE run_events (in_the_way bigint)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrate_postgres(connection)
    assert columns(connection) == {("run_events", "in_the_way")}


def test_nodes_that_start_together_migrate_once(url: str) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            with connect(conninfo_of(url), durable=True) as connected:
                migrate_postgres(connected)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_newer_schema_that_leaves_this_program_working_is_used(connection: Connection) -> None:
    """A rolling upgrade: the new nodes have migrated, the old ones restart."""
    migrate_postgres(connection)
    known = migrations("postgres")[-1].number
    connection.execute("INSERT INTO schema_version VALUES (9999, 'later', %s)", (known,))
    migrate_postgres(connection)


def test_a_schema_for_newer_programs_alone_is_refused(connection: Connection) -> None:
    migrate_postgres(connection)
    connection.execute("INSERT INTO schema_version VALUES (9999, 'contracted', 9998)")
    with pytest.raises(ConfigurationError, match="9998"):
        migrate_postgres(connection)


def test_a_url_that_cannot_be_parsed_is_not_printed() -> None:
    with pytest.raises(ConfigurationError) as refused:
        conninfo_of("postgresql://user:s3cret@host:port:port/?oddities=1")
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_timeouts_in_the_operators_url_are_kept() -> None:
    conninfo = conninfo_of("postgresql://host/name?connect_timeout=2")
    assert "connect_timeout=2" in conninfo
    assert "tcp_user_timeout" in conninfo

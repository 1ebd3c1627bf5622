"""Bring a SQLite database to the newest schema: all that is missing or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from queryrun.db.migrate import (
    MigrateOnOpen,
    Migration,
    check_allowed,
    migrations,
    not_ours,
    too_new,
    version_row,
)

_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL);"
)
_IS_PRESENT = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
_ANY_TABLE = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name LIMIT 1"
_VERSION = "SELECT coalesce(max(number), 0) FROM schema_version"


def migrate_sqlite(
    connection: sqlite3.Connection, on_open: MigrateOnOpen = MigrateOnOpen.ALWAYS
) -> list[Migration]:
    """Apply what is missing while no other process can write; returns what was applied.

    The connection must be in autocommit. `ConfigurationError` when the database is newer than
    this program, or when `on_open` forbids to apply what is missing.
    """
    missing = pending(connection)
    check_allowed(on_open, _version(connection), missing)
    if not missing:
        return []
    connection.execute("BEGIN IMMEDIATE")
    try:
        missing = pending(connection)  # another process may have been first
        for statement in script(missing):
            connection.execute(statement)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return missing


def pending(connection: sqlite3.Connection) -> list[Migration]:
    """What is missing. `ConfigurationError` when the database is newer than this program."""
    known, version = migrations("sqlite"), _version(connection)
    if version > known[-1].number:
        raise too_new(version, version, known[-1].number)
    return [migration for migration in known if migration.number > version]


def pending_in(path: Path) -> list[Migration]:
    """Like `pending`, for a file that may not exist. It is neither created nor changed."""
    if not path.exists():
        return migrations("sqlite")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return pending(connection)


def migrate_at(path: Path) -> list[Migration]:
    """Apply what is missing to a file, which is created when it does not exist."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return migrate_sqlite(connection)


def dry_run(missing: Sequence[Migration]) -> Iterator[str]:
    """Every statement that `migrate_sqlite` executes for these migrations, except reads."""
    if missing:
        yield from ("BEGIN IMMEDIATE;", *script(missing), "COMMIT;")


def script(missing: Sequence[Migration]) -> Iterator[str]:
    """The statements that apply these migrations, one by one, without the transaction."""
    if missing:
        yield _VERSION_TABLE
    for migration in missing:
        yield from _statements(migration.sql)
        yield version_row(number=migration.number, name=migration.name)


def _version(connection: sqlite3.Connection) -> int:
    """The number of the last migration applied; 0 for an empty database.

    `ConfigurationError` for one that has only tables of others.
    """
    if connection.execute(_IS_PRESENT).fetchone() is None:
        if (other := connection.execute(_ANY_TABLE).fetchone()) is not None:
            raise not_ours(other[0])
        return 0
    (number,) = connection.execute(_VERSION).fetchone()
    return int(number)


def _statements(sql: str) -> Iterator[str]:
    """The statements of a file, one by one: `executescript` would commit our transaction."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if statement.strip():
        yield statement.strip()

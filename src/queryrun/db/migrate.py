"""Bring a database to the newest schema: numbered SQL files, applied once each, in order.

A database that a newer program has migrated is refused rather than guessed at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files

from queryrun.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: `0001_first.sql` is number 1."""

    number: int
    name: str
    sql: str = field(repr=False)


def migrations(database: str) -> list[Migration]:
    """The migrations that come with this program for `sqlite` (a folder's name), in order."""
    folder = files("queryrun.db") / "migrations" / database
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    loaded = [
        Migration(int(entry.name[:4]), entry.name.removesuffix(".sql"), entry.read_text("utf-8"))
        for entry in found
    ]
    return sorted(loaded, key=lambda migration: migration.number)


def migrate_sqlite(connection: sqlite3.Connection) -> None:
    """Apply what is missing, all of it or nothing, while no other process can write.

    The connection must be in autocommit. `ConfigurationError` when the database is newer than
    this program.
    """
    known = migrations("sqlite")
    if _version(connection) == known[-1].number:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _apply(connection, known, _version(connection))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _apply(connection: sqlite3.Connection, known: list[Migration], version: int) -> None:
    if version > known[-1].number:
        raise ConfigurationError(
            f"the database has schema {version}, newer than this program's {known[-1].number}"
        )
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL)"
    )
    for migration in known:
        if migration.number > version:
            for statement in _statements(migration.sql):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO schema_version (number, name) VALUES (?, ?)",
                (migration.number, migration.name),
            )


def _version(connection: sqlite3.Connection) -> int:
    """The number of the last migration applied; 0 for an empty database."""
    present = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    ).fetchone()
    if present is None:
        return 0
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM schema_version").fetchone()
    return int(number)


def _statements(sql: str) -> Iterator[str]:
    """The statements of a file, one by one: `executescript` would commit our transaction."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement

"""Whether the files of an open database are still those that were opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queryrun.db.sqlite.files import DatabaseFiles
from queryrun.errors import Unavailable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database in WAL mode, with an id of its own."""
    with closing(sqlite3.connect(tmp_path / "queryrun.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA application_id = 77")
        connection.execute("CREATE TABLE runs (id)")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        yield connection


def test_what_its_own_process_and_others_write_changes_nothing(
    tmp_path: Path, database: sqlite3.Connection
) -> None:
    files = DatabaseFiles(tmp_path / "queryrun.db", database)
    for number in range(60):
        database.execute(f"CREATE TABLE t{number} (a)")
        database.execute("INSERT INTO runs SELECT hex(randomblob(2000)) FROM (VALUES (1), (2))")
        database.execute("DELETE FROM runs WHERE rowid % 3 = 0")
        if number % 20 == 0:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        files.check()
    with closing(sqlite3.connect(tmp_path / "queryrun.db", isolation_level=None)) as other:
        other.execute("DELETE FROM runs")
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files.check()
    database.execute("INSERT INTO runs VALUES ('1')")
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    files.check()
    files.close()


def test_an_older_copy_that_was_written_over_it_is_another_file(
    tmp_path: Path, database: sqlite3.Connection
) -> None:
    path = tmp_path / "queryrun.db"
    files = DatabaseFiles(path, database)
    backup = path.read_bytes()
    database.execute("CREATE TABLE since (a)")
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    files.check()
    with path.open("r+b") as file:
        file.write(backup)
    with pytest.raises(Unavailable, match="was replaced"):
        files.check()
    files.close()

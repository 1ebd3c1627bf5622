"""Opening and closing a SQLite database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from queryrun.db.sqlite.database import open_sqlite
from queryrun.db.sqlite.reader import Reader
from queryrun.errors import ConfigurationError, Unavailable
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    Output,
    RunRequest,
)
from queryrun.runs.store import RunQuery
from tests.conftest import Clock

pytestmark = pytest.mark.anyio

REQUEST = RunRequest("t", "e", "c", "live", "SELECT 1", Output(ContentType.CSV))


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_what_was_accepted_is_there_after_reopening(tmp_path: Path, clock: Clock) -> None:
    database = open_sqlite(tmp_path / "store.db", clock)
    run = (await database.runs.accept(REQUEST, run_id=str(uuid4()))).run
    database.close()
    again = open_sqlite(tmp_path / "store.db", clock)
    assert await again.runs.get(run.id) == run
    again.close()


async def test_two_processes_may_have_it_open(tmp_path: Path, clock: Clock) -> None:
    """`queryrun clients create` writes beside a server that runs."""
    server = open_sqlite(tmp_path / "store.db", clock)
    tool = open_sqlite(tmp_path / "store.db", clock)
    await tool.auth.add_tenant("t", "T")
    run = (await server.runs.accept(REQUEST, run_id=str(uuid4()))).run
    assert await tool.runs.get(run.id) == run
    tool.close()
    server.close()


async def test_a_closed_database_is_unavailable(tmp_path: Path, clock: Clock) -> None:
    database = open_sqlite(tmp_path / "store.db", clock)
    database.close()
    database.close()
    with pytest.raises(Unavailable):
        await database.runs.get(str(uuid4()))
    with pytest.raises(Unavailable):
        await database.runs.find(RunQuery("t"))
    with pytest.raises(Unavailable):
        await database.runs.accept(REQUEST, run_id=str(uuid4()))
    assert not await database.runs.healthy()


async def test_closing_leaves_one_file(tmp_path: Path, clock: Clock) -> None:
    """The log is folded into the database, so the file alone can be copied away."""
    database = open_sqlite(tmp_path / "store.db", clock)
    await database.runs.accept(REQUEST, run_id=str(uuid4()))
    database.close()
    assert names_in(tmp_path) == ["store.db"]


async def test_reads_cannot_write(tmp_path: Path, clock: Clock) -> None:
    database = open_sqlite(tmp_path / "store.db", clock)
    with pytest.raises(Unavailable):
        database.reader.read(lambda db: db.execute("DELETE FROM runs"))
    database.close()


async def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path, clock: Clock) -> None:
    open_sqlite(tmp_path / "store.db", clock).close()
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO schema_version VALUES (9999, 'later')")
    with pytest.raises(ConfigurationError):
        open_sqlite(tmp_path / "store.db", clock)


def test_a_database_that_cannot_be_opened_leaves_no_connection(
    tmp_path: Path, clock: Clock
) -> None:
    """The error is kept, and with it all that its frames had: nothing is closed by accident."""
    path = tmp_path / "store.db"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        open_sqlite(path, clock)
    descriptors = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert path not in descriptors
    assert raised.value is not None


def test_a_reader_that_cannot_connect_twice_closes_what_it_has(tmp_path: Path) -> None:
    first = sqlite3.connect(tmp_path / "store.db")
    connections = [first]
    with pytest.raises(IndexError):
        Reader(connections.pop)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")

"""A database file is read at one version, and its owner is never kept out."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import open_session
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables import database as tables_database
from queryrun.tables.database import AttachedDatabase
from queryrun.tables.location import location_version


def _write(path: Path, sql: str) -> subprocess.CompletedProcess[str]:
    """As the owner, in a process of its own: locks are between processes."""
    program = f"import duckdb; duckdb.connect({str(path)!r}).execute({sql!r})"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Ten rows in `t`."""
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS i FROM range(10)")
    return path


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """What the file is attached to."""
    with duckdb.connect() as connection:
        yield connection


def _count(connection: duckdb.DuckDBPyConnection) -> object:
    return connection.execute("SELECT count(*) FROM data.t").fetchall()[0][0]


def _failure(call: object) -> FailureCode:
    assert callable(call)
    with pytest.raises(RunFailed) as failed:
        call()
    return failed.value.failure.code


def test_the_owner_can_write_while_a_worker_has_the_file(
    database: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    attached = AttachedDatabase(connection, database, "data")
    attached.verify()
    assert _write(database, "INSERT INTO t SELECT range FROM range(200000)").returncode == 0
    assert _failure(attached.verify) is FailureCode.DATA_CHANGED
    attached.close()


def test_a_file_that_was_replaced_is_read_as_it_was(
    database: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    attached = AttachedDatabase(connection, database, "data")
    before = location_version(str(database))
    assert _write(tmp_path / "new", "CREATE TABLE t AS SELECT 1 AS i").returncode == 0
    (tmp_path / "new").rename(database)
    assert _count(connection) == 10
    attached.verify()
    assert location_version(str(database)) != before
    attached.close()


def test_a_file_that_is_open_for_writing_is_refused_with_words(
    database: Path, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables_database, "MAX_LOCK_WAIT_S", 0.0)
    program = f"import duckdb; c = duckdb.connect({str(database)!r}); print('open'); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout
        assert owner.stdin
        owner.stdout.readline()
        with pytest.raises(RunFailed) as failed:
            AttachedDatabase(connection, database, "data")
        owner.stdin.close()
    assert "open for writing in another program" in failed.value.failure.message
    assert failed.value.failure.code is FailureCode.DATA_INVALID, "which is not tried again"


def test_an_owner_that_closes_the_file_is_waited_for(
    database: Path, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables_database, "MAX_LOCK_WAIT_S", 60.0)
    program = f"import duckdb; c = duckdb.connect({str(database)!r}); print('open'); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout
        assert owner.stdin
        owner.stdout.readline()
        waits: list[float] = []

        def close_instead(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 1:
                owner.communicate(b"\n")

        monkeypatch.setattr("queryrun.tables.database.time.sleep", close_instead)
        attached = AttachedDatabase(connection, database, "data")
    assert waits
    assert _count(connection) == 10
    attached.close()


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 1000])
def test_what_is_no_database_is_refused_without_its_path(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, content: bytes | None
) -> None:
    path = tmp_path / "x.duckdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunFailed) as failed:
        AttachedDatabase(connection, path, "data")
    assert failed.value.failure.code is FailureCode.DATA_UNREADABLE
    assert str(tmp_path) not in failed.value.failure.message


def test_a_directory_has_a_new_version_when_it_is_replaced_and_not_when_it_is_written(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    version = location_version(str(data))
    (data / "a.csv").touch()
    assert location_version(str(data)) == version
    data.rename(tmp_path / "old")
    data.mkdir()
    assert location_version(str(data)) != version


def test_every_listed_name_is_readable_in_any_case(tmp_path: Path) -> None:
    """DuckDB folds the case of ASCII alone."""
    path, spill = tmp_path / "names.duckdb", tmp_path / "spill"
    spill.mkdir()
    with duckdb.connect(str(path)) as owner:
        for number, name in enumerate(("Ärzte", "ÉTÉ", "Mixed Case", "plain")):
            owner.execute(f'CREATE TABLE "{name}" AS SELECT {number} AS "Größe"')
        owner.execute('CREATE VIEW "Übersicht" AS SELECT 4 AS "Größe"')
    limits = EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)
    with contextlib.closing(
        open_session({"database": str(path), "dialect": "trino"}, limits)
    ) as session:

        def value(name: str) -> object:
            assert session.renew()
            found = session.plan(f'SELECT max("größe") FROM "{name}"', RowFilter())
            return found.connection.execute(found.relation).fetchall()[0][0]

        listed = session.plan("SHOW TABLES", RowFilter())
        names = [name for (name,) in listed.connection.execute(listed.relation).fetchall()]
        assert names == ["mixed case", "plain", "ärzte", "été", "übersicht"]
        assert [value(name) for name in names] == [2, 3, 0, 1, 4]
        assert [value(name) for name in ("ÄRZTE", "Été", "PLAIN", "Übersicht")] == [0, 1, 3, 4]

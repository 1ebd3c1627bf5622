"""A database file is read at one version, and its owner is never kept out."""

from __future__ import annotations

import contextlib
import os
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


def _refusal(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """Why a file cannot be attached. Permanent faults, which are not tried again."""
    with pytest.raises(RunFailed) as failed:
        AttachedDatabase(connection, path, "data")
    assert failed.value.failure.code is FailureCode.DATA_INVALID
    assert str(path.parent) not in failed.value.failure.message
    return failed.value.failure.message


def test_a_database_that_is_not_there_is_looked_for_again(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    with pytest.raises(RunFailed) as failed:
        AttachedDatabase(connection, tmp_path / "x.duckdb", "data")
    assert failed.value.failure.code is FailureCode.DATA_UNREADABLE
    assert str(tmp_path) not in failed.value.failure.message


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
def test_what_is_no_database_is_refused_without_its_path(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, content: bytes
) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(content)
    assert "is no DuckDB database file" in _refusal(connection, path)


def test_a_pipe_is_not_waited_for(tmp_path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    os.mkfifo(tmp_path / "x.duckdb")
    assert "is not a file" in _refusal(connection, tmp_path / "x.duckdb")


def _with_version(content: bytes, version: int) -> bytes:
    """A database whose first page says another version, with the sum that a page begins with."""
    page = content[8:12] + version.to_bytes(8, "little") + content[20:4096]
    total = 5381
    for at in range(0, len(page), 8):
        total ^= int.from_bytes(page[at : at + 8], "little") * 0xBF58476D1CE4E5B9 % 2**64
    return total.to_bytes(8, "little") + page + content[4096:]


@pytest.mark.parametrize(
    ("version", "words"), [(60, "a DuckDB that is too old"), (5000, "a newer DuckDB")]
)
def test_a_database_of_another_version_says_so(
    database: Path, connection: duckdb.DuckDBPyConnection, version: int, words: str
) -> None:
    database.write_bytes(_with_version(database.read_bytes(), version))
    assert words in _refusal(connection, database)


def test_a_damaged_database_is_not_called_locked(
    database: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    content = bytearray(database.read_bytes())
    content[100] ^= 1
    database.write_bytes(content)
    assert "is damaged" in _refusal(connection, database)
    database.write_bytes(content[:5000])
    assert "is damaged" in _refusal(connection, database)


def test_the_log_of_another_database_is_said_to_be_at_fault(
    database: Path, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    program = (
        f"import duckdb, os; c = duckdb.connect({str(tmp_path / 'other')!r}); "
        "c.execute('CREATE TABLE u (a INT)'); os._exit(0)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    (tmp_path / "other.wal").rename(f"{database}.wal")
    assert "has a log beside it (.wal) that cannot be read" in _refusal(connection, database)


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


class _Opened:
    """A session over a database file, asked one statement after another."""

    def __init__(self, path: Path, spill: Path, dialect: str) -> None:
        spill.mkdir()
        limits = EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)
        self.session = open_session({"database": str(path), "dialect": dialect}, limits)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        planned = self.session.plan(sql, RowFilter())
        return planned.connection.execute(planned.relation).fetchall()

    def refusal(self, sql: str) -> str:
        try:
            found = self.rows(sql)
        except Exception as error:
            failed = self.session.failure_of(error)
            assert isinstance(failed, RunFailed)
            assert failed.failure.code is FailureCode.DATA_INVALID
            return failed.failure.message
        raise AssertionError(found)


_VIEWS = {
    "numbered": ("SELECT nextval('s') AS n", "writes when it is read"),
    "by_macro": ("SELECT next() AS n", "writes when it is read"),
    "on_a_view": ("SELECT * FROM numbered", "writes when it is read"),
    "current": ("SELECT currval('s') AS n", "a sequence's state"),
    "a_csv": ("SELECT * FROM '{root}/outside.csv'", "a file outside of the database"),
    "a_listing": ("SELECT * FROM glob('{root}/*')", "a file outside of the database"),
    "a_format": ("SELECT * FROM sniff_csv('{root}/outside.csv')", "a file outside of the database"),
    "elsewhere": ("SELECT * FROM other.main.u", "of what is not there"),
}


@pytest.mark.parametrize("dialect", ["trino", "native"])
def test_a_view_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, dialect: str) -> None:
    path = tmp_path / "a.duckdb"
    (tmp_path / "outside.csv").write_text("a\n1\n")
    with duckdb.connect(str(path)) as owner:
        owner.execute(f"ATTACH '{tmp_path}/other.duckdb' AS other")
        owner.execute("CREATE TABLE other.main.u AS SELECT 1 AS a; CREATE TABLE t AS SELECT 1 AS a")
        owner.execute("CREATE SEQUENCE s; CREATE MACRO next() AS nextval('s')")
        for name, (sql, _) in _VIEWS.items():
            owner.execute(f"CREATE VIEW {name} AS {sql.format(root=tmp_path)}")
    opened = _Opened(path, tmp_path / "spill", dialect)
    for name, (_, words) in _VIEWS.items():
        message = opened.refusal(f"SELECT * FROM {name}")
        assert message.startswith(f"Table '{name}' cannot be read: it is a view ")
        assert words in message
        assert "in the database" in message
        assert str(tmp_path) not in message
        assert opened.rows("SELECT a FROM t") == [(1,)], "the others are read"
    opened.session.close()


@pytest.mark.parametrize("dialect", ["trino", "native"])
def test_a_macro_never_takes_the_place_of_a_function(tmp_path: Path, dialect: str) -> None:
    """It is what views call that its owner wrote for them, and nothing else."""
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as owner:
        owner.execute("CREATE TABLE t AS SELECT -1 AS a, 'x' AS b")
        for name in ("abs(x)", "upper(x)", "sum(x)", "count_star()", '"+"(x, y)', "length(x)"):
            owner.execute(f"CREATE MACRO {name} AS 42")
        owner.execute("CREATE VIEW own AS SELECT abs(a) AS a FROM t")
    opened = _Opened(path, tmp_path / "spill", dialect)
    sql = "SELECT abs(min(a)), max(upper(b)), sum(a), count(*), min(a) + 2, max(length(b)) FROM t"
    assert opened.rows(sql) == [(1, "X", -1, 1, 1, 1)]
    assert opened.rows("SELECT a FROM own") == [(42,)]
    opened.session.close()

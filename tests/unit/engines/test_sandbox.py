"""The session itself refuses what the guard should have, and the data stays as it was."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import duckdb
import pyarrow
import pytest

from queryrun.engines.duckdb.session import DuckDBSession
from queryrun.errors import FailureCode, RunFailed
from tests.unit.engines.conftest import Open

FORBIDDEN = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM read_csv('{other}/secret.csv')",
    "SELECT * FROM read_csv('{data}/../one_more/secret.csv')",
    "SELECT * FROM '{other}/secret.csv'",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT getenv('HOME')",
    "ATTACH '{other}/x.duckdb'",
    "ATTACH '{data}/x.duckdb'",
    "COPY (SELECT 1) TO '{data}/evil.csv'",
    "COPY (SELECT 1) TO '{other}/evil.csv'",
    "COPY account TO '{data}/evil.csv'",
    "EXPORT DATABASE '{data}/evil'",
    "IMPORT DATABASE '{data}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "SET GLOBAL enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA threads = 1",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "CREATE TABLE x (a INTEGER)",
    "CREATE SECRET s (TYPE s3)",
    "CREATE MACRO f(a) AS 1",
    "USE memory",
    "BEGIN",
    "CHECKPOINT",
    "DROP VIEW account",
    "PREPARE p AS SELECT 1",
    "SELECT 1) TO '{data}/evil.csv' (FORMAT csv); --",
    "SELECT 1); DROP VIEW account; --",
    "WITH x AS (INSERT INTO account VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM account RETURNING *) SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{data}/evil.csv') SELECT * FROM x",
    "SELECT * FROM query('COPY (SELECT 1) TO ''{data}/evil.csv''')",
    "SELECT * FROM query('CREATE TABLE x (a INTEGER)')",
]
"""Refused even when neither the guard nor the session looks at the tree."""

TELLING = [
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM which_secret('s3://a', 's3')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_databases()",
    "SELECT current_setting('temp_directory')",
    "SELECT current_setting('allowed_directories')",
    "SELECT sql FROM duckdb_views()",
    "SELECT sql FROM duckdb_views",
    "SELECT sql FROM sqlite_master",
    "SELECT view_definition FROM information_schema.views",
    "SELECT definition FROM pg_catalog.pg_views",
    "SELECT current_query()",
    "SELECT json_serialize_plan('SELECT * FROM account')",
    "SELECT * FROM parquet_metadata('{data}/Account.parquet')",
    "SELECT * FROM glob('{data}/*')",
    "SELECT * FROM 'Account.parquet'",
    "SELECT * FROM query('SELECT * FROM duckdb_settings()')",
    "SELECT * FROM query_table('duckdb_settings')",
    "FROM duckdb_functions()",
]
"""Harmless to the data, but they tell where we are; the look at the tree stops them."""


def _digest(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _try_to_run(session: DuckDBSession, statement: str) -> None:
    """Plan and then copy out, as the pipeline does; raises the session's failure."""
    planned = session.plan(statement)
    try:
        planned.connection.execute(
            f"COPY (SELECT * FROM (\n{planned.relation}\n)) TO '{session.output_path}'"
        )
    except duckdb.Error as error:
        raise session.failure_of(error) from error


@pytest.mark.parametrize("statement", FORBIDDEN + TELLING)
def test_a_statement_that_bypasses_the_guard_is_refused_by_the_session(
    session: DuckDBSession, data_dir: Path, other_dir: Path, statement: str
) -> None:
    before = _digest(data_dir.parent)
    with pytest.raises(RunFailed):
        _try_to_run(session, statement.format(data=data_dir, other=other_dir))
    assert _digest(data_dir.parent) == before


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_without_the_check_of_the_tree_the_engine_itself_refuses(
    session: DuckDBSession,
    data_dir: Path,
    other_dir: Path,
    statement: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last defence alone: parentheses, external access, the lock."""
    monkeypatch.setattr("queryrun.engines.duckdb.session.objection_to", lambda _tree, _tables: None)
    before = _digest(data_dir.parent)
    with pytest.raises(RunFailed) as failed:
        _try_to_run(session, statement.format(data=data_dir, other=other_dir))
    assert failed.value.failure.code is not FailureCode.INTERNAL_ERROR
    assert _digest(data_dir.parent) == before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO account VALUES (2)",
        "DELETE FROM account",
        "DROP TABLE account",
        "CREATE TABLE x (a INTEGER)",
        "ATTACH '{database}' AS again",
        "WITH x AS (INSERT INTO account VALUES (2) RETURNING *) SELECT * FROM x",
    ],
)
def test_a_database_file_is_never_written(
    open_engine: Open, tmp_path: Path, statement: str
) -> None:
    """Sent to the connection directly, past all our checks."""
    path = tmp_path / "db" / "entity.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE account AS SELECT 1 AS id")
    before = _digest(path.parent)
    planned = open_engine(database=str(path)).plan("SELECT * FROM account")
    with pytest.raises(duckdb.Error):
        planned.connection.execute(statement.format(database=path)).fetchall()
    assert _digest(path.parent) == before


def test_the_configuration_is_locked_before_a_statement_is_bound(session: DuckDBSession) -> None:
    connection = session.plan("SELECT 1").connection
    for change in ("SET threads = 1", "SET TimeZone = 'UTC'", "SET enable_external_access = true"):
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute(change)


def test_a_pipe_in_another_directory_cannot_be_written(
    session: DuckDBSession, tmp_path: Path
) -> None:
    connection = session.plan("SELECT 1").connection
    other_directory = tmp_path / "elsewhere"
    os.mkfifo(other_directory)
    with pytest.raises(duckdb.PermissionException):
        connection.execute(f"COPY (SELECT 1) TO '{other_directory}' (USE_TMP_FILE false)")


def test_objects_of_the_python_program_are_no_tables(session: DuckDBSession) -> None:
    """DuckDB would read a table of the calling function by its name."""
    table_of_ours = pyarrow.table({"secret": [42]})
    connection = session.plan("SELECT 1").connection
    with pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM table_of_ours")
    assert table_of_ours.num_rows == 1

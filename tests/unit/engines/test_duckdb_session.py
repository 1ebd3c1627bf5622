"""The embedded engine: its tables, its plans, and its error messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from queryrun.engines.base import Column, EngineLimits
from queryrun.engines.duckdb.session import STATEMENTS_PER_INSTANCE, DuckDBSession, open_session
from queryrun.errors import Failure, FailureCode, RunFailed
from tests.unit.engines.conftest import Open


def _rows(session: DuckDBSession, statement: str) -> list[tuple[Any, ...]]:
    """What a statement returns, by the way the encoder takes."""
    planned = session.plan(statement)
    return planned.connection.execute(f"SELECT * FROM (\n{planned.relation}\n)").fetchall()


def _failure(session: DuckDBSession, statement: str) -> Failure:
    """How a statement fails, in planning or in execution."""
    before = "SELECT * FROM ("
    try:
        planned = session.plan(statement)
        planned.connection.execute(f"{before}{planned.relation})").fetchall()
    except RunFailed as failed:
        return failed.failure
    except duckdb.Error as error:
        translated = session.failure_of(error, len(before))
        assert isinstance(translated, RunFailed)
        return translated.failure
    raise AssertionError(f"did not fail: {statement}")


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("SELECT count(*) FROM account", [(3,)]),
        ("SELECT count(*) FROM ACCOUNT", [(3,)]),
        ('SELECT count(*) FROM "account" a JOIN Account b USING (id)', [(3,)]),
        ("SELECT note FROM note", [("x",)]),
        ("SELECT note FROM packed", [("x",)]),
        ("SELECT note FROM event", [("x",)]),
        ("SELECT id, more FROM usage ORDER BY id", [(1, None), (2, "new")]),
        ("FROM note SELECT id", [(1,)]),
        ("WITH note AS (SELECT 7 AS id) SELECT id FROM note", [(7,)]),
        ("SELECT (SELECT max(id) FROM account)", [(2,)]),
    ],
)
def test_files_and_directories_are_tables_with_names_in_any_case(
    session: DuckDBSession, statement: str, rows: list[tuple[Any, ...]]
) -> None:
    assert _rows(session, statement) == rows


def test_show_tables_shows_every_table(session: DuckDBSession) -> None:
    names = [name for (name,) in _rows(session, "SHOW TABLES")]
    assert sorted(names) == ["Account", "event", "note", "packed", "usage"]


def test_a_table_that_cannot_be_read_does_not_hide_the_others(
    session: DuckDBSession, data_dir: Path
) -> None:
    (data_dir / "broken.parquet").write_bytes(b"no parquet at all")
    query = "SELECT table_name FROM information_schema.tables"
    assert ("note",) in _rows(session, query)
    assert _failure(session, "SELECT * FROM broken").code is FailureCode.DATA_INVALID


def test_describe_lists_the_columns_of_a_table(session: DuckDBSession) -> None:
    described = [row[:2] for row in _rows(session, "DESCRIBE account")]
    assert described == [("id", "BIGINT"), ("accountnumber", "VARCHAR")]


@pytest.mark.parametrize("name", ["a'b.csv", 'x"; DROP TABLE y; --.csv', "ü 1.csv", "select.csv"])
def test_a_files_name_is_only_a_name(session: DuckDBSession, data_dir: Path, name: str) -> None:
    (data_dir / name).write_text("id\n5\n")
    table = name.removesuffix(".csv").replace('"', '""')
    assert _rows(session, f'SELECT id FROM "{table}"') == [(5,)]


def test_a_new_file_is_seen_by_the_next_session(open_engine: Open, data_dir: Path) -> None:
    _failure(open_engine(data_dir=str(data_dir)), "SELECT * FROM fresh")
    (data_dir / "fresh.csv").write_text("id\n9\n")
    assert _rows(open_engine(data_dir=str(data_dir)), "SELECT id FROM fresh") == [(9,)]


def test_a_database_file_is_a_source_too(open_engine: Open, tmp_path: Path) -> None:
    path = tmp_path / "entity.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE account AS SELECT 1 AS id")
    session = open_engine(database=str(path))
    assert _rows(session, "SELECT id FROM Account") == [(1,)]
    failure = _failure(session, "SELECT * FROM acount")
    assert failure.message == "Table 'acount' does not exist. Did you mean 'account'?"


@pytest.mark.parametrize("options", [{}, {"data_dir": "a", "database": "b"}, {"path": "a"}])
def test_a_source_needs_exactly_one_data_location(
    limits: EngineLimits, options: dict[str, str]
) -> None:
    with pytest.raises(RunFailed) as failed:
        open_session(options, limits)
    assert failed.value.failure.code is FailureCode.INTERNAL_ERROR


@pytest.mark.parametrize("option", ["data_dir", "database"])
def test_missing_data_is_reported_as_unreadable(open_engine: Open, option: str) -> None:
    with pytest.raises(RunFailed) as failed:
        open_engine(**{option: "/nowhere/at/all"})
    assert failed.value.failure.code is FailureCode.DATA_UNREADABLE
    assert "nowhere" not in failed.value.failure.message


# --- plans ------------------------------------------------------------------------------------


def test_a_plan_names_the_columns_and_their_types(session: DuckDBSession) -> None:
    planned = session.plan('SELECT id, 1.5 AS "a b", 2 AS id, [1] AS l FROM account')
    assert list(planned.columns) == [
        Column("id", "BIGINT"),
        Column("a b", "DECIMAL(2,1)"),
        Column("id_1", "INTEGER"),
        Column("l", "INTEGER[]"),
    ]


def test_planning_computes_nothing(session: DuckDBSession) -> None:
    assert session.plan("SELECT error('computed') AS x").columns == [Column("x", '"NULL"')]


def test_columns_that_differ_by_case_only_keep_their_names(session: DuckDBSession) -> None:
    """DuckDB itself would call the second one `SUBID_1`."""
    planned = session.plan("SELECT 1 AS SubID, 2 AS SUBID, 3 AS SubID -- the end")
    assert [column.name for column in planned.columns] == ["SubID", "SUBID", "SubID_1"]


def test_instants_are_formatted_in_the_requested_time_zone(
    open_engine: Open, data_dir: Path
) -> None:
    statement = "SELECT CAST(TIMESTAMPTZ '2024-01-01 00:00:00+00' AS VARCHAR)"
    session = open_engine("America/Los_Angeles", data_dir=str(data_dir))
    assert session.plan(statement).connection.execute(statement).fetchone() == (
        "2023-12-31 16:00:00-08",
    )


def test_an_unknown_time_zone_is_reported_as_unknown(open_engine: Open, data_dir: Path) -> None:
    with pytest.raises(RunFailed) as failed:
        open_engine("Mars/Olympus", data_dir=str(data_dir))
    assert failed.value.failure.message == "Unknown time zone 'Mars/Olympus'"


def test_a_reset_session_works_like_a_new_one_and_keeps_no_state(session: DuckDBSession) -> None:
    """A table dropped between two statements is gone; the restrictions still apply."""
    statement = "SELECT count(*) FROM account"
    assert session.plan(statement).connection.execute(statement).fetchone() is not None
    before = session.plan(statement).connection
    assert session.renew()
    after = session.plan("SELECT 1").connection
    assert after is not before
    with pytest.raises(duckdb.CatalogException):
        after.execute(statement)
    with pytest.raises(duckdb.InvalidInputException):
        after.execute("SET threads = 1")


def test_a_session_is_renewed_a_bounded_number_of_times(session: DuckDBSession) -> None:
    assert [session.renew() for _ in range(STATEMENTS_PER_INSTANCE)].count(True) == (
        STATEMENTS_PER_INSTANCE - 1
    )


def test_progress_is_unknown_while_nothing_runs(session: DuckDBSession) -> None:
    assert session.progress().percent is None


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "code", "message", "position"),
    [
        (
            "SELECT\n  acountnumber FROM account",
            FailureCode.NAME_NOT_FOUND,
            "Column 'acountnumber' cannot be resolved. Did you mean 'accountnumber'?",
            (2, 3),
        ),
        (
            "SELECT 'é', missing FROM account",
            FailureCode.NAME_NOT_FOUND,
            "Column 'missing' cannot be resolved",
            (1, 13),
        ),
        (
            "SELECT a.missing FROM account a",
            FailureCode.NAME_NOT_FOUND,
            "Column 'missing' cannot be resolved",
            (1, 8),
        ),
        (
            "SELECT *\nFROM acount",
            FailureCode.NAME_NOT_FOUND,
            "Table 'acount' does not exist. Did you mean 'account'?",
            (2, 6),
        ),
        (
            "SELECT * FROM zzz",
            FailureCode.NAME_NOT_FOUND,
            "Table 'zzz' does not exist",
            (1, 15),
        ),
        (
            "SELECT lenght('a')",
            FailureCode.NAME_NOT_FOUND,
            "Function 'lenght' does not exist. Did you mean 'length'?",
            (1, 8),
        ),
        (
            "SELECT 1,\n FROM FROM",
            FailureCode.SYNTAX_ERROR,
            'syntax error at or near "FROM"',
            (2, 7),
        ),
        ("SELECT ?", FailureCode.SYNTAX_ERROR, "Parameters (?, $1) are not supported", None),
        ("SELECT 1 + 'a'::VARCHAR", FailureCode.TYPE_MISMATCH, "No function matches", (1, 10)),
        (
            "SELECT 1,\n CAST(accountnumber AS INTEGER) FROM account",
            FailureCode.INVALID_VALUE,
            "Could not convert string 'A0' to INT32",
            (2, 2),
        ),
        ("SELECT error('my words')", FailureCode.INVALID_VALUE, "my words", None),
        (
            "SELECT id = (SELECT id FROM account) FROM account",
            FailureCode.INVALID_VALUE,
            "More than one row returned by a subquery",
            None,
        ),
        ("INSERT INTO account VALUES (1)", FailureCode.NOT_ALLOWED, "Only SELECT", None),
        ("SELECT 1; SELECT 2", FailureCode.NOT_ALLOWED, "Exactly one statement", None),
        (
            "SELECT 1,\n current_setting('threads')",
            FailureCode.NOT_ALLOWED,
            "Function 'current_setting' is not allowed",
            (2, 2),
        ),
    ],
)
def test_a_failure_has_a_message_and_a_position(
    session: DuckDBSession,
    statement: str,
    code: FailureCode,
    message: str,
    position: tuple[int, int] | None,
) -> None:
    failure = _failure(session, statement)
    assert failure.code is code
    assert failure.message.startswith(message)
    assert (failure.line, failure.column) == (position or (None, None))


def test_no_failure_names_a_setting_that_users_cannot_change(session: DuckDBSession) -> None:
    failure = _failure(session, "SELECT id = (SELECT id FROM account) FROM account")
    assert "SET" not in failure.message


def test_too_much_memory_is_the_statements_fault(session: DuckDBSession) -> None:
    failure = _failure(session, "SELECT list(i) FROM range(100000000) t(i)")
    assert failure.code is FailureCode.MEMORY_LIMIT_EXCEEDED
    assert failure.message == "Query exceeded the maximum memory"


@pytest.mark.slow
def test_too_many_intermediate_results_fail_the_statement(session: DuckDBSession) -> None:
    statement = "SELECT i, i::VARCHAR || 'xxxxxxxxxxxxxxxx' FROM range(30000000) t(i) ORDER BY 2, 1"
    failure = _failure(session, statement)
    assert failure.code is FailureCode.MEMORY_LIMIT_EXCEEDED


def test_an_error_that_is_not_the_engines_is_returned_unchanged(session: DuckDBSession) -> None:
    error = KeyError("ours")
    assert session.failure_of(error) is error


def test_a_broken_file_is_named_without_its_directory(
    session: DuckDBSession, data_dir: Path
) -> None:
    (data_dir / "broken.parquet").write_bytes(b"PAR1 no parquet at all PAR1")
    failure = _failure(session, "SELECT * FROM broken")
    assert failure.code is FailureCode.DATA_INVALID
    assert str(data_dir) not in failure.message
    assert "'broken.parquet'" in failure.message

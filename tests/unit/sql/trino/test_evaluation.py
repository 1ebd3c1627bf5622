"""Values that fail: Trino's words, and the place where only one expression can have failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import Failure, FailureCode, RunFailed


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table `t` with the columns `a` (0, 1, 2) and `b` (text)."""
    directory = tmp_path_factory.mktemp("tables")
    (directory / "data").mkdir()
    (directory / "data" / "t.csv").write_text("a,b\n0,x\n1,2\n2,3\n")
    return directory


@pytest.fixture
def session(directory: Path, tmp_path: Path) -> Iterator[DuckDBSession]:
    """A session that speaks Trino's dialect."""
    limits = EngineLimits(256 * 1024**2, 1, str(tmp_path), 64 * 1024**2)
    options = {"data_dir": str(directory / "data"), "dialect": "trino"}
    session = open_session(options, limits)
    yield session
    session.close()


def _failure(session: DuckDBSession, statement: str) -> Failure:
    try:
        rows = session.plan(statement)
        rows.connection.execute(f"SELECT * FROM (\n{rows.relation})").fetchall()
    except RunFailed as failed:
        return failed.failure
    except Exception as error:
        found = session.failure_of(error)
        assert isinstance(found, RunFailed)
        return found.failure
    pytest.fail("it does not fail")


@pytest.mark.parametrize(
    ("statement", "message", "position"),
    [
        ("SELECT 1/0", "Division by zero", (1, 9)),
        ("SELECT a,\n  a / (a - a) FROM t", "Division by zero", (2, 5)),
        ("SELECT 3 % a FROM t", "Division by zero", (1, 10)),
        ("SELECT 1.5 / 0.0", "Division by zero", (1, 12)),
        ("SELECT mod(a, 0) FROM t", "Division by zero", (1, 8)),
        ("SELECT 4 / 2, 3 / 0", "Division by zero", (1, 17)),
        ("SELECT a FROM t WHERE 1 / a = 1", "Division by zero", (1, 25)),
        ("SELECT 2147483647 + 1", "integer addition overflow: 2147483647 + 1", (1, 19)),
        ("SELECT CAST('x' AS integer)", "Cannot cast 'x' to INT", (1, 8)),
        ("SELECT 1,\n CAST(b AS bigint) FROM t", "Cannot cast 'x' to BIGINT", (2, 2)),
        ("SELECT CAST('1-1' AS date)", "Value cannot be cast to date: 1-1", (1, 8)),
        ("SELECT CAST(300 AS tinyint)", "Out of range for tinyint: 300", (1, 8)),
        ("SELECT (SELECT a FROM t)", "Scalar sub-query has returned multiple rows", (1, 8)),
        ("SELECT ARRAY[1][0]", "SQL array indices start at 1", (1, 16)),
    ],
)
def test_a_value_that_fails_says_so_as_trino_does_and_where(
    session: DuckDBSession, statement: str, message: str, position: tuple[int, int]
) -> None:
    found = _failure(session, statement)
    assert found.code is FailureCode.INVALID_VALUE
    assert (found.message, (found.line, found.column)) == (message, position)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT 6 / a, 7 / (a - 1) FROM t", "Division by zero"),
        ("SELECT CAST(b AS integer), CAST(b AS integer) + 1 FROM t", "Cannot cast 'x' to INT"),
    ],
)
def test_no_place_is_told_where_several_expressions_can_have_failed(
    session: DuckDBSession, statement: str, message: str
) -> None:
    found = _failure(session, statement)
    assert (found.message, found.line, found.column) == (message, None, None)


def test_an_ambiguous_column_has_a_code_of_its_own(session: DuckDBSession) -> None:
    found = _failure(session, "SELECT b FROM t x, t y")
    assert (found.code, found.line, found.column) == (FailureCode.AMBIGUOUS_NAME, 1, 8)
    assert found.message == "Column 'b' is ambiguous"

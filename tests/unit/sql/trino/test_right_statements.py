"""Statements that Trino takes and DuckDB, in a plain translation, does not."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import RunFailed


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBSession]:
    """Tables `t` and `u`; the text of their first rows is no number."""
    directory = tmp_path_factory.mktemp("tables")
    (directory / "t.csv").write_text("a,b\n0,x\n1,2\n2,3\n")
    (directory / "u.csv").write_text("a,c\n0,x\n1,2\n5,3\n")
    limits = EngineLimits(256 * 1024**2, 1, str(tmp_path_factory.mktemp("spill")), 64 * 1024**2)
    session = open_session({"data_dir": str(directory), "dialect": "trino"}, limits)
    yield session
    session.close()


def _rows(session: DuckDBSession, statement: str) -> list[tuple[Any, ...]]:
    plan = session.plan(statement)
    return plan.connection.execute(f"SELECT * FROM (\n{plan.relation})").fetchall()


_BLANKS = "\u000b\u001c\u2003 \t\n"
_LARGE = "17014000000000000000000000000000000000"
_NEAR = "7014000000000000000000000000000000000.1"
_SUM = Decimal("9999999999999999999999999999999999999.9")


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        (
            "SELECT b IN (SELECT c FROM u), count(*) FROM t x "
            "GROUP BY x.b IN (SELECT c FROM u) HAVING b IN (SELECT c FROM u)",
            [(True, 3)],
        ),
        (
            "SELECT a > (SELECT min(a) FROM u), count(*) FROM t GROUP BY a > (SELECT min(a) FROM u)"
            " ORDER BY a > (SELECT min(a) FROM u)",
            [(False, 1), (True, 2)],
        ),
        (
            "SELECT 1 + cardinality(filter(ARRAY[a], x -> x > 0)) FROM t "
            "GROUP BY cardinality(filter(ARRAY[a], v -> v > 0)) "
            "ORDER BY cardinality(filter(ARRAY[t.a], w -> w > 0))",
            [(1,), (2,)],
        ),
        (
            "SELECT DISTINCT filter(ARRAY[a], x -> x > 1) FROM t "
            "ORDER BY filter(ARRAY[a], x -> x > 1)",
            [([],), ([2],)],
        ),
        (
            "SELECT filter(p5, x -> x > 0), filter(p4, x -> x > 0) FROM "
            "(VALUES (ARRAY[1], ARRAY[2], ARRAY[0])) t(p3, p4, p5) "
            "GROUP BY filter(p5, x -> x > 0), filter(p4, x -> x > 0)",
            [([], [2])],
        ),
        (f"SELECT DECIMAL '{_LARGE}' - DECIMAL '{_NEAR}'", [(_SUM,)]),
        (
            f"SELECT d - e, d FROM (VALUES (DECIMAL '{_LARGE}', DECIMAL '{_NEAR}'), "
            "(2, DECIMAL '0.5'), (NULL, DECIMAL '0.5')) t(d, e)",
            [
                (_SUM, Decimal(_LARGE)),
                (Decimal("1.5"), Decimal(2)),
                (None, None),
            ],
        ),
        (
            "SELECT t.a FROM t JOIN u ON t.a = u.a WHERE CAST(t.b AS integer) > 0 AND t.a > 0",
            [(1,)],
        ),
        (
            "SELECT t.a FROM t, u WHERE t.a = u.a AND 1 < CAST(t.b AS integer) AND u.c <> 'x'",
            [(1,)],
        ),
        (f"SELECT date_format(CAST('{_BLANKS}2013-02-02{_BLANKS}' AS date), '%d')", [("02",)]),
        (
            f"SELECT CAST(CAST(v AS date) AS varchar) FROM (VALUES '{_BLANKS}2013-2-2') t(v)",
            [("2013-02-02",)],
        ),
        (
            "SELECT k, l FROM t MATCH_RECOGNIZE (ORDER BY a MEASURES "
            "true OR MATCH_NUMBER() / 0 > 0 AS k, bool_or(1 / a > 9 AND false) AS l "
            "PATTERN (A+) DEFINE A AS 1 / MATCH_NUMBER() = 1 OR true)",
            [(True, False)],
        ),
        ("SELECT a FROM t o WHERE EXISTS (SELECT max(o.a) FROM u)", [(0,), (1,), (2,)]),
        (
            "SELECT a FROM t o WHERE EXISTS (SELECT 1 FROM u GROUP BY u.a HAVING max(o.a) > 1)",
            [(2,)],
        ),
        (
            "SELECT o.a, n FROM t o CROSS JOIN LATERAL "
            "(SELECT count(o.a) AS n FROM u WHERE u.a = o.a)",
            [(0, 1), (1, 1), (2, 0)],
        ),
    ],
)
def test_a_statement_that_trino_takes_is_taken(
    session: DuckDBSession, statement: str, rows: list[tuple[Any, ...]]
) -> None:
    assert _rows(session, statement) == rows


def test_columns_named_as_the_names_that_we_make_are_told_apart(session: DuckDBSession) -> None:
    with pytest.raises(RunFailed) as failed:
        _rows(
            session,
            "SELECT filter(p4, x -> x > 0) FROM (VALUES (ARRAY[1], ARRAY[2], ARRAY[0])) "
            "t(p3, p4, p5) GROUP BY filter(p5, x -> x > 0)",
        )
    assert failed.value.failure.message.startswith("'p4' must be an aggregate expression")


def test_a_cast_that_fails_for_a_row_of_the_join_fails(session: DuckDBSession) -> None:
    with pytest.raises(Exception, match="Cannot cast 'x' to INT"):
        _rows(session, "SELECT t.a FROM t JOIN u ON t.a = u.a WHERE CAST(t.b AS integer) > 0")

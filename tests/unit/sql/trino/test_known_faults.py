"""Statements that once gave another value than a real Trino 476, which gave these."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import open_session
from queryrun.errors import FailureCode
from tests.unit.sql.trino.translation import failure


def _row(tmp_path: Path, statement: str) -> tuple[object, ...]:
    limits = EngineLimits(256 * 1024**2, 1, str(tmp_path), 64 * 1024**2)
    (tmp_path / "data").mkdir()
    session = open_session({"data_dir": str(tmp_path / "data"), "dialect": "trino"}, limits)
    rows = session.plan(statement)
    found = rows.connection.execute(f"SELECT * FROM (\n{rows.relation})").fetchall()
    session.close()
    return tuple(found[0])


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT round(1.115e0, 2), round(1.005e0, 2), round(-1.115e0, 2)", (1.12, 1.0, -1.12)),
        ("SELECT round(0.285e0, 2), round(1e300, 2), round(123.456e0, -1)", (0.28, 1e300, 120.0)),
        ("SELECT CAST(1.005e0 AS decimal(10,2))", (Decimal("1.01"),)),
        ("SELECT 0x1F, 0b101, 0o17, 1_000", (31, 5, 15, 1000)),
        (
            "SELECT width_bucket(5e0, 10e0, 0e0, 5), width_bucket(15e0, 10e0, 0e0, 5),"
            " width_bucket(0e0, 10e0, 0e0, 5), width_bucket(10e0, 10e0, 0e0, 5)",
            (3, 0, 5, 0),
        ),
        ("SELECT max(x), min(x) FROM (VALUES nan(), 1e0, 2e0) t(x)", (2.0, 1.0)),
        ("SELECT regexp_replace('abc', '(b)', '$10')", ("ab0c",)),
        ("SELECT year(date_parse('69', '%y')), year(date_parse('70', '%y'))", (2069, 1970)),
        (
            "SELECT to_unixtime(TIMESTAMP '2024-11-03 01:30:00 America/New_York'),"
            " to_unixtime(date_add('day', -1, TIMESTAMP '2024-11-04 01:30:00 America/New_York'))",
            (1730611800.0, 1730615400.0),
        ),
        (
            "SELECT sequence(DATE '2024-01-31', DATE '2024-03-31', INTERVAL '1' MONTH)",
            ([date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)],),
        ),
        ("SELECT regexp_split('a1b', '')", (["", "a", "1", "b", ""],)),
        (
            "SELECT count(*) FROM (SELECT a FROM (VALUES 1, 1, 2) t(a)"
            " GROUP BY DISTINCT ROLLUP(a), ROLLUP(a))",
            (3,),
        ),
        (
            "SELECT TRY_CAST(DATE '2013-02-02' AS varchar(9)), CAST(DATE '2013-02-02' AS varchar)",
            (None, "2013-02-02"),
        ),
        (
            "SELECT count(*) FROM (SELECT nullif(floor(random() * 3), 2) AS v"
            " FROM UNNEST(sequence(1, 9999))) WHERE v = 2",
            (0,),
        ),
    ],
)
def test_the_value_is_that_of_trino(
    tmp_path: Path, statement: str, expected: tuple[object, ...]
) -> None:
    assert _row(tmp_path, statement) == expected


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT 12abc", FailureCode.SYNTAX_ERROR),
        ("SELECT a@b FROM (VALUES 1) t(a)", FailureCode.SYNTAX_ERROR),
        ("SELECT listagg(x, ',') FROM (VALUES 'a') t(x)", FailureCode.SYNTAX_ERROR),
        ("WITH a AS (SELECT 1), A AS (SELECT 2) SELECT * FROM a", FailureCode.TYPE_MISMATCH),
        ("SELECT ARRAY[1] || NULL", FailureCode.TYPE_MISMATCH),
        ("SELECT date_parse('69', '%h')", FailureCode.NOT_SUPPORTED),
        ("SELECT TIMESTAMP '2024-01-01 12:00:00 asia/tokyo'", FailureCode.INVALID_VALUE),
    ],
)
def test_what_trino_refuses_or_reads_otherwise_has_no_value(
    statement: str, code: FailureCode
) -> None:
    assert failure(statement).code is code

"""Faults that Trino's own tests and generated expressions found, each by an example of its kind.

What each gives is what a real Trino 476 gave.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from queryrun.errors import FailureCode
from tests.differential.engine_harness import DuckDBSide
from tests.differential.engine_harness import side as side  # a fixture


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT ARRAY[1] || CAST(NULL AS integer), ARRAY[1] || 2", [(None, [1, 2])]),
        ("SELECT concat(ARRAY[1], ARRAY[2], NULL)", [(None,)]),
        ("SELECT array_intersect(ARRAY[8, 1, 5], ARRAY[4, 5, 8, 9])", [([5, 8],)]),
        ("SELECT array_remove(ARRAY[1e0, NULL], nan())", [([1.0, None],)]),
        ("VALUES CAST(ROW(1, 2) AS row(integer, integer)), (3, 4)", [(1, 2), (3, 4)]),
        ("SELECT r[1] FROM (VALUES ROW(ROW(1, 2))) t(r)", [(1,)]),
        (
            "SELECT * FROM (VALUES (1, 'a')) t(x, y) UNION ALL CORRESPONDING "
            "SELECT * FROM (VALUES ('b', 2, 3)) t(y, x, z)",
            [(1, "a"), (2, "b")],
        ),
        ("SELECT a FROM (VALUES 1) t(a) GROUP BY DISTINCT GROUPING SETS ((a), (t.a))", [(1,)]),
        ("SELECT CAST(a AS date) FROM (VALUES ' +2013-02-02') t(a)", [(date(2013, 2, 2),)]),
        ("SELECT CAST(REAL '1234567940' AS decimal(20,1))", [(Decimal("1234568000.0"),)]),
        ("SELECT CAST(REAL '3.4e38' AS bigint)", [(2**63 - 1,)]),
        (
            "SELECT DECIMAL '200000000000000000000000000000000000' / DECIMAL '0.30'",
            [(Decimal("666666666666666666666666666666666666.67"),)],
        ),
        ("SELECT bitwise_left_shift(CAST(NULL AS bigint), 100)", [(None,)]),
        (
            "SELECT substr('abc', -9223372036854775808), substr('abc', 9223372036854775807)",
            [("",) * 2],
        ),
        (
            "SELECT sequence(DATE '2020-01-02', DATE '2020-01-01')",
            [([date(2020, 1, 2), date(2020, 1, 1)],)],
        ),
        ("SELECT substr('a', 9, CAST(NULL AS bigint)), substr('a', 0, NULL)", [(None, None)]),
        ("SELECT [1, 2][2], DOUBLE PRECISION '1.5'", [(2, 1.5)]),
        ("SELECT regexp_like('b', '^[a[b]]$'), regexp_like('b]', '^[a[b]]$')", [(True, False)]),
        (
            "SELECT regexp_extract('x-', '[a[x[y]]][-]'), regexp_count('a[', '[[:alpha:]]')",
            [("x-", 1)],
        ),
        ("SELECT json_value('1e999', 'lax $ * 2' RETURNING varchar)", [("Infinity",)]),
        (
            "SELECT url_extract_port('http://a:99999999999/'), url_extract_port('http://a:0/')",
            [(None, 0)],
        ),
        (
            "SELECT timezone(TIMESTAMP '2020-01-01 00:00:00 UTC' AT TIME ZONE 'america/new_york')",
            [("America/New_York",)],
        ),
    ],
)
def test_a_kind_of_fault_stays_closed(side: DuckDBSide, sql: str, rows: list[Any]) -> None:
    found = side.run(sql)
    assert found.failure is None
    assert found.rows == rows


@pytest.mark.parametrize(
    ("sql", "code", "message"),
    [
        (
            "SELECT sequence(DATE '2016-04-12', DATE '2016-04-14', INTERVAL '-1' DAY)",
            FailureCode.INVALID_VALUE,
            "sequence stop value should be greater than or equal to start value",
        ),
        (  # not computed first: a hundred gigabytes
            "SELECT sequence(1, 9000000000000000)",
            FailureCode.INVALID_VALUE,
            "result of sequence function must not have more than 10000 entries",
        ),
        ("SELECT round(5, -100)", FailureCode.INVALID_VALUE, "numerical overflow"),
        ("SELECT DATE '-2013-02-02'", FailureCode.NOT_SUPPORTED, "A date before the year 1"),
        (
            "SELECT EXTRACT(MILLISECOND FROM TIME '12:34:56')",
            FailureCode.SYNTAX_ERROR,
            "Invalid EXTRACT field MILLISECOND, valid fields are: YEAR",
        ),
        (
            "SELECT * FROM (VALUES 1) t(x) LEFT JOIN (VALUES 1) u(y) ON u.y IN (VALUES t.x)",
            FailureCode.NOT_SUPPORTED,
            "Reference to column 't.x' from outer scope not allowed in this context",
        ),
        (
            "SELECT TIMESTAMP '2020-01-01' AT TIME ZONE 'Foo/Bar'",
            FailureCode.INVALID_VALUE,
            "'Foo/Bar' is not a valid time zone",
        ),
        ("SELECT CAST(1e30 AS bigint)", FailureCode.INVALID_VALUE, "Unable to cast 1.0E30 to"),
        (
            "SELECT contains(ARRAY[ARRAY[1, NULL]], ARRAY[1, 2])",
            FailureCode.INVALID_VALUE,
            "contains does not support arrays with elements that are null or contain null",
        ),
    ],
)  # fmt: skip
def test_a_failure_has_the_words_of_trino(
    side: DuckDBSide, sql: str, code: FailureCode, message: str
) -> None:
    failure = side.run(sql).failure
    assert failure is not None
    assert failure.code is code
    assert failure.message.startswith(message)

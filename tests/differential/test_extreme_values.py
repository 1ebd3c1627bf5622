"""Functions at the ends of their types. What is expected is what a real Trino 476 made of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from queryrun.errors import FailureCode
from tests.differential.engine_harness import DuckDBSide
from tests.differential.engine_harness import side as side  # a fixture

NAN, INF = math.nan, math.inf
LOWEST = "-9223372036854775807 - 1"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cosine_similarity(ARRAY[1e308], ARRAY[1e308])", NAN),
        ("cosine_similarity(ARRAY[1e308, 1e0], ARRAY[1e0, 1e0])", 0.0),
        ("cosine_similarity(ARRAY[1e100], ARRAY[1e100])", 0.0),
        ("cosine_similarity(ARRAY[1e-100], ARRAY[1e-100])", INF),
        ("cosine_distance(ARRAY[1e308, 1e0], ARRAY[1e0, 1e0])", 1.0),
        ("cosine_similarity(ARRAY[nan(), NULL], ARRAY[1e0, 2e0])", None),
        ("t_pdf(0e0, 1234567890e0)", 0.3989426195420918),
        ("t_pdf(1e0, 1e7)", 0.24197071497095987),
        ("t_pdf(0e0, 1e308)", NAN),
        ("width_bucket(0e0, 2e0, 1e0, 9223372036854775807)", -(2**63)),
        ("width_bucket(1.5e0, 2e0, 1e0, 9223372036854775807)", 2**62),
        ("width_bucket(0e0, -1.7e308, 1.7e308, 10)", 0),
        ("width_bucket(1e308, 1.7e308, -1.7e308, 10)", 11),
        ("width_bucket(infinity(), 1e0, 2e0, 5)", 6),
        ("width_bucket(-infinity(), 2e0, 1e0, 5)", 6),
        ("width_bucket(0e0, ARRAY[3e0, 4e0, infinity()])", 0),
        ("width_bucket(-1e0, ARRAY[NULL, 1e0])", 0),
        (f"to_base({LOWEST}, 36)", "-1y2p0ij32e8e8"),
        (f"substr(X'00ff', {LOWEST})", b""),
        (f"substr(X'00ff', {LOWEST}, {LOWEST})", b""),
        ("substr(X'00ff', 1, 9223372036854775807)", b"\x00\xff"),
        ("from_utf8(X'ff41', 0)", "\x00A"),
        ("from_utf8(X'41', -1)", "A"),
        (f"from_utf8(X'00ff', {LOWEST})", "\x00\x00"),
        ("nan() BETWEEN 0.5e0 AND CAST(NULL AS double)", None),
        ("nan() NOT BETWEEN NULL AND 0.5e0", None),
        ("0e0 BETWEEN 0.5e0 AND CAST(NULL AS double)", False),
        ("1e0 BETWEEN CAST(NULL AS double) AND 0.5e0", False),
        (
            "date_diff('day', TIMESTAMP '1969-12-31 23:59:59.999 UTC',"
            " TIMESTAMP '2021-03-27 21:30:00.000 America/New_York')",
            18714,
        ),
        (
            "date_diff('day', TIMESTAMP '1969-12-31 23:59:59.999 America/New_York',"
            " TIMESTAMP '2021-03-28 01:30:00.000 UTC')",
            18713,
        ),
        (
            "date_diff('month', TIMESTAMP '2020-01-31 23:30:00.000 America/New_York',"
            " TIMESTAMP '2020-03-01 00:10:00 UTC')",
            0,
        ),
    ],
)
def test_a_value_at_an_end_is_that_of_trino(
    side: DuckDBSide, expression: str, expected: Any
) -> None:
    found = side.run(f"SELECT {expression}")
    assert found.failure is None, found.failure
    ((value,),) = found.rows
    if isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(value)
    else:
        assert value == expected
        assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "width_bucket(5e0, 1e0, 2e0, 9223372036854775807)",
            "Bucket for value 5.0 is out of range",
        ),
        (
            "width_bucket(1.5e0, ARRAY[3e0, 1e0, 2e0])",
            "Bin values are not sorted in ascending order",
        ),
        ("from_utf8(X'ff', -1)", "Invalid code point 0xFFFFFFFF"),
        ("from_utf8(X'41', 1114112)", "Invalid replacement character"),
        ("from_utf8(X'41', 55296)", "Invalid replacement character"),
        ("date_parse('', '')", "Both printing and parsing not supported"),
        ("cosine_similarity(ARRAY[1e-200], ARRAY[1e-200])", "Vector magnitude cannot be zero"),
    ],
)
def test_a_value_beyond_an_end_fails_in_trinos_words(
    side: DuckDBSide, expression: str, message: str
) -> None:
    found = side.run(f"SELECT {expression}")
    assert found.failure is not None
    assert (found.failure.code, found.failure.message) == (FailureCode.INVALID_VALUE, message)


@pytest.mark.parametrize(
    "written",
    ["12", "2020", "2020-02-29", "2020-02-29T12", "2020-W10-1", "2020-060", "2020-2-9T1:0:0",
     "2020-02-29T12:00:00,5", "2020-02-29T12:00:00+0200", "2020-02-29T12:00:00.1234567891"],
)  # fmt: skip
def test_nanoseconds_are_of_a_whole_date_and_time_alone(side: DuckDBSide, written: str) -> None:
    found = side.run(f"SELECT from_iso8601_timestamp_nanos('{written}')")
    assert found.failure is not None
    assert found.failure.code is FailureCode.INVALID_VALUE
    read = f"from_iso8601_timestamp_nanos(concat('{written}', ''))"
    assert side.run(f"SELECT TRY({read}) IS NULL").rows == [(True,)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2020-02-29T12:00", "2020-02-29 12:00:00.000000000 UTC"),
        ("2020-02-29t12:00:00z", "2020-02-29 12:00:00.000000000 UTC"),
        ("2020-02-29T12:00:00.123456789+02:00", "2020-02-29 12:00:00.123456789 +02:00"),
        ("2020-02-29T12:00:00+02:00:00", "2020-02-29 12:00:00.000000000 +02:00"),
        ("+002020-02-29T12:00:00", "2020-02-29 12:00:00.000000000 UTC"),
    ],
)
def test_nanoseconds_are_read_as_java_reads_them(
    side: DuckDBSide, written: str, expected: str
) -> None:
    assert side.run(f"SELECT from_iso8601_timestamp_nanos('{written}')").rows == [(expected,)]


def test_null_in_one_row_is_no_fault_of_another(side: DuckDBSide) -> None:
    rows = "(VALUES ARRAY[2.5e0, -1e0], ARRAY[1e0, nan(), NULL], NULL) t(c)"
    for call in ("cosine_similarity(c, c)", "TRY(cosine_similarity(c, c))"):
        assert side.run(f"SELECT {call} FROM {rows}").rows == [(1.0,), (None,), (None,)]


def test_a_line_through_one_column_begins_at_zero(side: DuckDBSide) -> None:
    rows = "(VALUES 1234567890e0, 0.5e0, 1.115e0, -2.5e0, NULL) t(x)"
    assert side.run(f"SELECT regr_intercept(x, x) FROM {rows}").rows == [(0.0,)]


def test_one_infinite_number_has_no_variance(side: DuckDBSide) -> None:
    (row,) = side.run("SELECT var_pop(x), stddev_pop(x) FROM (VALUES infinity()) t(x)").rows
    assert all(math.isnan(value) for value in row)


@pytest.mark.parametrize(
    "query",
    [
        """SELECT TRY(json_array_get(x, 0)) FROM (VALUES JSON '["a"]', JSON '[1]') t(x)""",
        "SELECT TRY(format(x, 1)) FROM (VALUES '%99999999d', '%d') t(x)",
        "SELECT TRY(array_max(ARRAY[x])) FROM (VALUES ARRAY[1, NULL]) t(x)",
        "SELECT TRY(greatest(x, ARRAY[2])) FROM (VALUES ARRAY[1, NULL]) t(x)",
    ],
)
def test_try_makes_no_null_of_what_is_not_supported(side: DuckDBSide, query: str) -> None:
    failure = side.run(query).failure
    assert failure is not None
    assert failure.code is FailureCode.NOT_SUPPORTED
    assert side.run("SELECT TRY(json_array_get(JSON '[1]', 0))").rows == [("1",)]

"""What fails for any value: as in Trino when a row comes to it, and not before.

The expressions, and that Trino 476 does the same with each of them, were asked of a real Trino.
"""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode
from tests.differential.engine_harness import DuckDBSide, side

__all__ = ["side"]

_ROW = (
    "FROM (VALUES (DATE '2020-02-29', TIMESTAMP '2020-02-29 10:00:00.123', 'a,b', 5)) "
    "AS t(d, moment, s, n)"
)
_FAILING = {
    "date_add('eon', 1, d)": "'eon' is not a valid DATE field",
    "date_add('hour', n, d)": "'hour' is not a valid DATE field",
    "date_trunc('eon', moment)": "'eon' is not a valid TIMESTAMP field",
    "date_trunc('day', TIME '10:00:00')": "'day' is not a valid TIME field",
    "date_diff('minute', d, d)": "'minute' is not a valid DATE field",
    "format_datetime(moment, '')": "Invalid pattern specification: Pattern is null or empty",
    "format_datetime(moment, 'yyyy ZZ')": "format_datetime for TIMESTAMP type, cannot use 'Z'",
    "date_format(moment, '')": "Both printing and parsing not supported",
    "codepoint(CAST('' AS varchar(1)))": "Input string must be a single character string",
    "d + INTERVAL '1' HOUR": "Cannot add hour, minutes or seconds to a date",
    "d - INTERVAL '1' SECOND": "Cannot subtract hour, minutes or seconds from a date",
    "moment AT TIME ZONE 'Foo/Bar'": "'Foo/Bar' is not a valid time zone",
    "with_timezone(moment, 'Foo/Bar')": "'Foo/Bar' is not a valid time zone",
    "from_iso8601_timestamp('x')": 'Invalid format: "x"',
    "from_iso8601_date('x')": 'Invalid format: "x"',
    "CAST('x' AS timestamp(3) with time zone)": "Value cannot be cast to timestamp: x",
    "CAST('x' AS time(3) with time zone)": "Value cannot be cast to time with time zone: x",
    "split_part(s, ',', 0)": "Index must be greater than zero",
    "json_extract(s, '$[')": "Invalid JSON path: '$['",
    "json_extract_scalar(s, '$[')": "Invalid JSON path: '$['",
    "regexp_extract(s, '(a)', 2)": "Pattern has 1 groups. Cannot access group 2",
    "regexp_like(s, '(')": "",
    "s LIKE 'a' ESCAPE 'xy'": "Escape string must be a single character",
    "s LIKE 'ab' ESCAPE 'a'": "Escape character must be followed by '%', '_' or the escape",
}


@pytest.mark.parametrize(("expression", "message"), _FAILING.items())
def test_a_call_that_fails_for_any_value_fails_on_the_row_that_comes_to_it(
    side: DuckDBSide, expression: str, message: str
) -> None:
    failure = side.run(f"SELECT {expression} {_ROW}").failure
    assert failure is not None
    assert failure.code is FailureCode.INVALID_VALUE
    assert failure.message.startswith(message)


@pytest.mark.parametrize("expression", _FAILING)
@pytest.mark.parametrize(
    "unreached",
    [
        "TRY({})",
        "TRY(coalesce(CAST({} AS varchar), 'it was NULL'))",
        "TRY(({}) IS NULL)",
        "IF(n < 0, {})",
        "coalesce(IF(n > 0, NULL), IF(n < 0, {}))",
    ],
)
def test_try_and_a_branch_that_is_not_taken_keep_it_from_that(
    side: DuckDBSide, expression: str, unreached: str
) -> None:
    found = side.run(f"SELECT {unreached.format(expression)} {_ROW}")
    assert (found.failure, found.rows) == (None, [(None,)])


@pytest.mark.parametrize("expression", _FAILING)
def test_it_does_not_fail_where_there_is_no_row(side: DuckDBSide, expression: str) -> None:
    found = side.run(f"SELECT {expression} {_ROW} WHERE n < 0")
    assert (found.failure, found.rows) == (None, [])


@pytest.mark.parametrize(
    ("interval", "day"),
    [("INTERVAL '48' HOUR", "2020-03-02"), ("INTERVAL '1' HOUR", None), ("NULL", None)],
)
def test_a_date_moves_by_the_hours_that_are_whole_days(
    side: DuckDBSide, interval: str, day: str | None
) -> None:
    span = f"CAST({interval} AS interval day to second)"
    found = side.run(f"SELECT CAST(TRY(d + span) AS varchar) FROM (SELECT d, {span} span {_ROW})")
    assert (found.failure, found.rows) == (None, [(day,)])


def test_a_sum_of_integers_over_a_window_begins_again_at_the_other_end(side: DuckDBSide) -> None:
    rows = f"FROM (VALUES {2**63 - 1}, {2**63 - 2}) t(x)"
    found = side.run(f"SELECT sum(x) OVER (ORDER BY x) {rows}")
    assert found.rows == [(2**63 - 2,), (-3,)]
    assert side.run(f"SELECT sum(x) {rows}").failure is not None


@pytest.mark.parametrize(
    ("nanos", "moment"),
    [
        (f"{2**63}", "2262-04-11 23:47:16.854775808 UTC"),
        ("100000000000000000000", "5138-11-16 09:46:40.000000000 UTC"),
        ("100000000000000000000000000", None),
    ],
)
def test_nanoseconds_are_decimals_of_any_moment(
    side: DuckDBSide, nanos: str, moment: str | None
) -> None:
    call = f"TRY(from_unixtime_nanos(DECIMAL '{nanos}'))"
    assert side.run(f"SELECT CAST({call} AS varchar)").rows == [(moment,)]


@pytest.mark.parametrize(
    "expression",
    [
        "date_add('eon', 1, CAST(NULL AS date))",
        "date_add('hour', CAST(NULL AS bigint), d)",
        "date_diff('eon', moment, CAST(NULL AS timestamp))",
        "format_datetime(CAST(NULL AS timestamp), 'ZZ')",
        "d + CAST(NULL AS interval day to second)",
        "at_timezone(CAST(NULL AS timestamp with time zone), 'Foo/Bar')",
        "json_extract(CAST(NULL AS varchar), '$[')",
    ],
)
def test_nothing_fails_for_null(side: DuckDBSide, expression: str) -> None:
    found = side.run(f"SELECT {expression} {_ROW}")
    assert (found.failure, found.rows) == (None, [(None,)])


@pytest.mark.parametrize(
    "literal",
    [
        "DATE '2021-02-29'", "DATE 'x'", "BIGINT '9223372036854775808'", "TINYINT '128'",
        "DOUBLE 'x'", "BOOLEAN 'x'", "TIMESTAMP 'x'", "TIME 'x'", "JSON 'x'",
    ],
)  # fmt: skip
@pytest.mark.parametrize("statement", ["SELECT {}", "SELECT TRY({})", "SELECT IF(false, {})"])
def test_a_text_that_is_no_literal_of_its_type_is_refused_before_any_row(
    side: DuckDBSide, statement: str, literal: str
) -> None:
    failure = side.run(statement.format(literal)).failure
    assert failure is not None
    assert failure.code is FailureCode.INVALID_VALUE
    assert failure.message.endswith(f"is not a valid {literal.split()[0]} literal")
    assert failure.column == statement.index("{") + 1


@pytest.mark.parametrize(
    "literal",
    [
        "DATE ' 2020-02-29 '", "DATE '2020-2-1'", "BIGINT '-9223372036854775808'",
        "TINYINT '+127'", "DOUBLE 'NaN'", "REAL '1e5'", "BOOLEAN 'TRUE'",
    ],
)  # fmt: skip
def test_a_text_that_is_one_is_read(side: DuckDBSide, literal: str) -> None:
    assert side.run(f"SELECT {literal}").failure is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("from_unixtime(n, 'Foo/Bar')", "Time zone not supported: Foo/Bar"),
        ("json_exists('{', 'lax $.a' ERROR ON ERROR)", "conversion to JSON failed"),
        ("json_query('{', 'lax $.a' ERROR ON ERROR)", "conversion to JSON failed"),
    ],
)
def test_an_error_that_the_try_of_trino_does_not_catch_is_not_caught(
    side: DuckDBSide, call: str, message: str
) -> None:
    failure = side.run(f"SELECT {call} {_ROW}").failure
    assert failure is not None
    assert failure.message.startswith(message)
    failure = side.run(f"SELECT TRY({call}) {_ROW}").failure
    assert failure is not None
    assert failure.code is FailureCode.NOT_SUPPORTED


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ("x", "DAY"), ("1.5", "DAY"), ("2147483648", "SECOND"), ("178956971", "YEAR"),
        ("-2147483648", "MONTH"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("statement", ["SELECT {}", "SELECT TRY({})", "SELECT IF(false, {})"])
def test_an_interval_that_is_none_is_refused_before_any_row(
    side: DuckDBSide, statement: str, value: str, unit: str
) -> None:
    failure = side.run(statement.format(f"INTERVAL '{value}' {unit}")).failure
    assert failure is not None
    assert failure.message == f"Invalid INTERVAL {unit} value: {value}"


def test_two_signs_of_an_interval_are_none(side: DuckDBSide) -> None:
    found = side.run("SELECT CAST(INTERVAL -'-5' DAY AS varchar), INTERVAL '178956970' YEAR")
    assert found.failure is None
    assert found.rows[0][0] == "5 00:00:00.000"

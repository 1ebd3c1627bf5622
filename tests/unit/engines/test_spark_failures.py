"""Spark's errors become ours: code, place and text."""

from __future__ import annotations

import pytest

from queryrun.engines.spark.failures import BY_SQL_STATE, Scene, code_of, failure_of
from queryrun.engines.spark.said import Said
from queryrun.errors import FailureCode
from tests.unit.engines.spark_sql_states import COMMITTED

STATES = COMMITTED.read_text().split()
STATEMENT = "SELECT 1,\n nothing"
BEFORE = "SELECT * FROM (\n"


def test_every_sql_state_of_spark_is_decided() -> None:
    undecided = [s for s in STATES if s not in BY_SQL_STATE and s[:2] not in BY_SQL_STATE]
    assert not undecided


def test_nothing_is_decided_that_spark_does_not_say() -> None:
    """But for what its extensions say: 42501 is that of those that know rights."""
    known = {*STATES, *(state[:2] for state in STATES), "42501"}
    assert BY_SQL_STATE.keys() <= known


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Said("UNAVAILABLE"), FailureCode.ENGINE_UNAVAILABLE),
        (Said("DEADLINE_EXCEEDED"), FailureCode.ENGINE_UNAVAILABLE),
        (Said("DATA_LOSS"), FailureCode.ENGINE_UNAVAILABLE),
        (Said("CANCELLED"), FailureCode.STATEMENT_FAILED),
        (Said("INTERNAL"), FailureCode.STATEMENT_FAILED),
        (Said("INTERNAL", sql_state="HY000"), FailureCode.ENGINE_UNAVAILABLE),
        (Said("INTERNAL", sql_state="HY008"), FailureCode.STATEMENT_FAILED),
        (Said("INTERNAL", sql_state="42K09"), FailureCode.TYPE_MISMATCH),
        (
            Said(
                "INTERNAL",
                hierarchy=("org.apache.spark.SparkException", "java.lang.OutOfMemoryError"),
            ),
            FailureCode.MEMORY_LIMIT_EXCEEDED,
        ),
        (
            Said("INTERNAL", hierarchy=("org.apache.spark.SparkException",)),
            FailureCode.ENGINE_UNAVAILABLE,
        ),
    ],
)
def test_what_has_no_better_name_is_told_by_status_or_exception(
    said: Said, code: FailureCode
) -> None:
    assert code_of(said) is code


def test_a_place_is_that_in_the_statement_as_submitted() -> None:
    at = len(BEFORE) + STATEMENT.index("nothing")
    said = Said("INTERNAL", "…", "UNRESOLVED_COLUMN", "42703", {"objectName": "`nothing`"}, (at,))
    failure = failure_of(said, Scene(STATEMENT, BEFORE)).failure
    assert (failure.code, failure.line, failure.column) == (FailureCode.NAME_NOT_FOUND, 2, 2)
    assert failure.message == "Column 'nothing' cannot be resolved"


def test_a_place_outside_the_statement_is_not_told() -> None:
    """A query that does not end is noticed at our parenthesis behind it."""
    message = "[PARSE_SYNTAX_ERROR] Syntax error at or near ')'. SQLSTATE: 42601 (line 4, pos 0)"
    failure = failure_of(
        Said("INTERNAL", message, "PARSE_SYNTAX_ERROR", "42601"), Scene(STATEMENT, BEFORE)
    ).failure
    assert failure.line is None
    assert failure.message == "Syntax error at or near ')'."


def test_a_translated_statement_has_no_places() -> None:
    said = Said("INTERNAL", "…", "DIVIDE_BY_ZERO", "22012", offsets=(3,))
    assert failure_of(said, Scene(STATEMENT, is_translated=True)).failure.line is None


def test_a_message_is_what_happened_without_plans_traces_and_advice() -> None:
    message = (
        '[DIVIDE_BY_ZERO] Division by zero. If necessary set "spark.sql.ansi.enabled" to "false" '
        "to bypass this error. SQLSTATE: 22012\n== SQL (line 3, position 2) ==\n 1/id\n ^^^^\n"
    )
    failure = failure_of(
        Said("INTERNAL", message, "DIVIDE_BY_ZERO", "22012"), Scene(STATEMENT, BEFORE)
    ).failure
    assert (failure.message, failure.line, failure.column) == ("Division by zero.", 2, 2)


def test_what_is_about_the_cluster_is_not_passed_on() -> None:
    message = "[FAILED_READ_FILE] Error while reading file s3://secret/one.parquet. SQLSTATE: KD001"
    failure = failure_of(Said("INTERNAL", message, "FAILED_READ_FILE", "KD001"), Scene()).failure
    assert failure.code is FailureCode.DATA_UNREADABLE
    assert "secret" not in failure.message


def test_an_error_without_a_class_says_nothing_of_itself() -> None:
    said = Said("INTERNAL", "Lost task 0.3 (10.0.0.1 executor 2): java.lang.Foo\n\tat org.Bar")
    assert failure_of(said, Scene()).failure.message == "Spark could not run the statement"

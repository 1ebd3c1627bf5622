"""Spark's errors become ours: code, position and text."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from queryrun.engines.spark.error_details import SparkErrorDetails
from queryrun.engines.spark.failures import BY_SQL_STATE, ErrorContext, code_of, failure_of
from queryrun.errors import Failure, FailureCode
from queryrun.sql.compile.reading import read
from queryrun.sql.duckdb.translate import explained_at_engine
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
    ("details", "code"),
    [
        (SparkErrorDetails("UNAVAILABLE"), FailureCode.ENGINE_UNAVAILABLE),
        (SparkErrorDetails("DEADLINE_EXCEEDED"), FailureCode.ENGINE_UNAVAILABLE),
        (SparkErrorDetails("DATA_LOSS"), FailureCode.ENGINE_UNAVAILABLE),
        (SparkErrorDetails("CANCELLED"), FailureCode.STATEMENT_FAILED),
        (SparkErrorDetails("INTERNAL"), FailureCode.STATEMENT_FAILED),
        (SparkErrorDetails("INTERNAL", sql_state="HY000"), FailureCode.ENGINE_UNAVAILABLE),
        (SparkErrorDetails("INTERNAL", sql_state="HY008"), FailureCode.STATEMENT_FAILED),
        (SparkErrorDetails("INTERNAL", sql_state="42K09"), FailureCode.TYPE_MISMATCH),
        (
            SparkErrorDetails(
                "INTERNAL",
                hierarchy=("org.apache.spark.SparkException", "java.lang.OutOfMemoryError"),
            ),
            FailureCode.MEMORY_LIMIT_EXCEEDED,
        ),
        (
            SparkErrorDetails("INTERNAL", hierarchy=("org.apache.spark.SparkException",)),
            FailureCode.ENGINE_UNAVAILABLE,
        ),
    ],
)
def test_an_error_without_a_state_is_classified_by_status_or_exception(
    details: SparkErrorDetails, code: FailureCode
) -> None:
    assert code_of(details) is code


def test_a_position_is_that_in_the_statement_as_submitted() -> None:
    at = len(BEFORE) + STATEMENT.index("nothing")
    details = SparkErrorDetails(
        "INTERNAL", "…", "UNRESOLVED_COLUMN", "42703", {"objectName": "`nothing`"}, (at,)
    )
    failure = failure_of(details, ErrorContext(STATEMENT, BEFORE)).failure
    assert (failure.code, failure.line, failure.column) == (FailureCode.NAME_NOT_FOUND, 2, 2)
    assert failure.message == "Column 'nothing' cannot be resolved"


def test_a_position_outside_the_statement_is_not_reported() -> None:
    """A query that does not end is noticed at our parenthesis behind it."""
    message = "[PARSE_SYNTAX_ERROR] Syntax error at or near ')'. SQLSTATE: 42601 (line 4, pos 0)"
    failure = failure_of(
        SparkErrorDetails("INTERNAL", message, "PARSE_SYNTAX_ERROR", "42601"),
        ErrorContext(STATEMENT, BEFORE),
    ).failure
    assert failure.line is None
    assert failure.message == "Syntax error at or near ')'."


def test_a_translated_statement_has_no_positions() -> None:
    details = SparkErrorDetails("INTERNAL", "…", "DIVIDE_BY_ZERO", "22012", offsets=(3,))
    assert failure_of(details, ErrorContext(STATEMENT, is_translated=True)).failure.line is None


@pytest.mark.parametrize(
    ("error_class", "words", "statement"),
    [
        ("DIVIDE_BY_ZERO", "Division by zero. Use `try_divide` to tolerate", "SELECT\n 1/0"),
        ("REMAINDER_BY_ZERO", "Remainder by zero. Use `try_mod` to tolerate", "SELECT\n 1%0"),
    ],
)
def test_a_translated_statement_says_in_trinos_words_where_a_value_failed(
    error_class: str, words: str, statement: str
) -> None:
    message = f"[{error_class}] {words} divisor being 0 and return NULL instead. SQLSTATE: 22012"
    details = SparkErrorDetails("INTERNAL", message, error_class, "22012")
    parsed = read(statement)
    context = ErrorContext(
        parsed.text, is_translated=True, explained=partial(explained_at_engine, parsed)
    )
    expected = Failure(FailureCode.INVALID_VALUE, "Division by zero", 2, 3)
    assert failure_of(details, context).failure == expected
    of_a_table = partial(explained_at_engine, read("SELECT 1/id FROM t"))
    found = failure_of(details, replace(context, explained=of_a_table)).failure
    assert found == Failure(FailureCode.INVALID_VALUE, "Division by zero")


TRANSLATED = ErrorContext(STATEMENT, is_translated=True)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        (
            SparkErrorDetails(
                "INTERNAL", "…", "UNRESOLVED_ROUTINE", "42883", {"routineName": "`listagg`"}
            ),
            "it has no function 'listagg'",
        ),
        (
            SparkErrorDetails(
                "INTERNAL",
                "…",
                "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                "42703",
                {"objectName": "`q_r1`.`name`", "proposal": "`q_r2`.`id`"},
            ),
            "column 'name' cannot be used in this place. Is it grouped?",
        ),
        (
            SparkErrorDetails(
                "INTERNAL", "…", "UNRESOLVED_COLUMN", "42703", {"objectName": "`q_r1`.`c2`"}
            ),
            "a column cannot be used in this place. Is it grouped?",
        ),
        (
            SparkErrorDetails(
                "INTERNAL", "[X] The SQL type is not recognized. SQLSTATE: 42704", "X", "42704"
            ),
            "The SQL type is not recognized.",
        ),
        (
            SparkErrorDetails("INTERNAL", "[X] It cannot be cast. SQLSTATE: 42846", "X", "42846"),
            "It cannot be cast.",
        ),
        (
            SparkErrorDetails(
                "INTERNAL",
                "[PARSE_SYNTAX_ERROR] Syntax error at 'x'. SQLSTATE: 42601 (line 1)",
                "PARSE_SYNTAX_ERROR",
                "42601",
            ),
            "Syntax error at 'x'.",
        ),
    ],
)
def test_names_types_and_syntax_of_a_translated_statement_are_what_spark_lacks(
    details: SparkErrorDetails, message: str
) -> None:
    """Our compiler has found those of the statement itself before."""
    failure = failure_of(details, TRANSLATED).failure
    assert failure.code is FailureCode.NOT_SUPPORTED
    assert failure.message == f"Spark cannot run this statement: {message}"


@pytest.mark.parametrize(
    ("error_class", "state"),
    [
        ("TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        ("SCHEMA_NOT_FOUND", "42704"),
        ("CATALOG_NOT_FOUND", "42P08"),
    ],
)
def test_a_table_that_was_dropped_after_translation_is_not_found(
    error_class: str, state: str
) -> None:
    details = SparkErrorDetails(
        "INTERNAL", "[X] gone", error_class, state, {"relationName": "`a`.`b`"}
    )
    assert failure_of(details, TRANSLATED).failure.code is FailureCode.NAME_NOT_FOUND


@pytest.mark.parametrize(
    ("error_class", "state"),
    [
        ("MISSING_AGGREGATION", "42803"),
        ("INVALID_WHERE_CONDITION", "42903"),
        ("NESTED_AGGREGATE_FUNCTION", "42607"),
        ("WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE", "42601"),
        ("UNSUPPORTED_GROUPING_EXPRESSION", "42K0E"),
    ],
)
def test_rules_that_the_compiler_leaves_to_spark_are_the_statements_own(
    error_class: str, state: str
) -> None:
    failure = failure_of(
        SparkErrorDetails("INTERNAL", f"[{error_class}] why", error_class, state), TRANSLATED
    )
    assert failure.failure.code is FailureCode.TYPE_MISMATCH
    assert failure.failure.message == "why"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("42501", FailureCode.NOT_ALLOWED),
        ("42K03", FailureCode.DATA_UNREADABLE),
        ("22012", FailureCode.INVALID_VALUE),
        ("XX000", FailureCode.INTERNAL_ERROR),
    ],
)
def test_rights_data_and_values_are_the_same_for_a_translated_statement(
    state: str, code: FailureCode
) -> None:
    assert (
        failure_of(SparkErrorDetails("INTERNAL", "x", "X", state), TRANSLATED).failure.code is code
    )


@pytest.mark.parametrize("status", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
def test_a_rejected_token_is_reported_as_such(status: str) -> None:
    failure = failure_of(
        SparkErrorDetails(status, "Invalid token of s3cr3t"), ErrorContext()
    ).failure
    assert failure.code is FailureCode.ENGINE_UNAVAILABLE
    assert failure.message == "Spark does not accept the source's credentials"


def test_a_message_is_what_happened_without_plans_traces_and_advice() -> None:
    message = (
        '[ARITHMETIC_OVERFLOW] integer overflow. If necessary set "spark.sql.ansi.enabled" to '
        '"false" to bypass this error. SQLSTATE: 22003\n== SQL (line 3, position 2) ==\n'
        " 1+id\n ^^^^\n"
    )
    failure = failure_of(
        SparkErrorDetails("INTERNAL", message, "ARITHMETIC_OVERFLOW", "22003"),
        ErrorContext(STATEMENT, BEFORE),
    ).failure
    assert (failure.message, failure.line, failure.column) == ("integer overflow.", 2, 2)


def test_what_is_about_the_cluster_is_not_passed_on() -> None:
    message = "[FAILED_READ_FILE] Error while reading file s3://secret/one.parquet. SQLSTATE: KD001"
    failure = failure_of(
        SparkErrorDetails("INTERNAL", message, "FAILED_READ_FILE", "KD001"), ErrorContext()
    ).failure
    assert failure.code is FailureCode.DATA_UNREADABLE
    assert "secret" not in failure.message


def test_an_error_without_a_class_reveals_no_message() -> None:
    details = SparkErrorDetails(
        "INTERNAL", "Lost task 0.3 (10.0.0.1 executor 2): java.lang.Foo\n\tat org.Bar"
    )
    assert (
        failure_of(details, ErrorContext()).failure.message == "Spark could not run the statement"
    )

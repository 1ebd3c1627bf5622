"""`?` and `:name` stand for values alone, in every statement that has them."""

from __future__ import annotations

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile.reading import read
from queryrun.sql.guard.duckdb import check_statement
from queryrun.sql.guard.restrict import Facts, RowRules, restricted
from queryrun.sql.guard.verdict import Refusal
from queryrun.sql.parameters import Parameter
from queryrun.sql.trino.immediate import opened
from queryrun.sql.trino.markers import ParameterMismatchError, printed, values_of
from queryrun.sql.trino.records import ast

ONE = Parameter("n", "integer", "1")


def test_a_value_stands_in_the_tree_where_its_marker_did() -> None:
    values = values_of([Parameter("x", "varchar", "a'b"), Parameter("y", "date", "2024-01-31")])
    node = read("SELECT :x, :Y, :x", values).node
    assert isinstance(node, ast.Query)
    assert isinstance(node.body, ast.Select)
    assert [item.expr for item in node.body.items] == [
        ast.Literal("string", "a'b", 7),
        ast.TypedLiteral("date", "2024-01-31", 11),
        ast.Literal("string", "a'b", 15),
    ]


@pytest.mark.parametrize(
    "statement",
    ["SELECT ':n'", 'SELECT 1 AS ":n"', "SELECT 1 -- :n ?", "SELECT 1 /* ? */", "SELECT '?'"],
)
def test_texts_names_and_comments_have_no_markers(statement: str) -> None:
    assert read(statement).marks == []


def test_a_colon_of_json_is_no_marker() -> None:
    marks = read("SELECT JSON_OBJECT('a' : :n, 'b' : x)", values_of([ONE])).marks
    assert [mark.at for mark in marks] == [25]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT :m", "the parameter :m"),
        ("SELECT ?", "the parameter ?"),
        ("SELECT 1", "no parameter :n"),
        ("SELECT x FROM t LIMIT :n, :n", "should end here"),
    ],
)
def test_markers_without_values_and_values_without_markers_are_refused(
    statement: str, message: str
) -> None:
    with pytest.raises(RunFailed) as failed:
        read(statement, values_of([ONE]))
    assert message in failed.value.failure.message


@pytest.mark.parametrize("clause", ["ORDER BY :n", "GROUP BY :n", "GROUP BY (:n)", "ORDER BY (:n)"])
def test_a_value_is_no_position_of_a_column(clause: str) -> None:
    with pytest.raises(RunFailed) as failed:
        read(f"SELECT x FROM t {clause}", values_of([ONE]))
    assert failed.value.failure.code is FailureCode.NOT_SUPPORTED


@pytest.mark.parametrize("at", ["SELECT * FROM :n", "SELECT x AS :n FROM t", "SHOW TABLES LIKE ?"])
def test_a_value_is_no_name(at: str) -> None:
    with pytest.raises(RunFailed) as failed:
        read(at, values_of([ONE]))
    assert failed.value.failure.code is FailureCode.SYNTAX_ERROR


@pytest.mark.parametrize("value", ["-1", None])
def test_a_number_of_rows_is_a_whole_number(value: str | None) -> None:
    with pytest.raises(ParameterMismatchError) as failed:
        read("SELECT 1 LIMIT :n", values_of([Parameter("n", "bigint", value)]))
    assert "number of rows" in failed.value.failure.message


def test_the_text_for_an_engine_keeps_positions_and_quotes_values() -> None:
    values = values_of([Parameter("", "varchar", "x' OR '1'='1"), Parameter("", "bigint", "5")])
    statement = "SELECT\n?, nope FROM t LIMIT ?"
    parsed = read(statement, values)
    assert isinstance(parsed.node, ast.Query)
    found = restricted(
        statement,
        parsed.node,
        RowRules("include"),
        lambda tables: [Facts() for _ in tables],
        parsed.marks,
    )
    assert found.text == "SELECT\n 'x'' OR ''1''=''1' , nope FROM t LIMIT  5 "
    column = found.text.split("\n")[1].index("nope") + 1
    assert (found.position(2, column).line, found.position(2, column).column) == (2, 4)


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (Parameter("", ""), "NULL"),
        (Parameter("", "date"), "CAST(NULL AS date)"),
        (Parameter("", "decimal(5, 2)", "-1.5"), "CAST('-1.5' AS decimal(5, 2))"),
        (Parameter("", "varbinary", "AAEC"), "X'000102'"),
        (Parameter("", "boolean", "true"), "TRUE"),
        (Parameter("", "double", "NaN"), "DOUBLE 'NaN'"),
        (
            Parameter("", "timestamp with time zone", "2024-01-31T10:00:00Z"),
            "TIMESTAMP '2024-01-31 10:00:00 UTC'",
        ),
        (
            Parameter("", "array(integer)", "[1, null]"),
            "CAST(ARRAY[INTEGER '1', CAST(NULL AS integer)] AS array(integer))",
        ),
        (
            Parameter("", "array(timestamp(3) with time zone)", "[]"),
            "CAST(ARRAY[] AS array(timestamp(3) with time zone))",
        ),
    ],
)
def test_values_are_printed_as_complete_literals(parameter: Parameter, text: str) -> None:
    assert printed(values_of([parameter])[0].expr) == text


# --- EXECUTE IMMEDIATE ----------------------------------------------------------------------


def test_execute_immediate_has_a_statement_and_its_values() -> None:
    found = opened("/* x */ execute IMMEDIATE 'SELECT ''a'', ?' USING -1.5;")
    assert found.text == "SELECT 'a', ?"
    assert [printed(value.expr) for value in found.values] == ["(- 1.5)"]


def test_positions_within_are_those_of_the_submitted_text() -> None:
    statement = "EXECUTE IMMEDIATE 'SELECT ''a'',\n  nope'"
    found = opened(statement)
    assert found.position(1, found.text.index(",") + 1) == (1, statement.index(",") + 1)
    assert found.position(2, 3) == (2, 3)


@pytest.mark.parametrize(
    "value",
    ["(SELECT secret FROM t)", "now()", "x", "1 + 1", "ARRAY[(SELECT 1)]", "CAST(x AS bigint)"],
)
def test_using_takes_nothing_that_is_computed(value: str) -> None:
    with pytest.raises(RunFailed) as failed:
        opened(f"EXECUTE IMMEDIATE 'SELECT ?' USING {value}")
    assert "USING takes literals" in failed.value.failure.message


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("EXECUTE IMMEDIATE 'DELETE FROM t'", Refusal.NOT_READ_ONLY),
        ("EXECUTE IMMEDIATE 'SELECT 1; DROP TABLE t'", Refusal.SEVERAL_STATEMENTS),
        ("EXECUTE IMMEDIATE 'SELECT 1'; SELECT 2", Refusal.SEVERAL_STATEMENTS),
        ("EXECUTE IMMEDIATE 'SELECT ?'", Refusal.BAD_PARAMETERS),
        ("EXECUTE IMMEDIATE ''", Refusal.BLANK),
        ("EXECUTE prepared USING 1", Refusal.NOT_READ_ONLY),
        ("SELECT ?", Refusal.BAD_PARAMETERS),
    ],
)
def test_the_guard_sees_what_is_within(statement: str, refusal: Refusal) -> None:
    assert check_statement(statement, "trino").refusal is refusal


def test_the_guard_judges_the_kind_of_the_statement_within() -> None:
    verdict = check_statement("EXECUTE IMMEDIATE 'VALUES ?' USING 1", "trino")
    assert (verdict.kind, verdict.line, verdict.column) == ("values", 1, 20)


@pytest.mark.parametrize("guard", ["duckdb", "session"])
def test_an_engines_own_dialect_takes_no_parameters(guard: str) -> None:
    assert check_statement("SELECT ?", guard, [ONE]).refusal is Refusal.BAD_PARAMETERS

"""What of Trino's SQL may become a run: queries and metadata, one at a time, not too deep."""

from __future__ import annotations

import pytest

from queryrun.sql.guard.duckdb import check_statement
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS, Refusal, Verdict, within


def check(statement: str) -> Verdict:
    return check_statement(statement, "trino")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "select 1;",
        ";; SELECT 1 ; -- the end",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "VALUES 1, 2",
        "TABLE account",
        "((SELECT 1) UNION (SELECT 2))",
        "SHOW TABLES",
        "SHOW COLUMNS FROM account",
        "SHOW FUNCTIONS LIKE 'date%'",
        "SHOW SCHEMAS",
        "SHOW CATALOGS",
        "DESCRIBE account",
        "DESC account",
        "WITH FUNCTION f(x integer) RETURNS integer BEGIN SET x = 1; RETURN x; END SELECT f(1);",
    ],
)
def test_queries_and_metadata_are_accepted(statement: str) -> None:
    assert check(statement).accepted


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO account VALUES (1)",
        "UPDATE account SET id = 1",
        "DELETE FROM account",
        "MERGE INTO account USING invoice ON true WHEN MATCHED THEN DELETE",
        "CREATE TABLE x AS SELECT 1",
        "DROP TABLE account",
        "ALTER TABLE account ADD COLUMN x bigint",
        "TRUNCATE TABLE account",
        "CALL system.runtime.kill_query('x')",
        "SET SESSION x = 1",
        "USE data",
        "GRANT SELECT ON account TO me",
        "PREPARE p FROM SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE DELETE FROM account",
        "COPY account TO 'x'",
        "ATTACH 'x'",
        "WITH a AS (INSERT INTO account VALUES (1)) SELECT 1",
        "SELECT * FROM (DELETE FROM account)",
        "(DROP TABLE account)",
    ],
)
def test_everything_else_is_refused(statement: str) -> None:
    assert check(statement).refusal is Refusal.NOT_READ_ONLY


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("VALUES 1, 2", "values"),
        ("(VALUES 1)", "values"),
        ("WITH a AS (SELECT 1) VALUES 2", "values"),
        ("TABLE account", "values"),
        ("EXPLAIN SELECT 1", "explain"),
        ("EXPLAIN ANALYZE SELECT 1", "explain"),
        ("EXPLAIN (FORMAT JSON) SELECT 1", "explain"),
        ("SHOW SCHEMAS FROM owl", "schemas"),
        ("SHOW CATALOGS", "catalogs"),
        ("SHOW CREATE TABLE account", "create"),
        ("SHOW STATS FOR account", "stats"),
        ("SHOW STATS FOR (SELECT 1)", "stats"),
        ("SHOW SESSION", "session"),
        ("SHOW CURRENT ROLES", "session"),
        ("SELECT 1", ""),
        ("SELECT * FROM (VALUES 1)", ""),
        ("SHOW TABLES", ""),
        ("SHOW COLUMNS FROM explain", ""),
        ("DESCRIBE account", ""),
        ("SHOW FUNCTIONS", ""),
    ],
)
def test_kinds_beyond_the_contract_are_named(statement: str, kind: str) -> None:
    """A setting allows them; by default none is accepted (contract H9)."""
    verdict = check(statement)
    assert (verdict.accepted, verdict.kind) == (True, kind)
    refused = within(verdict, ())
    assert refused.accepted is not bool(kind)
    if kind:
        assert refused.refusal is Refusal.NOT_ALLOWED
        assert (refused.line, refused.column) == (1, 1 + statement.startswith("("))
    assert within(verdict, {kind}) == verdict


def test_the_refusal_names_the_word_and_its_position() -> None:
    verdict = check("WITH a AS (\n  DELETE FROM account) SELECT 1")
    assert "DELETE" in verdict.message
    assert (verdict.line, verdict.column) == (2, 3)


@pytest.mark.parametrize("statement", ["", "  ", ";", "-- nothing", "/* SELECT 1 */ ;"])
def test_a_statement_without_words_is_blank(statement: str) -> None:
    assert check(statement).refusal is Refusal.BLANK


@pytest.mark.parametrize("statement", ["SELECT 1; SELECT 2", "SELECT 1; DROP TABLE account"])
def test_several_statements_are_refused(statement: str) -> None:
    assert check(statement).refusal is Refusal.SEVERAL_STATEMENTS


def test_a_semicolon_in_a_literal_ends_nothing() -> None:
    assert check("SELECT ';' AS \";\" -- ;").accepted


@pytest.mark.parametrize("statement", ["SELEC 1", "SELECT FROM", "SELECT 'open", "SELECT `a`"])
def test_what_does_not_parse_becomes_a_failed_run(statement: str) -> None:
    """Bad SQL is the run's failure, not the request's (contract H8)."""
    assert check(statement).accepted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("(", ")"),
        ("- ", ""),
        ("NOT ", ""),
        ("CASE WHEN true THEN ", " END"),
        ("a[", "]"),
        ("abs(", ")"),
        ("ARRAY[", "]"),
        ("(SELECT ", ")"),
        ("transform(a, x -> ", ")"),
        ("CAST(CAST(1 AS ", ") AS x)"),
    ],
)
def test_nesting_without_end_is_refused_and_breaks_nothing(opening: str, closing: str) -> None:
    verdict = check(f"SELECT {opening * 10_000}1{closing * 10_000}")
    assert verdict.refusal is Refusal.TOO_COMPLEX or verdict.accepted
    assert not check(f"SELECT {opening * 10_000}").message or verdict.refusal


def test_nesting_as_people_write_it_is_accepted() -> None:
    assert check(f"SELECT {'(' * 60}1{')' * 60}").accepted
    assert check(f"SELECT {'abs(' * 60}1{')' * 60}").accepted


@pytest.mark.slow
def test_the_longest_statement_is_read() -> None:
    longest = "SELECT " + ",".join("1" for _ in range(200_000))
    assert check(longest).accepted
    assert check(" " * MAX_STATEMENT_CHARS + "1").refusal is Refusal.TOO_LONG


def test_the_semicolons_of_a_function_end_no_statement() -> None:
    function = "WITH FUNCTION f() RETURNS integer BEGIN DECLARE x integer; RETURN 1; END SELECT f()"
    assert check(function).accepted
    assert check(f"{function}; SELECT 2").refusal is Refusal.SEVERAL_STATEMENTS

"""The guard: what it accepts, what it refuses, and which position it reports."""

from __future__ import annotations

import duckdb
import pytest

from queryrun.sql.guard.duckdb import check_statement
from queryrun.sql.guard.verdict import MAX_STATEMENT_CHARS, Refusal
from queryrun.sql.nesting import MAX_NESTING

READS = [
    "SELECT 1",
    "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n",
    "VALUES (1, 'a'), (2, 'b')",
    "FROM account",
    "SHOW TABLES",
    "DESCRIBE account",
    "DESC account",
    "SUMMARIZE account",
    "SELECT * FROM information_schema.columns",
    "SELECT a FROM t UNION SELECT b FROM u INTERSECT SELECT 1 EXCEPT ALL SELECT 2 ORDER BY 1",
    "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a DESC NULLS LAST LIMIT 10 OFFSET 5",
    "SELECT * FROM t LIMIT 10 %",
    "SELECT * FROM t TABLESAMPLE 10 %",
    "SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS 2 PRECEDING), row_number() OVER w FROM t "
    "WINDOW w AS (ORDER BY a) QUALIFY row_number() OVER w = 1",
    "SELECT list_transform(l, lambda x: x + 1), l[1], l[1:2], s.a, {'a': 1}, MAP {'k': 1} FROM t",
    "SELECT [x * 2 FOR x IN l IF x > 1], CAST(a AS INTEGER[]), TRY_CAST(b AS DATE) FROM t",
    "SELECT CASE WHEN a BETWEEN 1 AND 2 THEN 1 END, a IN (SELECT 1), EXISTS (SELECT 1) FROM t",
    "SELECT a FROM t GROUP BY GROUPING SETS ((a), ()), CUBE (b) HAVING count(*) > 1",
    "SELECT * EXCLUDE (a) REPLACE (1 AS b), COLUMNS('c.*') FROM t",
    "SELECT * FROM t JOIN u USING (a) LEFT JOIN v ON t.b = v.b, LATERAL (SELECT t.a) x",
    "SELECT * FROM t PIVOT (sum(a) FOR b IN ('x', 'y'))",
    "SELECT * FROM t UNPIVOT (a FOR b IN (c, d))",
    "SELECT * FROM range(10), generate_series(1, 2), unnest([1, 2]) WITH ORDINALITY",
    "SELECT INTERVAL 1 DAY, DATE '2024-01-01', x'00', 1e10, #1, a COLLATE nocase FROM t",
    "SELECT j -> '$.x', j ->> 'x', a::TIMESTAMP AT TIME ZONE 'UTC', EXTRACT(year FROM d) FROM t",
]


@pytest.mark.parametrize("statement", READS)
def test_what_only_reads_is_accepted(statement: str) -> None:
    assert check_statement(statement).accepted


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "CREATE TABLE t (a INTEGER)",
        "DROP TABLE t",
        "ALTER TABLE t ADD COLUMN b INTEGER",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA version",
        "CALL pragma_version()",
        "EXPORT DATABASE 'x'",
        "BEGIN",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
        "PREPARE p AS SELECT 1",
        "USE memory",
        "VACUUM",
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
        "WITH x AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM x",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "WITH x AS (COPY (SELECT 1) TO '/tmp/x.csv') SELECT * FROM x",
    ],
)
def test_what_writes_is_refused(statement: str) -> None:
    assert check_statement(statement).refusal is Refusal.NOT_READ_ONLY


@pytest.mark.parametrize(
    "relation",
    [
        "read_csv('/etc/passwd')",
        "READ_PARQUET('x')",
        "system.main.read_text('x')",
        "glob('*')",
        "sniff_csv('x')",
        "query('SELECT 1')",
        "query_table('t')",
        "duckdb_secrets()",
        "duckdb_settings()",
        "pragma_database_size()",
        "duckdb_views",
        "sqlite_master",
        "pg_catalog.pg_views",
        "information_schema.views",
        "'people.csv'",
        "'people.csv.gz'",
        "'s3://bucket/people'",
        "'data/*.parquet'",
        '"/etc/passwd"',
    ],
)
def test_relations_beyond_the_callers_tables_are_refused_wherever_they_stand(relation: str) -> None:
    for statement in (
        f"SELECT * FROM {relation}",
        f"SELECT (SELECT count(*) FROM {relation})",
        f"WITH a AS (SELECT 1) SELECT * FROM a, LATERAL (SELECT * FROM {relation}) x",
        f"DESCRIBE SELECT * FROM {relation}",
    ):
        assert check_statement(statement).refusal is Refusal.NOT_ALLOWED, statement


@pytest.mark.parametrize(
    "call", ["current_setting('x')", "Current_Query()", "getvariable('x')", "nextval('s')"]
)
def test_functions_that_reveal_the_server_are_refused(call: str) -> None:
    verdict = check_statement(f"SELECT\n  'é', {call}")
    assert (verdict.refusal, verdict.line, verdict.column) == (Refusal.NOT_ALLOWED, 2, 8)


def test_the_content_of_a_literal_is_no_reason_to_refuse() -> None:
    statement = (
        """SELECT '"type":"INSERT_QUERY_NODE"', "function_name":'read_csv', 'DROP TABLE t; --'"""
    )
    assert check_statement(statement).accepted


@pytest.mark.parametrize("statement", ["SELEC 1", "SHOW COLUMNS FROM t", "SELECT (1", "SELECT 'a"])
def test_a_statement_that_does_not_parse_is_accepted_as_it_is(statement: str) -> None:
    """Its run fails with the engine's message, line and column (contract H8)."""
    verdict = check_statement(statement)
    assert verdict.accepted
    assert verdict.statement == statement


@pytest.mark.parametrize("statement", ["", " \n\t", ";", "-- nothing", "/* nothing */ ;"])
def test_a_blank_statement_is_refused(statement: str) -> None:
    assert check_statement(statement).refusal is Refusal.BLANK


@pytest.mark.parametrize("statement", ["SELECT 1; SELECT 2", "SELECT 1;; SELECT 2;", "SELECT 1; x"])
def test_several_statements_are_refused_or_do_not_parse(statement: str) -> None:
    verdict = check_statement(statement)
    parses = "x" not in statement
    assert verdict.refusal is (Refusal.SEVERAL_STATEMENTS if parses else None)


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1 ; ;\n", "SELECT 1"),
        ("SELECT 'é;' ; -- ; comment", "SELECT 'é;'"),
        ("SELECT 1 /* ; */ + 1 -- ;", "SELECT 1 /* ; */ + 1"),
        ("SELECT $$;$$;", "SELECT $$;$$"),
        ("\n  SELECT 1", "\n  SELECT 1"),
        ("; SELECT 1", "  SELECT 1"),
        ("/* a; */ ; SELECT 1", "/* a; */   SELECT 1"),
    ],
)
def test_only_what_surrounds_the_statement_is_taken_off(statement: str, kept: str) -> None:
    """What precedes it becomes blanks, so that positions in it do not change."""
    assert check_statement(statement).statement == kept


@pytest.mark.parametrize("character", ["\0", "\x07", "\x7f", "\ud800"])
def test_a_character_that_is_not_text_is_refused_with_its_position(character: str) -> None:
    verdict = check_statement(f"SELECT\n 'a{character}'")
    assert (verdict.refusal, verdict.line, verdict.column) == (Refusal.BAD_CHARACTER, 2, 4)


def test_a_statement_may_have_a_million_characters_and_no_more() -> None:
    longest = "SELECT '" + "x" * (MAX_STATEMENT_CHARS - 9) + "'"
    assert check_statement(longest).accepted
    assert check_statement(longest + " ").refusal is Refusal.TOO_LONG


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 10_000 + "1" + ")" * 10_000,
        "SELECT " + "[" * 10_000 + "1" + "]" * 10_000,
        "SELECT " + "abs(" * 10_000 + "1" + ")" * 10_000,
        "SELECT " + "NOT " * 10_000 + "true",
        "SELECT " + "1 + " * 10_000 + "1",
        "SELECT * FROM " + "(SELECT * FROM " * 10_000 + "t" + ")" * 10_000,
        "SELECT " + "CASE WHEN a THEN 1 ELSE " * 10_000 + "1" + " END" * 10_000,
    ],
    ids=["parentheses", "lists", "calls", "nots", "sums", "subqueries", "cases"],
)
def test_deep_nesting_is_refused(statement: str) -> None:
    assert check_statement(statement).refusal is Refusal.TOO_COMPLEX


def test_the_deepest_nesting_that_parses_is_checked() -> None:
    """A reader that recursed would break here; the tree is 500 levels deep."""
    depth = MAX_NESTING - 1
    inside = "SELECT * FROM read_csv('x')"
    statement = "SELECT * FROM (" * depth + inside + ")" * depth
    assert check_statement(statement).refusal is Refusal.NOT_ALLOWED


@pytest.mark.slow
def test_a_wide_statement_is_read_whole() -> None:
    statement = "SELECT " + ", ".join(f"a{n}" for n in range(20_000)) + " FROM glob('*')"
    assert check_statement(statement).refusal is Refusal.NOT_ALLOWED


def test_a_process_that_cannot_parse_accepts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even 'it does not parse, so let the engine say so': the error ends the guard."""

    def unable() -> duckdb.DuckDBPyConnection:
        raise duckdb.IOException("no memory, no descriptors, no anything")

    monkeypatch.setattr("queryrun.sql.guard.duckdb._connection", unable)
    with pytest.raises(duckdb.IOException):
        check_statement("DROP TABLE account")

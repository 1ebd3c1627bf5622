"""Whatever is written: a translation that DuckDB binds, or a failure in our words. Nothing else."""

from __future__ import annotations

from contextlib import suppress

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from queryrun.errors import Failure, RunFailed
from queryrun.sql.compile.reading import read
from queryrun.sql.duckdb.translate import Request, translate
from tests.unit.sql.trino.translation import SCHEMA

WORDS = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "HAVING",
    "JOIN",
    "ON",
    "USING",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "BETWEEN",
    "IS",
    "NULL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "UNION",
    "ALL",
    "WITH",
    "VALUES",
    "DISTINCT",
    "OVER",
    "PARTITION",
    "ARRAY",
    "ROW",
    "UNNEST",
    "account",
    "invoice",
    "id",
    "accountnumber",
    "balance",
    "createddate",
    "deleted",
    "a.id",
    "bigint",
    "varchar",
    "count",
    "sum",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    ",",
    ",",
    ".",
    "*",
    "+",
    "-",
    "/",
    "%",
    "||",
    "=",
    "<",
    "->",
    "1",
    "2.5",
    "1e3",
    "'x'",
    "'2020-01-01'",
    "DATE",
    "INTERVAL",
    "DAY",
    "true",
]
SEEDS = (
    "SELECT id, count(*) FROM account a JOIN invoice i ON a.id = i.accountid GROUP BY id",
    "SELECT CASE WHEN balance > 1 THEN 'x' ELSE accountnumber END FROM account ORDER BY 1",
    "WITH w AS (SELECT id FROM account) SELECT sum(id) OVER (PARTITION BY id) FROM w",
    "SELECT transform(ARRAY[1, 2], x -> x + 1), date_trunc('day', createddate) FROM account",
    "SELECT x FROM UNNEST(ARRAY[1, 2]) AS u(x) UNION ALL VALUES 1",
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A statement of people's with a few words lost, doubled or exchanged."""
    words = draw(st.sampled_from(SEEDS)).split()
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(words) - 1)) if words else 0
        change = draw(st.sampled_from(["lose", "put", "exchange"]))
        if change != "put":
            words[at : at + 1] = []
        if change != "lose":
            words.insert(at, draw(st.sampled_from(WORDS)))
    return " ".join(words)


@settings(max_examples=300, deadline=None)
@given(st.one_of(mutated(), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), st.text()))
def test_a_statement_is_translated_or_fails_with_our_own_message(statement: str) -> None:
    with suppress(RunFailed):
        sql, _ = translate(read(statement), SCHEMA, Request())
        assert len(duckdb.extract_statements(sql)) == 1


@settings(max_examples=150, deadline=None)
@given(mutated())
def test_a_failure_has_a_position_within_the_statement(statement: str) -> None:
    failed = failure_of(statement)
    if failed is not None:
        assert failed.line == 1
        assert failed.column is not None
        assert 1 <= failed.column <= len(statement) + 1


def failure_of(statement: str) -> Failure | None:
    """Why the statement is not translated; None when it is."""
    try:
        translate(read(statement), SCHEMA, Request())
    except RunFailed as failed:
        return failed.failure
    return None

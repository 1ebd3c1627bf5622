"""Row patterns and functions of a statement: their bounds, and what they cannot reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from queryrun.engines.duckdb.functions import row_patterns
from queryrun.engines.duckdb.functions.registry import FUNCTIONS, InputError, UnsupportedError
from queryrun.engines.duckdb.session import DuckDBSession
from queryrun.errors import FailureCode, RunFailed
from queryrun.sql.compile import routines
from queryrun.sql.duckdb.patterns.direct import DirectConditions
from tests.unit.engines.conftest import Open


@pytest.fixture
def trino(open_engine: Open, data_dir: Path) -> DuckDBSession:
    """A session over files."""
    return open_engine(data_dir=str(data_dir), dialect="trino")


def rows(session: DuckDBSession, statement: str) -> list[Any]:
    planned = session.plan(statement)
    return list(planned.connection.execute(f"SELECT * FROM ({planned.relation})").fetchall())


def program(**changed: object) -> str:
    """`A*` of rows without conditions, one row per match."""
    found = {
        "code": [["s", 1, 3], ["m", 0], ["s", 1, 3], ["e"]],
        "labels": ["A"],
        "tests": [None],
        "rows": "one",
        "skip": {"where": "past", "labels": []},
        "rows_of": [],
        "classifiers": [],
        "aggregates": [],
    }
    return json.dumps(found | changed)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT true FROM read_csv('/etc/passwd'), (SELECT unnest($1) AS v1)",
        "SELECT true FROM read_text('/etc/passwd'), (SELECT unnest($1) AS v1)",
        "SELECT true FROM glob('/etc/*'), (SELECT unnest($1) AS v1)",
    ],
)
def test_a_condition_reads_no_file(sql: str) -> None:
    test = {"local": None, "sql": sql, "slots": [{"kind": "number"}]}
    with pytest.raises(InputError, match="disabled by configuration"):
        FUNCTIONS["qr_match"].call(program(tests=[test]), 1, [], [])


def test_a_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FUNCTIONS["qr_match"].call(program(), 50, [], [])
    monkeypatch.setattr(row_patterns, "MAX_STEPS", 60)
    with pytest.raises(UnsupportedError, match="60 steps"):
        FUNCTIONS["qr_match"].call(program(), 50, [], [])


def test_what_aggregates_of_measures_are_of_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = program(rows="all", aggregates=[{"labels": None, "running": True}])
    assert len(FUNCTIONS["qr_match"].call(text, 20, [], [])) == 20
    monkeypatch.setattr(row_patterns, "MAX_ENTRIES", 100)
    with pytest.raises(UnsupportedError, match="100 rows"):
        FUNCTIONS["qr_match"].call(text, 20, [], [])


def test_a_pattern_that_grows_too_large_is_refused(trino: DuckDBSession) -> None:
    with pytest.raises(RunFailed) as refused:
        rows(
            trino,
            "SELECT * FROM (VALUES 1) t(v) "
            "MATCH_RECOGNIZE (MEASURES v AS x PATTERN ((A{100}){100}) DEFINE A AS true)",
        )
    assert refused.value.failure.code is FailureCode.NOT_SUPPORTED


def test_a_function_that_never_returns_fails(
    trino: DuckDBSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routines, "MAX_STEPS", 50)
    statement = (
        "WITH FUNCTION f(x integer) RETURNS integer BEGIN "
        "LOOP SET x = 1; END LOOP; RETURN x; END SELECT f(0)"
    )
    with pytest.raises(Exception, match="more than 50 steps"):
        rows(trino, statement)


@pytest.mark.parametrize("kind", ["BERNOULLI", "SYSTEM"])
def test_a_sample_has_about_as_many_rows_as_it_should(trino: DuckDBSession, kind: str) -> None:
    """Forty times the deviation of BERNOULLI; SYSTEM takes blocks of 2,048 rows, 195 of them."""
    numbers = "UNNEST(sequence(1, 10000)) a(x) CROSS JOIN UNNEST(sequence(1, 40)) b(y)"
    statement = f"SELECT count(*) FROM (SELECT x FROM {numbers}) t TABLESAMPLE {kind} (25)"
    ((found,),) = rows(trino, statement)
    assert 50_000 < found < 150_000


def test_a_sample_of_everything_has_every_row(trino: DuckDBSession) -> None:
    statement = (
        "SELECT count(*) FROM (SELECT x FROM UNNEST(sequence(1, 10000)) a(x)) t "
        "TABLESAMPLE BERNOULLI (100)"
    )
    assert rows(trino, statement) == [(10_000,)]


LONG = (
    "SELECT count(*), min(a), max(b) FROM (SELECT i, CAST(i * 7919 % 1013 AS {kind}) AS v "
    "FROM UNNEST(sequence(1, 4000)) t(i)) MATCH_RECOGNIZE (ORDER BY i "
    "MEASURES sum(A.v) AS a, sum(B.v) AS b ONE ROW PER MATCH PATTERN ((A | B)*) "
    "DEFINE A AS sum(A.v) - A.v <= sum(B.v))"
)


def test_a_running_sum_of_a_long_match_grows_by_a_row_at_a_time(
    trino: DuckDBSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requested(*_: object) -> list[bool]:
        raise AssertionError("DuckDB was requested")

    monkeypatch.setattr(row_patterns, "_evaluated", requested)
    sums = {"A": 0, "B": 0}
    for i in range(1, 4001):  # the first row is no A: the sum of no B at all is unknown
        label = "A" if i > 1 and sums["A"] <= sums["B"] else "B"
        sums[label] += i * 7919 % 1013
    for kind in ("integer", "bigint", "double"):
        assert rows(trino, LONG.format(kind=kind)) == [(1, sums["A"], sums["B"])]


CONDITIONS = (
    "sum(A.v) < 40", "count(*) <= 3", "avg(v) >= 2 OR NOT (max(A.v) > 5)", "min(v) <> A.v",
    "sum(v) - v * 2 < LAST(v, 1) + 3", "count(A.v) < 0.5e0 * count(*)", "avg(A.w) < 2.5",
    "sum(w) > -1.5e0 AND FIRST(w) <= max(B.w)", "PREV(v) + sum(v) <= 30 OR sum(B.w) IS NULL",
    "sum(A.w) = sum(A.v)", "MATCH_NUMBER() + count(B.*) < 4", "max(w) >= avg(A.v) + 0.25",
)  # fmt: skip


def test_conditions_decided_here_are_those_that_duckdb_decides(
    trino: DuckDBSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = ", ".join(
        f"({i}, {'NULL' if i % 7 == 3 else i * 31 % 11 - 2}, "
        f"{'NULL' if i % 5 == 4 else 'nan()' if i == 9 else f'{i * 17 % 13 - 4}.5e0'})"
        for i in range(20)
    )
    statements = [
        f"SELECT * FROM (VALUES {values}) t(i, v, w) MATCH_RECOGNIZE (ORDER BY i MEASURES "
        "CLASSIFIER() AS c, MATCH_NUMBER() AS m ALL ROWS PER MATCH AFTER MATCH SKIP TO NEXT ROW "
        f"PATTERN (A+? (B | A)* C?) DEFINE A AS {condition}, C AS {condition.replace('A.', 'C.')})"
        for condition in CONDITIONS
    ]
    here = [rows(trino, statement) for statement in statements]
    monkeypatch.setattr(DirectConditions, "question", lambda *_: None)
    assert here == [rows(trino, statement) for statement in statements]

"""Statements in Trino's SQL return on DuckDB what a real Trino 476 returned, or are refused.

The results are recorded (`judge.py`): no Trino runs here.
"""

from __future__ import annotations

import pytest

from tests.differential.generate import statements
from tests.differential.generate_queries import queries
from tests.differential.outcome import DIFFERENT, EQUAL, Outcome
from tests.differential.page import PAGE, render
from tests.differential.suite import TPCDS, cases, recorded

pytestmark = pytest.mark.xdist_group("differential")


def test_every_statement_has_a_recorded_result() -> None:
    """On failure: `python -m tests.differential.judge`, which runs them on a Trino."""
    recorded_results = recorded()
    assert not [case.id for case in cases() if case.sql not in recorded_results]


def test_the_suite_has_at_least_500_statements_and_no_two_alike() -> None:
    statements = [case.sql for case in cases()]
    assert len(statements) >= 500
    assert len(set(statements)) >= len(statements) - 10


def test_the_generated_statements_are_what_the_generator_writes() -> None:
    """On failure: `python -m tests.differential.generate` or `generate_queries`, then the judge."""
    assert [case.sql for case in cases() if case.group == "generated"] == statements()
    assert [case.sql for case in cases() if case.group == "generated_queries"] == queries()


def test_no_statement_gives_a_different_result(outcomes: dict[str, Outcome]) -> None:
    different = {
        case.id: (case.sql, outcomes[case.id].note)
        for case in cases()
        if outcomes[case.id].verdict == DIFFERENT
    }
    assert not different


def test_at_least_95_of_100_statements_are_equal(outcomes: dict[str, Outcome]) -> None:
    equal = sum(found.verdict == EQUAL for found in outcomes.values())
    assert equal >= 0.95 * len(outcomes)


def test_every_query_of_tpch_is_equal(outcomes: dict[str, Outcome]) -> None:
    tpch = [case for case in cases() if case.group == "tpch"]
    assert len(tpch) == 22
    assert {outcomes[case.id].verdict for case in tpch} == {EQUAL}


def test_every_query_of_tpcds_is_equal(outcomes: dict[str, Outcome]) -> None:
    """More than half of them find rows; a result without rows proves little."""
    recorded_results = recorded()
    tpcds = [case for case in cases() if case.group == TPCDS]
    assert len(tpcds) == 99
    assert {outcomes[case.id].verdict for case in tpcds} == {EQUAL}
    assert sum(bool(recorded_results[case.sql].rows) for case in tpcds) > 60


def test_the_committed_page_matches_the_suite(outcomes: dict[str, Outcome]) -> None:
    """On failure: `python -m tests.differential.page`, and read the difference."""
    assert PAGE.read_text(encoding="utf-8") == render(outcomes, cases())

"""Statements in Trino's SQL return on Spark what a real Trino 476 returned, or are refused.

A sample runs here; `python -m tests.differential.spark` runs everything and records it.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.differential.outcome import DIFFERENT, EQUAL, REFUSED
from tests.differential.spark import outcomes_on, report
from tests.differential.spark_record import Record, read_record
from tests.differential.spark_side import spark_sides
from tests.differential.suite import TPCDS, cases, recorded
from tests.spark_server import SparkServer, spark_server

__all__ = ["spark_server"]

pytestmark = pytest.mark.xdist_group("spark_server")
_EVERY = 46
"""One statement in so many is asked; a Spark that starts takes its time for each."""
_TPCDS_EVERY = 66


@pytest.fixture(scope="module")
def written() -> Record:
    """What is recorded of a Spark."""
    return read_record()


def test_every_statement_has_been_run_on_a_spark(written: Record) -> None:
    """On failure: `python -m tests.differential.spark --url … --record`."""
    completed = recorded()
    assert not [c.id for c in cases() if c.sql in completed and written.of(c) is None]


def test_translations_are_those_that_ran_on_a_spark(written: Record) -> None:
    """On failure: the same command; another text may have another result."""
    changed = [
        case.id
        for case in cases()
        if (entry := written.of(case)) is not None and entry.digest != written.digest(case)
    ]
    assert not changed


def test_no_statement_gave_a_different_result_on_spark(written: Record) -> None:
    verdicts = {case.id: entry.verdict for case in cases() if (entry := written.of(case))}
    assert not [case for case, verdict in verdicts.items() if verdict == DIFFERENT]


def test_at_least_90_of_100_statements_were_equal_on_spark(written: Record) -> None:
    """Of every group; what Spark has no form for, as MATCH_RECOGNIZE, counts as refused."""
    counts = Counter(entry.verdict for case in cases() if (entry := written.of(case)))
    assert counts[EQUAL] >= 0.90 * counts.total(), "the others are refused by name"


def test_every_query_of_tpch_was_equal_on_spark(written: Record) -> None:
    entries = [written.of(case) for case in cases() if case.group == "tpch"]
    assert [entry.verdict for entry in entries if entry] == [EQUAL] * 22


@pytest.mark.timeout(600)
def test_a_sample_of_statements_gives_the_same_results_on_spark(
    spark_server: SparkServer, written: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Equal where the record has it as equal. The first use of the server is slow."""
    recorded_entries = [case for case in cases() if written.of(case)]
    sample = [case for case in recorded_entries if case.schema != TPCDS][::_EVERY]
    sample += [case for case in recorded_entries if case.schema == TPCDS][::_TPCDS_EVERY]
    with spark_sides(spark_server.url, tmp_path_factory.mktemp("spark-suite")) as sides:
        found = outcomes_on(sides, sample)
    unlike = {
        case.id: found[case.id]
        for case in sample
        if (entry := written.of(case)) and found[case.id].verdict != entry.verdict
    }
    assert not unlike, report(found, sample)
    assert {one.verdict for one in found.values()} <= {EQUAL, REFUSED}

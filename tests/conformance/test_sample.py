"""A sample of the statements in Trino's own tests has Trino's results."""

from __future__ import annotations

import os

import pytest

from tests.conformance.extract import statements
from tests.conformance.fetch import found
from tests.conformance.run import our_side
from tests.conformance.sample import SIZE, sampled
from tests.conformance.verdicts import BOTH_FAIL, EQUAL, verdict

pytestmark = [pytest.mark.xdist_group("conformance"), pytest.mark.slow]


def test_a_sample_of_trino_s_own_statements_comes_out_as_in_trino() -> None:
    """On failure: `python -m tests.conformance show PATTERN` says more of one statement."""
    archives = found()
    if not archives:
        reason = "Trino's test sources are not there: make trino-server fetches them"
        if os.environ.get("CI") and not os.environ.get("WITHOUT_ENGINES"):
            pytest.fail(reason)
        pytest.skip(reason)
    requested = sampled(statements(archives))
    assert len(requested) == SIZE
    others = []
    with our_side() as side:
        for statement, trino in requested:
            one = verdict(statement.sql, trino, side.run(statement.sql))
            if one.verdict not in {EQUAL, BOTH_FAIL}:
                others.append((statement.sql, one.verdict, one.note))
    assert not others

"""Tests of one group stay on one worker: a second would start servers of its own for them."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("named-in-the-identifier")
def test_the_group_of_a_test_reaches_the_scheduler(
    request: pytest.FixtureRequest, worker_id: str
) -> None:
    """xdist reads it from the test's identifier. On failure pytest and xdist do not fit each other
    (pyproject.toml), and groups are scattered without a word."""
    if worker_id == "master" or not request.config.getvalue("loadgroup"):
        pytest.skip("not distributed with `--dist loadgroup`, as `make test` is")
    assert request.node.nodeid.endswith("@named-in-the-identifier")

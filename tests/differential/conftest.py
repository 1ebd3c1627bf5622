"""One run of the whole suite, shared by the tests that read it."""

from __future__ import annotations

import pytest

from tests.differential.outcome import Outcome
from tests.differential.page import run_suite


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The outcome of every statement, by its case's id."""
    return run_suite(tmp_path_factory.mktemp("suite"))

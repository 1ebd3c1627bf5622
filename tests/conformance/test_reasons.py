"""What is refused, or answered where Trino fails, is on the page with a reason."""

from __future__ import annotations

import json

import pytest

from tests.conformance.figures import FIGURES
from tests.conformance.reasons import reason


@pytest.mark.parametrize("kind", ["refused", "answers where Trino fails"])
def test_every_cause_that_the_judge_found_has_a_reason(kind: str) -> None:
    causes = [cause for cause, _ in json.loads(FIGURES.read_text("utf-8"))["left"][kind]]
    assert causes
    assert not [cause for cause in causes if not reason(kind, cause)]


def test_a_cause_that_nobody_knows_has_none() -> None:
    assert reason("refused", "not_supported: Something new is not supported") == ""

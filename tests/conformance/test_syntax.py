"""A statement of Trino's is one here, and what is a syntax error there is no statement here."""

from __future__ import annotations

import json

from queryrun.errors import FailureCode
from tests.conformance.syntax import SAMPLE, our_verdict


def test_changed_statements_are_syntax_errors_where_they_are_in_trino() -> None:
    """Recorded from Trino 476's own parser: `python -m tests.conformance syntax --figures`."""
    lines = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    wrong = [
        (line["sql"], verdict)
        for line in lines
        if _differs(line["is_statement"], verdict := our_verdict(line["sql"]))
    ]
    assert not wrong
    assert sum(line["is_statement"] for line in lines) > 100


def _differs(is_statement: bool, ours: str) -> bool:
    """A statement that we refuse by name was read; of two errors we may find another first."""
    if is_statement:
        return ours == FailureCode.SYNTAX_ERROR.value
    return ours == "ok"

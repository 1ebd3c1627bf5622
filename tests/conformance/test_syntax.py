"""A statement of Trino's is one here, and what is a syntax error there is no statement here."""

from __future__ import annotations

import json

from tests.conformance.syntax import SAMPLE, differs, our_verdict


def test_changed_statements_are_syntax_errors_where_they_are_in_trino() -> None:
    """Recorded from Trino 476's own parser: `python -m tests.conformance syntax --figures`."""
    lines = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    ours = {line["sql"]: our_verdict(line["sql"]) for line in lines}
    assert not [line for line in lines if differs(line["trino"], ours[line["sql"]])]
    assert sum(line["trino"].startswith("ok") for line in lines) > 100

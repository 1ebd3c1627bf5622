"""Statements as teams write them come out as on a real Trino 476, or are refused by name.

`engineers.jsonl` has our own statements with Trino's responses: sessions, funnels, gaps and
islands, JSON, zones at the ends of summer, formats of dates, windows, grouping sets and casts.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.sides import BoundedSide
from tests.conformance.verdicts import BOTH_FAIL, EQUAL, REFUSED, verdict
from tests.differential.suite import Recorded

pytestmark = [pytest.mark.xdist_group("conformance"), pytest.mark.slow]
_FILE = Path(__file__).parent / "engineers.jsonl"
_MAX_REFUSED = 12
"""Functions that are not built, which the page names."""


def test_what_teams_write_comes_out_as_in_trino(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    side = BoundedSide(tmp_path / "empty", tmp_path / "spill", ("tpch", "tiny"))
    refused, others = [], []
    for sql, trino in _recorded():
        one = verdict(sql, trino, side.run(sql))
        if one.verdict == REFUSED:
            refused.append(sql)
        elif one.verdict not in {EQUAL, BOTH_FAIL}:
            others.append((sql, one.verdict, one.note))
    side.close()
    assert not others
    assert len(refused) <= _MAX_REFUSED, refused


def _recorded() -> list[tuple[str, Recorded]]:
    found = []
    for line in _FILE.read_text("utf-8").splitlines():
        entry = json.loads(line)
        columns = [(name, kind) for name, kind in entry.get("columns", [])]
        error, message = entry.get("error", ""), entry.get("message", "")
        found.append((entry["sql"], Recorded(columns, entry.get("rows", []), error, message)))
    return found

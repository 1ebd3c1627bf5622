"""A fixed sample of what `make data-suite` compares, and that the oracles would notice."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from tests.data_suite import changing
from tests.data_suite.oracle import typed
from tests.data_suite.suite import Suite

CELLS = 3_000


def test_no_cell_of_the_sample_differs_silently(tmp_path: Path) -> None:
    outcome = Suite(tmp_path / "suite", seed=1).run(CELLS)
    assert outcome.differences == []
    assert outcome.cells >= CELLS
    assert outcome.refused < outcome.statements / 10


def test_the_oracle_has_rules_of_its_own() -> None:
    assert typed(["1", "9.99"]) == [1.0, 9.99]
    assert typed(["1", "007"]) == ["1", "007"]
    assert typed(["9007199254740993", "0.5"]) == [Decimal("9007199254740993"), Decimal("0.5")]
    assert typed(["31/12/2024", "01/02/2025"]) == [date(2024, 12, 31), date(2025, 2, 1)]
    assert typed(["NO", "true"]) == ["NO", "true"]


def test_a_mixed_read_and_a_part_of_a_version_would_be_noticed() -> None:
    rows, total = changing.ROWS, changing.ROWS * (changing.ROWS - 1) // 2
    whole = [(1, 7, rows, total), (2, 7, rows, total)]
    assert changing.fault_of(whole) == ""
    assert "two versions" in changing.fault_of([whole[0], (2, 8, rows, total)])
    assert "no version" in changing.fault_of([(part, 7, rows - 1, total - 3) for part in (1, 2)])

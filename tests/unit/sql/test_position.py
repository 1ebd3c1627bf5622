"""Positions as people count them."""

from __future__ import annotations

import pytest

from queryrun.sql.position import SourcePosition, position_after


@pytest.mark.parametrize(
    ("before", "position"),
    [
        ("", (1, 1)),
        ("SELECT ", (1, 8)),
        ("SELECT\n", (2, 1)),
        ("a\n\nüé", (3, 3)),
        ("a\r\nb", (2, 2)),
    ],
)
def test_lines_and_columns_count_from_one_and_columns_in_characters(
    before: str, position: tuple[int, int]
) -> None:
    assert position_after(before.encode()) == SourcePosition(*position)

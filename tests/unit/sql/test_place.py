"""Places as people count them."""

from __future__ import annotations

import pytest

from queryrun.sql.place import Place, place_of


@pytest.mark.parametrize(
    ("before", "place"),
    [
        ("", (1, 1)),
        ("SELECT ", (1, 8)),
        ("SELECT\n", (2, 1)),
        ("a\n\nüé", (3, 3)),
        ("a\r\nb", (2, 2)),
    ],
)
def test_lines_and_columns_count_from_one_and_columns_in_characters(
    before: str, place: tuple[int, int]
) -> None:
    assert place_of(before.encode()) == Place(*place)

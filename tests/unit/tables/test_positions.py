"""Where in the data a fault is, for the log: never a cell's value."""

from __future__ import annotations

import pytest

from queryrun.tables.faults import position_of


@pytest.mark.parametrize(
    ("message", "position"),
    [
        (
            "Table 't' cannot be read: 'a/b.csv' line 7, column 'c', has 'x' line 9' which is none",
            {"table": "t", "file": "a/b.csv", "line": 7},
        ),
        (
            "Table 't', column 'v': 't/b.csv' line 2 has 'Table 'u'' among numbers: correct it",
            {"table": "t", "file": "t/b.csv", "line": 2},
        ),
        (
            "Table 't' cannot be read: 'p.parquet' is damaged, or no Parquet file",
            {"table": "t", "file": "p.parquet"},
        ),
        ("Table 't' changed while it was read: 'a' was written", {"table": "t", "file": "a"}),
        ("The source's data is not there", {}),
    ],
)
def test_a_message_names_table_file_and_line(message: str, position: dict[str, object]) -> None:
    assert position_of(message) == position

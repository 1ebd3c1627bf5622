"""Documents that JSON can write and no text can hold."""

from __future__ import annotations

import pytest

from queryrun.sql.guard.validate import validate_trino
from queryrun.sql.json_text import NotJsonError, parsed


@pytest.mark.parametrize(
    "document",
    [r'"\ud800"', r'{"\uDC00": 1}', r'["a", {"b": "x\udfffy"}]', r'"\ud800A"', r'"\ude00\ud83d"'],
)
def test_half_of_a_surrogate_pair_is_no_json(document: str) -> None:
    with pytest.raises(NotJsonError):
        parsed(document)
    validation = validate_trino(f"SELECT JSON '{document}' AS a", ())
    assert (validation.line, validation.column) == (1, 8)
    assert validation.message == f"'{document}' is not a valid JSON literal"


def test_a_whole_pair_and_other_escapes_are_json() -> None:
    assert parsed(r'["\ud83d\ude00", "\u0041", "\\ud800"]') == ["\U0001f600", "A", r"\ud800"]

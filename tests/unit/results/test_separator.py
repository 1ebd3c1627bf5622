"""The rule for separators of delimited files."""

from __future__ import annotations

import re

import pytest

from queryrun.results.separator import SEPARATOR_PATTERN, parse_separator


@pytest.mark.parametrize(("given", "meant"), [(";", ";"), ("\\t", "\t"), ("§", "§"), (" ", " ")])
def test_a_separator_is_one_character(given: str, meant: str) -> None:
    assert re.search(SEPARATOR_PATTERN, given)
    assert parse_separator(given) == meant


@pytest.mark.parametrize("separator", [None, "", "||", '"', "\n", "\r", "\0"])
def test_no_other_separator_is_taken(separator: str | None) -> None:
    assert separator is None or not re.search(SEPARATOR_PATTERN, separator)
    with pytest.raises(ValueError, match="column_separator"):
        parse_separator(separator)

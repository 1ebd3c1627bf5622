"""Patterns mean the same after translation, or are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from queryrun.sql.compile import pattern_texts
from queryrun.sql.compile.pattern_texts import UntranslatableError
from queryrun.sql.duckdb import formats


@pytest.mark.parametrize(
    ("translate", "written", "expected"),
    [
        (formats.mysql_format, "%Y-%m-%d %H:%i:%s", "%Y-%m-%d %H:%M:%S"),
        (formats.mysql_format, "100%%", "100%%"),
        (formats.joda_format, "yyyy-MM-dd'T'HH:mm", "%Y-%m-%dT%H:%M"),
        (formats.joda_format, "h 'o''clock' a", "%-I o'clock %p"),
        (formats.joda_format, "''yy", "'%y"),
        (formats.joda_format, "d%", "%-d%%"),
        (formats.regex, r"(?<year>\d{4})", r"(?P<year>\d{4})"),
        (formats.replacement, r"$2-\$1", r"\2-$1"),
        (pattern_texts.json_path, "$.a[0]['b c']", '$."a"[0]."b c"'),
        (pattern_texts.json_path, "a.b", '$."a"."b"'),
    ],
)
def test_what_has_a_form_is_written_in_it(
    translate: Callable[[str], str], written: str, expected: str
) -> None:
    assert translate(written) == expected


@pytest.mark.parametrize(
    ("translate", "written"),
    [
        (formats.mysql_format, "%D"),
        (formats.mysql_format, "%"),
        (formats.joda_format, "yyyy Z"),
        (formats.regex, "a(?=b)"),
        (formats.regex, "(?<!a)b"),
        (formats.regex, r"(a)\1"),
        (formats.regex, "a++"),
        (formats.replacement, "${name}"),
        (pattern_texts.json_path, "$.a[*]"),
        (pattern_texts.json_path, "$..a"),
    ],
)
def test_what_has_none_is_refused(translate: Callable[[str], str], written: str) -> None:
    with pytest.raises(UntranslatableError):
        translate(written)

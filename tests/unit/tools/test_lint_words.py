"""The word list is enforced: a name with one of its words is found wherever it is defined."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.lint_words import findings, words_of

INSTEAD = {"took": "duration", "most": "max"}

DEFINITIONS = [
    "def how_it_took(): ...",
    "async def took(): ...",
    "class TookLong: ...",
    "def f(took_s: float): ...",
    "took_s = 1.0",
    "class A:\n    took_s: float",
    "def f(self):\n    self.took_s = 1.0",
    "for took in []: ...",
    "with f() as took: ...",
    'log.info("cancel_took_long")',
]


@pytest.mark.parametrize("source", DEFINITIONS)
def test_a_word_of_ours_is_found_where_a_name_is_defined(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert {finding.word for finding in findings(path, INSTEAD)} == {"took"}


def test_a_module_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "most_used.py"
    path.write_text("")
    assert [finding.name for finding in findings(path, INSTEAD)] == ["most_used"]


@pytest.mark.parametrize(
    "source",
    [
        "counter.most_common(3)",
        "from a import took",
        "def test_a_cancel_took_no_time(): ...",
        "x = 'took'",
    ],
)
def test_names_of_others_and_sentences_do_not_count(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert list(findings(path, INSTEAD)) == []


def test_names_of_every_style_are_split_into_words() -> None:
    assert words_of("HTTPAnswer") == ["http", "answer"]
    assert words_of("_most_rows2") == ["most", "rows"]

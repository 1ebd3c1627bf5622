"""Decision records have one form, and the index lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs/decisions"
RECORDS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
STATUS = re.compile(r"\*\*Status:\*\* (?:proposed|accepted|superseded by \d{4}), \d{4}-\d\d-\d\d")
SECTIONS = ["Context", "Decision", "Consequences"]


def faults(name: str, text: str) -> list[str]:
    """What is wrong with the form of a record."""
    lines = text.splitlines()
    found = []
    if not re.fullmatch(rf"# {name[:4]} \S.*", lines[0]):
        found.append("title")
    if len(lines) < 3 or not STATUS.fullmatch(lines[2]):
        found.append("status")
    if re.findall(r"^## (.+)$", text, flags=re.MULTILINE) != SECTIONS:
        found.append("sections")
    return found


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name[:4])
def test_a_record_has_status_context_decision_and_consequences(record: Path) -> None:
    assert not faults(record.name, record.read_text(encoding="utf-8"))


def test_numbers_are_consecutive() -> None:
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))


def test_the_index_lists_every_record_in_order() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[\d{4}\]\((.+?)\)", text, flags=re.MULTILINE) == [
        record.name for record in RECORDS
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# Without a number\n\n**Status:** accepted, 2026-11-24\n", "title"),
        ("# 0001 One\n\nStatus: accepted\n", "status"),
        ("# 0001 One\n\n**Status:** accepted, 2026-11-24\n\n## The question\n", "sections"),
    ],
)
def test_another_form_is_noticed(text: str, fault: str) -> None:
    assert fault in faults("0001-one.md", text)

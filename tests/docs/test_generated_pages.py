"""Pages that come from code are as the code is."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import msgspec

from queryrun import settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_reference_pages_match_the_code() -> None:
    """On failure: `python docs/generate.py`, and read the difference."""
    pages = runpy.run_path(str(ROOT / "docs/generate.py"))["pages"]()
    assert pages
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date"


def test_the_page_of_settings_has_every_section() -> None:
    listed = runpy.run_path(str(ROOT / "docs/generate.py"))["SECTIONS"]
    sections = {kind.__name__ for kind in vars(settings).values() if _is_section(kind)}
    assert set(listed) == sections


def test_every_setting_has_a_description() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert not [row for row in rows if row.endswith("|  |")]


def test_settings_that_pages_name_exist() -> None:
    """`leases.lease_s` and the like, in every page but the history of decisions."""
    sections = {field.name: field.type for field in msgspec.structs.fields(settings.Settings)}
    tables = [name for name, kind in sections.items() if _is_section(kind)]
    named = re.compile(rf"`({'|'.join(tables)})\.(?!py`)([a-z_]+)`")
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.md")]
    found = [
        (page.name, section, name)
        for page in pages
        for section, name in named.findall(page.read_text(encoding="utf-8"))
    ]
    assert len(found) > 10
    assert not [one for one in found if not hasattr(sections[one[1]], one[2])]


def _is_section(kind: object) -> bool:
    is_one = isinstance(kind, type) and issubclass(kind, settings.Section)
    return is_one and kind is not settings.Section

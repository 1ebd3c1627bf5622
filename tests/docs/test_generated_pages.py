"""Pages that come from code are as the code is."""

from __future__ import annotations

import runpy
from pathlib import Path

from queryrun import settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_reference_pages_are_what_the_code_says() -> None:
    """On failure: `python docs/generate.py`, and read the difference."""
    pages = runpy.run_path(str(ROOT / "docs/generate.py"))["pages"]()
    assert pages
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date"


def test_the_page_of_settings_has_every_section() -> None:
    listed = runpy.run_path(str(ROOT / "docs/generate.py"))["SECTIONS"]
    sections = {kind.__name__ for kind in vars(settings).values() if _is_section(kind)}
    assert set(listed) == sections


def _is_section(kind: object) -> bool:
    is_one = isinstance(kind, type) and issubclass(kind, settings.Section)
    return is_one and kind is not settings.Section

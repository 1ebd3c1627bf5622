"""Pages that come from code are as the code is."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import msgspec
import pytest

from queryrun import settings
from queryrun.settings.file import load

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


def setting_rows() -> list[tuple[str, list[str]]]:
    """The section and the cells of every row of the page of settings."""
    found, section = [], ""
    for line in (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## `"):
            section = line.strip("# `")
        elif line.startswith("| `"):
            found.append((section, [cell.strip() for cell in line.strip("| ").split(" | ")]))
    return found


def test_every_setting_has_a_sentence_and_every_number_a_unit() -> None:
    rows = setting_rows()
    assert len(rows) > 80
    assert not [cells[0] for _, cells in rows if len(cells[3]) < 8]
    assert not [cells[0] for _, cells in rows if cells[1] in ("integer", "number")]
    types = re.compile(r"\b(?:str|int|float|bool|dict|tuple|None|Path|Literal)\b")
    assert not [cells[0] for _, cells in rows if types.search(cells[1])]


EXAMPLES = [
    (section, cells[4].strip("`"))
    for section, cells in setting_rows()
    if len(cells) > 4 and "=" in cells[4]
]


def test_every_setting_but_tables_has_an_example() -> None:
    without = {
        cells[0].strip("`")
        for _, cells in setting_rows()
        if len(cells) < 5 and "table" not in cells[1]
    }
    assert without == {"home"}
    assert len(EXAMPLES) > 70


@pytest.mark.parametrize(("section", "example"), EXAMPLES, ids=lambda text: str(text)[:40])
def test_the_example_of_a_setting_is_one_that_the_program_takes(
    section: str, example: str, tmp_path: Path
) -> None:
    """In a file of its own, with what it cannot do without."""
    table = "" if section == "(top level)" else section.replace("NAME", "live")
    text = f"{table}\n{example}\n{BESIDE.get(example.partition(' ')[0], '')}\n"
    if section == "[[oidc.rules]]":
        rule = [line for line in RULE if line.partition(" ")[0] not in example]
        text = "\n".join([ISSUER, text, *rule])
    (tmp_path / "queryrun.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path, {}) != load(tmp_path / "none", {})


RULE = ("when = { sub = '*' }", "entities = ['main']", "scopes = ['read']")
ISSUER = "[oidc]\nissuer = 'https://login.example.net'\naudience = 'q'"
BESIDE = {
    "default_source": "[sources.warehouse]",
    "roles": "[database]\nurl = 'postgresql://queryrun@db.example.net/queryrun'",
    "engine": "url = 'http://trino.example.net:8080'",
    "issuer": "\n".join(["audience = 'q'", "[[oidc.rules]]", *RULE]),
    "store": "bucket = 'query-results'",
}
"""What an example cannot do without, by its setting."""


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

"""The documentation's claims are executed in number, and what is named as their test exists."""

from __future__ import annotations

import re
import tomllib

from tests.docs.executed import FENCE, ROOT, blocks_of

PAGES = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
CLAIMS = (ROOT / "docs/contributing/claims.md").read_text(encoding="utf-8")


def test_fifty_blocks_and_more_are_executed() -> None:
    tested = ("docs/tutorial.md", "docs/how-to/", "docs/explanation/", "README.md")
    blocks = [block for page in PAGES if page.startswith(tested) for block in blocks_of(page)]
    assert len(blocks) >= 50, len(blocks)


def test_every_page_with_blocks_to_execute_has_a_test_that_executes_them() -> None:
    """A ```sh block anywhere else would look tested, and nobody would run it."""
    executed = ("docs/tutorial.md", "docs/how-to/", "docs/explanation/", "README.md")
    others = {page for page in PAGES if not page.startswith(executed) and is_executed(page)}
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests/docs").glob("*.py"))
    assert not [page for page in others if page.rpartition("/")[2] not in tests]


def is_executed(page: str) -> bool:
    """Whether a page has a block in a language that is."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return bool({"sh", "python"} & {language for language, _ in FENCE.findall(text)})


def test_contributors_read_the_import_directions_that_are_kept() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(one["layers"] for one in contracts["contracts"] if one["name"] == "Layers")
    words = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert f"`{' > '.join(layers)}`" in words


def test_the_tests_that_the_list_of_claims_names_exist() -> None:
    named = re.findall(r"`((?:tests/[\w/]+/)?test_\w+\.py)`", CLAIMS)
    assert len(named) > 10
    found = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert not [name for name in named if name.rpartition("/")[2] not in found]

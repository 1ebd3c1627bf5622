"""The map in tests/README.md has every module, and names no missing test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "tests/README.md").read_text(encoding="utf-8")
ROWS = {
    module: re.findall(r"`([^`]+)`", tests)
    for module, tests in re.findall(r"^\| `([^`]+)` \| (`tests/.*) \|$", MAP, re.MULTILINE)
}


def test_every_package_and_module_has_a_row() -> None:
    server = (ROOT / "src/queryrun").iterdir()
    ours = {str(path.relative_to(ROOT)) for path in server if not path.name.startswith("_")}
    clients = {f"packages/client/src/{name}" for name in ("queryrun_client", "queryrun_cli")}
    assert (ours - {"src/queryrun/py.typed"}) | clients <= set(ROWS)


def test_what_the_map_names_exists() -> None:
    named = [*ROWS, *(test for tests in ROWS.values() for test in tests)]
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_folder_of_tests_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+)/` \|", MAP, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert described == folders

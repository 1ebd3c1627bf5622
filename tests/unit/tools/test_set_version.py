"""There is one version: every file that needs it has that of pyproject.toml."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version as installed
from pathlib import Path

import pytest
from tools import set_version

import queryrun


def test_every_copy_of_the_version_is_that_of_pyproject() -> None:
    assert {number for _, number in set_version.copies()} == {set_version.version()}
    assert queryrun.__version__ == installed("queryrun") == set_version.version()


def test_a_new_version_reaches_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set_version.COPIES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(set_version.ROOT / name, tmp_path / name)
    before = set_version.copies()
    monkeypatch.setattr(set_version, "ROOT", tmp_path)
    assert set_version.main(["7.8.9rc1"]) == 0
    assert set_version.copies() == [(name, "7.8.9rc1") for name, _ in before]


@pytest.mark.parametrize("arguments", [[], ["one"], ["1.2"], ["1.2.3", "4.5.6"]])
def test_what_is_no_version_changes_nothing(arguments: list[str]) -> None:
    assert set_version.main(arguments) == 2


def test_no_other_line_of_the_image_or_the_manifests_names_a_version_of_ours() -> None:
    folders = ("deploy", "src/queryrun")
    paths = [path for name in folders for path in (set_version.ROOT / name).rglob("*")]
    texts = {
        str(path.relative_to(set_version.ROOT)): path.read_text(encoding="utf-8")
        for path in paths
        if path.suffix in {".py", ".yaml", ".toml", ".sh", ".service"} or path.name == "Dockerfile"
    }
    named = {name for name, text in texts.items() if re.search(r"queryrun[:=]+\d", text)}
    assert named <= set(set_version.COPIES)

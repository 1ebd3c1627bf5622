"""Nobody but its owner reads a home."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from queryrun.cli.home import init_home
from queryrun.cli.private import keep_private


@pytest.fixture(autouse=True)
def permissive() -> Iterator[None]:
    """As a shell usually has it; and whatever a test sets is undone."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_everything_in_a_new_home_is_its_owners_alone(tmp_path: Path) -> None:
    home = init_home(tmp_path / "home", entity="main", factor=0.001).home
    loose = [
        path.name for path in (home, *home.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert loose == []


def test_an_older_home_is_tightened(tmp_path: Path) -> None:
    home = init_home(tmp_path / "home", entity="main", factor=None).home
    home.chmod(0o755)
    (home / "queryrun.db").chmod(0o644)
    keep_private(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "queryrun.db").stat().st_mode) == 0o600

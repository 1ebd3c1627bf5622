"""The lock of a home, and the marker in it that outlives a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryrun.errors import ConfigurationError
from queryrun.wiring.home_lock import HomeLock


def test_one_node_at_a_time_has_a_home(tmp_path: Path) -> None:
    first = HomeLock(tmp_path / "node.lock")
    with pytest.raises(ConfigurationError, match="another node already serves"):
        HomeLock(tmp_path / "node.lock")
    first.close()
    first.close()
    HomeLock(tmp_path / "node.lock").close()


def test_a_marker_outlives_its_process_until_it_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "node.lock"
    left = HomeLock(path)
    assert not left.is_set()
    left.set()
    left.close()
    left.clear()  # the process has released its home: it says nothing more
    after = HomeLock(path)
    assert after.is_set()
    after.clear()
    after.close()
    assert not HomeLock(path).is_set()
    assert path.stat().st_size == 1


def test_the_lock_of_an_earlier_version_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "node.lock"
    path.touch()
    assert not HomeLock(path).is_set()

"""The probe of a directory that the node writes into."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from queryrun.causes import cause_of
from queryrun.wiring.parts import MIN_FREE_INODES, DirectoryProbe

pytestmark = pytest.mark.anyio


def room(files: int, free_files: int) -> os.statvfs_result:
    """A file system with room for so many files."""
    return os.statvfs_result((4096, 4096, 100, 50, 50, files, free_files, free_files, 0, 255))


async def test_a_table_of_inodes_with_no_room_for_a_worker_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = DirectoryProbe(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _path: room(1000, MIN_FREE_INODES - 1))
    with pytest.raises(OSError, match="No space left") as full:
        await probe.probe()
    assert full.value.errno == errno.ENOSPC
    cause = cause_of(full.value)
    assert cause is not None
    assert "no inodes" in cause.sentence
    monkeypatch.setattr(os, "statvfs", lambda _path: room(1000, MIN_FREE_INODES))
    await probe.probe()
    assert probe.free_bytes == 50 * 4096


async def test_a_file_system_that_counts_no_inodes_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: room(0, 0))
    await DirectoryProbe(tmp_path).probe()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - in a coroutine

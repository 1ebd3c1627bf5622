"""In which order the local store makes a file durable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from queryrun.results.local import LocalResultStore


def test_a_file_is_synced_then_renamed_then_its_directory_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure a name must never refer to missing bytes."""
    order: list[str] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        what = "directory" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file"
        is_named = (tmp_path / "run_1.csv").exists()
        order.append(f"{what} synced, {'named' if is_named else 'unnamed'}")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    writer = LocalResultStore(tmp_path).open("run_1.csv")
    writer.write(b"rows")
    writer.commit()
    assert order == ["file synced, unnamed", "directory synced, named"]

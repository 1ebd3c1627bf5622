"""In which order the local store makes a file durable."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.local import LocalResultStore

KEY = "run_1.csv"


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


def _link_to_a_secret(path: Path) -> None:
    path.symlink_to(path.parent.parent / "secret")


def _second_name(path: Path) -> None:
    os.link(path.parent.parent / "secret", path)


def _directory(path: Path) -> None:
    path.mkdir()


def _longer(path: Path) -> None:
    path.write_bytes(b"12345")


def _nothing(_path: Path) -> None:
    """The worker has written none."""


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "leave", [_link_to_a_secret, _second_name, os.mkfifo, _directory, _longer, _nothing]
)
def test_only_a_plain_file_of_the_announced_size_is_taken_out_of_an_outbox(
    tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    """Not what a worker that was taken over puts in its place; and a pipe blocks nobody."""
    (tmp_path / "secret").write_bytes(b"1234")
    outbox, results = tmp_path / "outbox", tmp_path / "results"
    outbox.mkdir()
    results.mkdir()
    leave(outbox / KEY)
    store = LocalResultStore(results)
    with pytest.raises(RunFailed) as refused:
        store.take_over(outbox, KEY, 4)
    assert refused.value.failure.code is FailureCode.WORKER_LOST
    assert "announced" in refused.value.failure.message
    assert store.stat(KEY) is None
    assert (tmp_path / "secret").read_bytes() == b"1234"


def test_a_file_that_is_still_open_for_writing_waits_for_the_end_of_its_worker(
    tmp_path: Path,
) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    store = LocalResultStore(tmp_path)
    with (outbox / KEY).open("wb") as held:
        held.write(b"1234")
        held.flush()
        assert not store.take_over(outbox, KEY, 4)
        assert store.stat(KEY) is None
    assert store.take_over(outbox, KEY, 4, is_stopped=True)
    assert b"".join(store.read(KEY, 0, 4)) == b"1234"

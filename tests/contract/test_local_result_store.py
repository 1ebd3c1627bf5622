"""The local directory satisfies the contract of ResultStore, and a few promises beyond it."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.results.local import LocalResultStore
from tests.contract.result_store import DATA, KEY, Lose, ResultStoreContract, Visible, put


@pytest.fixture
def store(tmp_path: Path) -> LocalResultStore:
    """A store in an empty directory."""
    return LocalResultStore(tmp_path)


@pytest.fixture
def visible(tmp_path: Path) -> Visible:
    """Every name in the directory, hidden ones too."""
    return lambda: sorted(path.name for path in tmp_path.iterdir())


@pytest.fixture
def lose(store: LocalResultStore) -> Lose:
    """To be killed is to write no more."""
    return lambda key: store.open(key).write(DATA)


def _across_file_systems(*_: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


class TestLocalResultStore(ResultStoreContract):
    """The contract, on disk."""

    def test_files_are_readable_by_their_owner_alone(
        self, store: LocalResultStore, tmp_path: Path
    ) -> None:
        put(store)
        assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600

    def test_a_directory_serves_no_links(self, store: LocalResultStore) -> None:
        assert store.link(KEY, 60) is None

    def test_a_full_disk_is_distinguished_from_a_broken_one(
        self, store: LocalResultStore, tmp_path: Path
    ) -> None:
        (tmp_path / f".{KEY}.part").symlink_to("/dev/full")
        writer = store.open(KEY)
        with pytest.raises(RunFailed) as failed:
            writer.write(DATA)
        writer.abort()
        assert failed.value.failure.code is FailureCode.STORAGE_FULL
        with pytest.raises(RunFailed) as failed:
            LocalResultStore(tmp_path / "missing").open(KEY)
        assert failed.value.failure.code is FailureCode.STORAGE_FAILED

    def test_first_bytes_may_come_last_where_files_cannot_be_shared(
        self,
        store: LocalResultStore,
        visible: Visible,
        tmp_path_factory: pytest.TempPathFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Across file systems: the spool is copied at the commit."""
        monkeypatch.setattr(Path, "hardlink_to", _across_file_systems)
        spool = tmp_path_factory.mktemp("spool")
        writer = store.open(KEY)
        writer.reserve(70, str(spool / "spool"))
        writer.write(DATA[70:])
        writer.fill(DATA[:70])
        writer.commit()
        assert b"".join(store.read(KEY, 0, len(DATA))) == DATA
        assert b"".join(writer.committed()) == DATA
        assert visible() == [KEY]
        assert not list(spool.iterdir())

    def test_another_writer_may_write_the_file_and_its_commit_is_as_usual(
        self, store: LocalResultStore, tmp_path: Path, visible: Visible
    ) -> None:
        (tmp_path / "spill").mkdir()
        location = tmp_path / "spill" / "out"
        location.write_text("left over")
        writer = store.open(KEY)
        shared = writer.share(str(location))
        assert shared is not None
        location.write_bytes(DATA)
        assert os.pread(shared.descriptor, len(DATA), 0) == DATA
        assert store.stat(KEY) is None
        writer.commit()
        assert b"".join(store.read(KEY, 0, len(DATA))) == DATA
        assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
        assert visible() == [KEY, "spill"]
        assert list((tmp_path / "spill").iterdir()) == []

    def test_an_abort_stops_another_writer(self, store: LocalResultStore, tmp_path: Path) -> None:
        location = tmp_path / "out"
        writer = store.open(KEY)
        assert writer.share(str(location)) is not None
        location.write_bytes(DATA)
        writer.abort()
        assert list(tmp_path.iterdir()) == []

    def test_discard_removes_what_a_killed_worker_had_its_engine_write(
        self, store: LocalResultStore, tmp_path: Path
    ) -> None:
        """The other name is in the worker's spill directory, which is removed with the worker."""
        (tmp_path / "spill").mkdir()
        location = tmp_path / "spill" / "out"
        assert store.open(KEY).share(str(location)) is not None
        location.write_bytes(DATA)
        store.discard(KEY)
        assert list(tmp_path.iterdir()) == [tmp_path / "spill"]

    def test_on_another_file_system_nothing_is_shared_and_bytes_are_written_as_usual(
        self, store: LocalResultStore, tmp_path: Path
    ) -> None:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as other_directory:
            if Path(other_directory).stat().st_dev == tmp_path.stat().st_dev:
                pytest.skip("there is one file system only")
            writer = store.open(KEY)
            assert writer.share(f"{other_directory}/out") is None
            assert list(Path(other_directory).iterdir()) == []
        writer.write(DATA)
        writer.commit()
        assert b"".join(store.read(KEY, 0, len(DATA))) == DATA


@pytest.mark.parametrize("kind", ["link", "directory", "pipe", "socket"])
def test_what_is_no_plain_file_is_no_result(
    store: LocalResultStore, tmp_path: Path, kind: str
) -> None:
    """Whoever can write to the directory cannot have other files of the machine downloaded, and
    nobody waits for the other end of a pipe."""
    put(store)
    path = tmp_path / KEY
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        put_there: dict[str, Callable[[], object]] = {
            "link": lambda: path.symlink_to("/etc/passwd"),
            "directory": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
            "socket": lambda: listener.bind(str(path)),
        }
        put_there[kind]()
        assert store.stat(KEY) is None
        with pytest.raises(FileNotFoundError):
            list(store.read(KEY, 0, 1))


def test_a_file_that_was_cut_is_not_read_as_a_whole_one(
    store: LocalResultStore, tmp_path: Path
) -> None:
    put(store)
    os.truncate(tmp_path / KEY, len(DATA) - 1)
    with pytest.raises(FileNotFoundError):
        list(store.read(KEY, 0, len(DATA)))

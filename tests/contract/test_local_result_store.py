"""The local directory keeps the ResultStore's contract, and a few promises of its own."""

from __future__ import annotations

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


class TestLocalResultStore(ResultStoreContract):
    """The contract, on disk."""

    def test_files_are_readable_by_their_owner_alone(
        self, store: LocalResultStore, tmp_path: Path
    ) -> None:
        put(store)
        assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600

    def test_a_directory_serves_no_links(self, store: LocalResultStore) -> None:
        assert store.link(KEY, 60) is None

    def test_a_full_disk_is_told_from_a_broken_one(
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

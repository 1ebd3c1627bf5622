"""What every ResultStore must do: the sentences of its protocol, each as a test.

An implementation inherits `ResultStoreContract` and provides the fixture `store`, plus two back
doors: `visible` lists what the store has under any name, and `lose` leaves what a worker
leaves that was killed after it had written `DATA`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from queryrun.results.store import ResultStore

KEY = "run_1.csv"
DATA = bytes(range(256)) * 45_000
"""11.5 MB: three parts in a store that uploads in parts of 5 MiB."""
AN_HOUR = timedelta(hours=1)

Visible = Callable[[], list[str]]
Lose = Callable[[str], None]


def put(store: ResultStore, key: str = KEY, data: bytes = DATA) -> None:
    """Commit a file the way a worker does."""
    writer = store.open(key)
    for start in range(0, len(data), 700_000):
        writer.write(memoryview(data)[start : start + 700_000])
    writer.commit()


class ResultStoreContract:
    """See the module."""

    def test_a_committed_file_is_complete(self, store: ResultStore) -> None:
        put(store)
        found = store.stat(KEY)
        assert found is not None
        assert (found.key, found.size_bytes) == (KEY, len(DATA))
        assert b"".join(store.read(KEY, 0, len(DATA))) == DATA

    def test_an_empty_file_is_a_file(self, store: ResultStore) -> None:
        put(store, data=b"")
        found = store.stat(KEY)
        assert found is not None
        assert found.size_bytes == 0
        assert b"".join(store.read(KEY, 0, 0)) == b""

    def test_nothing_is_visible_before_commit(self, store: ResultStore) -> None:
        writer = store.open(KEY)
        writer.write(DATA)
        assert store.stat(KEY) is None
        writer.abort()

    def test_abort_leaves_nothing(self, store: ResultStore, visible: Visible) -> None:
        writer = store.open(KEY)
        writer.write(DATA)
        writer.abort()
        writer.abort()
        assert store.stat(KEY) is None
        assert visible() == []

    def test_abort_after_commit_does_nothing(self, store: ResultStore) -> None:
        writer = store.open(KEY)
        writer.write(DATA)
        writer.commit()
        writer.abort()
        assert b"".join(store.read(KEY, 0, len(DATA))) == DATA

    @pytest.mark.parametrize("size", [100, 3_000_000, len(DATA)])
    def test_the_first_bytes_may_be_written_last(
        self, store: ResultStore, tmp_path_factory: pytest.TempPathFactory, size: int
    ) -> None:
        """As a zip file needs it. What was committed can be read back from the writer."""
        data, gap = DATA[:size], 70
        writer = store.open(KEY)
        writer.reserve(gap, str(tmp_path_factory.mktemp("spool") / "spool"))
        for start in range(gap, size, 700_000):
            writer.write(memoryview(data)[start : start + 700_000])
        assert store.stat(KEY) is None
        writer.fill(data[:gap])
        assert store.stat(KEY) is None
        writer.commit()
        assert b"".join(store.read(KEY, 0, size)) == data
        assert b"".join(writer.committed()) == data

    def test_an_abort_before_the_first_bytes_leaves_nothing(
        self,
        store: ResultStore,
        visible: Visible,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        spool = tmp_path_factory.mktemp("spool")
        writer = store.open(KEY)
        writer.reserve(70, str(spool / "spool"))
        writer.write(DATA)
        writer.abort()
        assert visible() == []
        assert not list(spool.iterdir())

    def test_what_was_written_may_be_changed_afterwards(self, store: ResultStore) -> None:
        """The pipeline hands over views of one buffer that it reuses."""
        buffer = bytearray(b"a" * 1000)
        writer = store.open(KEY)
        writer.write(memoryview(buffer))
        buffer[:] = b"b" * 1000
        writer.write(buffer)
        writer.commit()
        assert b"".join(store.read(KEY, 0, 2000)) == b"a" * 1000 + b"b" * 1000

    @pytest.mark.parametrize(
        ("start", "end"), [(0, 1), (0, 0), (5, 5), (1_000_000, 9_500_000), (11_519_999, 11_520_000)]
    )
    def test_a_part_is_read_exactly(self, store: ResultStore, start: int, end: int) -> None:
        put(store)
        assert b"".join(store.read(KEY, start, end)) == DATA[start:end]

    def test_chunks_are_of_bounded_size(self, store: ResultStore) -> None:
        put(store)
        assert max(len(chunk) for chunk in store.read(KEY, 0, len(DATA))) <= 1024 * 1024

    def test_a_missing_file_has_no_stat_and_cannot_be_read(self, store: ResultStore) -> None:
        assert store.stat(KEY) is None
        with pytest.raises(FileNotFoundError):
            list(store.read(KEY, 0, 1))

    def test_discard_removes_a_committed_file(self, store: ResultStore, visible: Visible) -> None:
        put(store)
        put(store, "run_2.csv")
        store.discard(KEY)
        store.discard(KEY)
        assert store.stat(KEY) is None
        assert visible() == ["run_2.csv"]

    def test_discard_removes_what_a_dead_writer_left(
        self, store: ResultStore, visible: Visible, lose: Lose
    ) -> None:
        """A writer that was killed neither commits nor aborts."""
        lose(KEY)
        store.discard(KEY)
        assert store.stat(KEY) is None
        assert visible() == []

    def test_discard_spares_keys_with_the_same_prefix(
        self, store: ResultStore, visible: Visible, lose: Lose
    ) -> None:
        put(store, f"{KEY}.gz")
        lose(f"{KEY}.zip")
        before = visible()
        store.discard(KEY)
        after = visible()
        assert after == before
        assert len(after) == 2

    def test_a_sweep_removes_old_unfinished_files(
        self, store: ResultStore, visible: Visible, lose: Lose
    ) -> None:
        now = datetime.now(UTC)
        put(store)
        lose("lost.csv")
        assert store.sweep(now - AN_HOUR, now - AN_HOUR) == []
        assert store.sweep(now + AN_HOUR, now - AN_HOUR) == ["lost.csv"]
        left = visible()
        assert left == [KEY]

    def test_a_sweep_removes_old_committed_files(
        self, store: ResultStore, visible: Visible, lose: Lose
    ) -> None:
        now = datetime.now(UTC)
        put(store)
        lose("running.csv")
        assert store.sweep(now - AN_HOUR, now + AN_HOUR) == [KEY]
        assert len(visible()) == 1

    def test_discard_of_an_unknown_key_does_nothing(self, store: ResultStore) -> None:
        store.discard(KEY)

    def test_the_etag_changes_with_the_bytes_and_only_then(self, store: ResultStore) -> None:
        put(store)
        first, again = store.stat(KEY), store.stat(KEY)
        assert first == again
        store.discard(KEY)
        put(store, data=DATA[::-1])
        second = store.stat(KEY)
        assert first is not None
        assert second is not None
        assert first.etag != second.etag

    @pytest.mark.parametrize("key", ["../run.csv", "a/b.csv", ".run.csv", "", "a\0b"])
    def test_a_key_is_never_a_path(self, store: ResultStore, key: str) -> None:
        uses: list[Callable[[str], object]] = [store.open, store.stat, store.discard]
        for use in uses:
            with pytest.raises(ValueError, match="not a key"):
                use(key)
        with pytest.raises(ValueError, match="not a key"):
            list(store.read(key, 0, 1))

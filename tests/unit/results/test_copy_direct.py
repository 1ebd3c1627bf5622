"""A file that another thread writes, and a reader close behind: every byte once, in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from queryrun.results.compress import Chunks
from queryrun.results.concurrent_copy import Copy
from queryrun.results.copy_direct import CHUNK_BYTES, CopyReader, copy_direct
from queryrun.results.store import SharedFile

ENDLESS = "SELECT * FROM range(100000000000)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file will be."""
    return tmp_path / "out"


@pytest.fixture
def file(path: Path) -> Iterator[SharedFile]:
    """The file, empty."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    yield SharedFile(descriptor, _nothing, lambda: None)
    os.close(descriptor)


def _nothing(size_bytes: int) -> None:
    """No progress is reported."""


def _follow(
    copy: Copy,
    file: SharedFile,
    consume: Callable[[Chunks], None],
    on_progress: Callable[[int], None] = _nothing,
) -> int:
    """As for text."""
    return copy_direct(copy, file, CopyReader(consume, on_progress), is_sequential=False)


def _release(into: list[bytes]) -> Callable[[Chunks], None]:
    def consume(chunks: Chunks) -> None:
        into.extend(bytes(chunk) for chunk in chunks)

    return consume


def _by_hand(path: Path, write: Callable[[int], int]) -> Copy:
    """A `COPY` that `write` does to an open file."""

    def run() -> int:
        target = os.open(path, os.O_WRONLY)
        try:
            return write(target)
        finally:
            os.close(target)

    return Copy(str(path), run, lambda: None)


def _by_duckdb(connection: duckdb.DuckDBPyConnection, path: Path, query: str) -> Copy:
    def run() -> int:
        sql = f"COPY ({query}) TO '{path}' (FORMAT csv, USE_TMP_FILE false)"
        row = connection.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    return Copy(str(path), run, connection.interrupt)


@pytest.mark.parametrize("rows", [0, 1, 1_000_000])
def test_all_bytes_pass_through(
    connection: duckdb.DuckDBPyConnection, path: Path, file: SharedFile, rows: int
) -> None:
    kept: list[bytes] = []
    copy = _by_duckdb(connection, path, f"SELECT * FROM range({rows}) t(i)")
    assert _follow(copy, file, _release(kept)) == rows
    assert b"".join(kept) == path.read_bytes()


def test_a_chunk_written_before_its_predecessor_is_not_read_too_early(
    path: Path, file: SharedFile
) -> None:
    """The engine's threads write side by side: for a while there is a hole, and it reads as 0."""
    text = bytes(range(1, 251)) * (CHUNK_BYTES // 100)
    middle = len(text) // 2 + 17
    has_polled_again = threading.Event()
    polls = 0

    def on_progress(size_bytes: int) -> None:
        nonlocal polls
        polls += size_bytes > 0
        if polls > 3:
            has_polled_again.set()

    def write(target: int) -> int:
        os.pwrite(target, text[middle:], middle)
        assert has_polled_again.wait(20)
        os.pwrite(target, text[:middle], 0)
        return 1

    kept: list[bytes] = []
    _follow(_by_hand(path, write), file, _release(kept), on_progress)
    assert b"".join(kept) == text


def test_zeros_that_belong_to_the_file_are_read_at_the_end(path: Path, file: SharedFile) -> None:
    text = b"x" * CHUNK_BYTES + bytes(3 * CHUNK_BYTES) + b"y" * 100
    kept: list[bytes] = []
    _follow(_by_hand(path, lambda target: os.pwrite(target, text, 0)), file, _release(kept))
    assert b"".join(kept) == text


def test_bytes_are_read_while_more_are_written(path: Path, file: SharedFile) -> None:
    has_read = threading.Event()

    def write(target: int) -> int:
        os.pwrite(target, b"x" * 2 * CHUNK_BYTES, 0)
        assert has_read.wait(20)
        return 1

    def consume(chunks: Chunks) -> None:
        for _ in chunks:
            has_read.set()

    assert _follow(_by_hand(path, write), file, consume) == 1


def test_an_appended_file_is_read_at_once_zeros_and_all(path: Path, file: SharedFile) -> None:
    has_read = threading.Event()
    kept: list[bytes] = []

    def write(target: int) -> int:
        os.pwrite(target, bytes(2 * CHUNK_BYTES), 0)
        assert has_read.wait(20)
        os.pwrite(target, b"x", 2 * CHUNK_BYTES)
        return 1

    def consume(chunks: Chunks) -> None:
        for chunk in chunks:
            kept.append(bytes(chunk))
            has_read.set()

    reader = CopyReader(consume, _nothing)
    assert copy_direct(_by_hand(path, write), file, reader, is_sequential=True) == 1
    assert b"".join(kept) == bytes(2 * CHUNK_BYTES) + b"x"


def test_a_file_that_is_too_large_ends_an_endless_copy(
    connection: duckdb.DuckDBPyConnection, path: Path, file: SharedFile
) -> None:
    def on_progress(size_bytes: int) -> None:
        if size_bytes > 1_000_000:
            raise RuntimeError("too large")

    with pytest.raises(RuntimeError, match="too large"):
        _follow(_by_duckdb(connection, path, ENDLESS), file, _release([]), on_progress)
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_reader_that_fails_ends_an_endless_copy(
    connection: duckdb.DuckDBPyConnection, path: Path, file: SharedFile
) -> None:
    def consume(chunks: Chunks) -> None:
        next(iter(chunks))
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        _follow(_by_duckdb(connection, path, ENDLESS), file, consume)


def test_the_size_has_the_last_word_when_the_copy_failed_too(path: Path, file: SharedFile) -> None:
    """The kernel's limit on files may stop the engine before we have seen how large it is."""

    def write(target: int) -> int:
        os.pwrite(target, b"x" * 1000, 0)
        raise duckdb.IOException("File too large")

    def on_progress(size_bytes: int) -> None:
        if size_bytes >= 1000:
            raise RuntimeError("over the limit")

    with pytest.raises(RuntimeError, match="over the limit"):
        _follow(_by_hand(path, write), file, _release([]), on_progress)


def test_an_error_of_the_copy_is_raised_and_nothing_more_is_read(
    path: Path, file: SharedFile
) -> None:
    kept: list[bytes] = []

    def write(target: int) -> int:
        os.pwrite(target, b"\0" + b"x" * CHUNK_BYTES, 0)
        raise duckdb.InvalidInputException("late")

    with pytest.raises(duckdb.InvalidInputException, match="late"):
        _follow(_by_hand(path, write), file, _release(kept))
    assert kept == []


def test_the_file_is_brought_to_the_disk_after_a_copy_that_succeeded(path: Path) -> None:
    synced: list[int] = []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    file = SharedFile(descriptor, _nothing, lambda: synced.append(path.stat().st_size))

    def fail(target: int) -> int:
        raise duckdb.InvalidInputException("late")

    with pytest.raises(duckdb.Error):
        _follow(_by_hand(path, fail), file, _release([]))
    assert synced == []
    _follow(_by_hand(path, lambda t: os.pwrite(t, b"abc", 0)), file, _release([]))
    os.close(descriptor)
    assert synced == [3]

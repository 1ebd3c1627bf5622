"""The pipe between DuckDB and us: when either side fails, the other stops."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from queryrun.results.compress import Chunks
from queryrun.results.concurrent_copy import Copy
from queryrun.results.copy_pipe import copy_through_pipe

ENDLESS = "SELECT * FROM range(100000000000)"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the pipe will be."""
    return str(tmp_path / "out")


def _copy(
    connection: duckdb.DuckDBPyConnection, path: str, query: str, options: str = "FORMAT csv"
) -> Copy:
    def run() -> int:
        sql = f"COPY ({query}) TO '{path}' ({options}, USE_TMP_FILE false)"
        row = connection.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    return Copy(path, run, connection.interrupt)


def _release(into: list[bytes]) -> Callable[[Chunks], None]:
    def consume(chunks: Chunks) -> None:
        into.extend(bytes(chunk) for chunk in chunks)

    return consume


@pytest.mark.parametrize("rows", [0, 1, 1_000_000])
def test_all_bytes_pass_through(
    connection: duckdb.DuckDBPyConnection, path: str, rows: int
) -> None:
    kept: list[bytes] = []
    copied = copy_through_pipe(
        _copy(connection, path, f"SELECT * FROM range({rows}) t(i)"), _release(kept)
    )
    assert copied == rows
    assert b"".join(kept).decode().splitlines() == ["i", *map(str, range(rows))]
    assert not Path(path).exists()


def test_an_empty_result_passes_through(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    kept: list[bytes] = []
    copy = _copy(connection, path, "SELECT 1 AS i WHERE false", "FORMAT json")
    assert copy_through_pipe(copy, _release(kept)) == 0
    assert b"".join(kept) == b""


def test_an_error_before_the_pipe_was_opened_leaves_no_thread_waiting(
    connection: duckdb.DuckDBPyConnection, path: str
) -> None:
    with pytest.raises(duckdb.BinderException):
        copy_through_pipe(_copy(connection, path, "SELECT missing"), _release([]))
    assert not Path(path).exists()


def test_an_error_in_the_middle_is_raised(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    query = "SELECT CASE WHEN i > 900000 THEN error('late') END FROM range(1000000) t(i)"
    with pytest.raises(duckdb.InvalidInputException, match="late"):
        copy_through_pipe(_copy(connection, path, query), _release([]))


def test_a_reader_that_fails_on_the_first_bytes_ends_an_endless_copy(
    connection: duckdb.DuckDBPyConnection, path: str
) -> None:
    def consume(chunks: Chunks) -> None:
        next(iter(chunks))
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        copy_through_pipe(_copy(connection, path, ENDLESS), consume)
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_reader_that_fails_before_the_first_byte_ends_an_endless_copy(
    connection: duckdb.DuckDBPyConnection, path: str
) -> None:
    """The pipe may not be open yet at the other end, and opening must not wait forever."""

    def consume(chunks: Chunks) -> None:
        raise RuntimeError("no space for the file")

    with pytest.raises(RuntimeError, match="no space"):
        copy_through_pipe(_copy(connection, path, ENDLESS), consume)


def test_a_reader_that_fails_while_nothing_is_written_yet_ends_the_statement(
    connection: duckdb.DuckDBPyConnection, path: str
) -> None:
    """The statement computes and would write only much later: it is interrupted."""

    def consume(chunks: Chunks) -> None:
        raise RuntimeError("gone")

    query = "SELECT sum(hash(range)) FROM range(100000000000)"
    with pytest.raises(RuntimeError, match="gone"):
        copy_through_pipe(_copy(connection, path, query, "FORMAT json"), consume)


def test_a_copy_that_is_interrupted_ends_the_reader(
    connection: duckdb.DuckDBPyConnection, path: str
) -> None:
    has_begun = threading.Event()
    is_over = threading.Event()

    def interrupt() -> None:
        has_begun.wait()
        while not is_over.is_set():
            connection.interrupt()
            is_over.wait(0.001)

    def consume(chunks: Chunks) -> None:
        for _ in chunks:
            has_begun.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(duckdb.InterruptException):
            copy_through_pipe(_copy(connection, path, ENDLESS), consume)
    finally:
        is_over.set()
        thread.join()


def test_leftovers_of_a_killed_worker_do_not_interfere(
    connection: duckdb.DuckDBPyConnection, path: str
) -> None:
    Path(path).write_text("left over")
    kept: list[bytes] = []
    assert copy_through_pipe(_copy(connection, path, "SELECT 1 AS i"), _release(kept)) == 1
    assert b"".join(kept) == b"i\n1\n"


def test_no_descriptor_and_no_thread_stays_behind(
    connection: duckdb.DuckDBPyConnection, path: str
) -> None:
    def fail(chunks: Chunks) -> None:
        raise RuntimeError

    before = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208 - a count
    for _ in range(5):
        copy_through_pipe(_copy(connection, path, "SELECT 1"), _release([]))
        with pytest.raises(duckdb.Error):
            copy_through_pipe(_copy(connection, path, "SELECT missing"), _release([]))
        with pytest.raises(RuntimeError):
            copy_through_pipe(_copy(connection, path, ENDLESS), fail)
    after = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208 - a count
    assert after == before

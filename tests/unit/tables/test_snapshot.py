"""One statement reads one version, whatever happens to the files meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.directory import DataDirectory
from queryrun.tables.snapshot import Snapshot
from tests.unit.tables.reading import Reading

TWICE = "SELECT a.v, b.v FROM (SELECT sum(v) AS v FROM t) AS a, (SELECT sum(v) AS v FROM t) AS b"


def _replace(path: Path, value: int) -> None:
    """By rename, as the page about data says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    pq.write_table(pa.table({"v": [value] * 1000}), new)
    new.rename(path)


def _write_in_place(path: Path, value: int) -> None:
    path.write_text("v\n" + f"{value}\n" * 1000)


@contextmanager
def _meanwhile(step: Callable[[int], None]) -> Iterator[None]:
    """`step` again and again, until the block has ended."""
    stop = threading.Event()

    def run() -> None:
        value = 1
        while not stop.is_set():
            step(value := value + 1)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _asked(reading: Reading, times: int) -> tuple[list[tuple[int, int]], set[FailureCode]]:
    """The sums that statements gave, and the codes of those that failed."""
    sums: list[tuple[int, int]] = []
    failures = set()
    for _ in range(times):
        try:
            ((first, second),) = reading.rows(TWICE)
            sums.append((first, second))
        except RunFailed as failed:
            failures.add(failed.failure.code)
        reading.session.renew()
    return sums, failures


@pytest.mark.parametrize("path", ["t.parquet", "t/a.parquet", "t/k=1/a.parquet"])
def test_a_table_that_is_replaced_all_the_time_has_one_version_per_statement(
    reading: Reading, path: str
) -> None:
    _replace(reading.data / path, 1)
    with _meanwhile(lambda value: _replace(reading.data / path, value)):
        sums, failures = _asked(reading, 12)
    assert all(first == second and first % 1000 == 0 for first, second in sums)
    assert failures <= {FailureCode.DATA_CHANGED}


def test_a_file_that_is_written_in_place_is_one_version_or_a_failure(reading: Reading) -> None:
    path = reading.data / "t.csv"
    _write_in_place(path, 1)
    with _meanwhile(lambda value: _write_in_place(path, value)):
        sums, failures = _asked(reading, 8)
    assert all(first == second for first, second in sums)
    assert failures <= {FailureCode.DATA_CHANGED, FailureCode.DATA_INVALID}


def _snapshot(directory: Path) -> Snapshot:
    return Snapshot(DataDirectory(directory))


def test_what_is_deleted_or_replaced_is_read_as_it_was(tmp_path: Path) -> None:
    _replace(tmp_path / "a.parquet", 1)
    _replace(tmp_path / "b.parquet", 1)
    snapshot = _snapshot(tmp_path)
    paths = [snapshot.table(name).paths[0] for name in "ab"]
    (tmp_path / "a.parquet").unlink()
    _replace(tmp_path / "b.parquet", 2)
    assert [pq.read_table(path)["v"][0].as_py() for path in paths] == [1, 1]
    snapshot.verify()
    snapshot.close()


@pytest.mark.parametrize("mode", ["ab", "wb", "r+b"])
def test_a_write_in_place_is_noticed_and_named(tmp_path: Path, mode: str) -> None:
    _replace(tmp_path / "a.parquet", 1)
    snapshot = _snapshot(tmp_path)
    snapshot.table("a")
    with (tmp_path / "a.parquet").open(mode) as file:
        file.write(b"PAR1")
    with pytest.raises(RunFailed, match="data_changed") as failed:
        snapshot.verify()
    assert "'a.parquet' was written in place" in failed.value.failure.message
    snapshot.close()


def test_files_are_closed(tmp_path: Path) -> None:
    for number in range(20):
        _replace(tmp_path / "t" / f"{number}.parquet", number)
    before = len(list(Path("/proc/self/fd").iterdir()))
    snapshot = _snapshot(tmp_path)
    assert len(snapshot.table("t").files) == 20
    snapshot.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before

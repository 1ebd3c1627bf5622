"""An estimator keeps what it has seen of files; whatever becomes of them, it says what is true."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import duckdb
import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb import estimate as estimating
from queryrun.engines.duckdb import scan_memory, scan_sizes
from queryrun.engines.duckdb.estimate import DuckDBEstimator
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.engines.estimates import StatementEstimate
from queryrun.errors import FailureCode, RunFailed
from queryrun.tables import snapshot

ALL_ROWS = RowFilter(marks_deleted=False)
JOIN = "SELECT o.id FROM one o JOIN parts p ON p.id = o.id WHERE p.day = '02'"


def write(path: Path, select: str, options: str = "") -> None:
    """Write a Parquet file under another name, and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.parent / "_made"
    duckdb.sql(f"COPY ({select}) TO '{made}' (FORMAT parquet{options})")
    made.rename(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A table of one file, and one of partitions."""
    root = tmp_path / "data"
    write(root / "one.parquet", "SELECT i AS id FROM range(1000) r(i)")
    for day in ("01", "02"):
        path = root / "parts" / f"day={day}" / "a.parquet"
        write(path, "SELECT i AS id, 'x' AS kind FROM range(500) r(i)")
    return root


@pytest.fixture
def estimator(data: Path, tmp_path: Path) -> Iterator[DuckDBEstimator]:
    """The one that stays."""
    yield from opened(data, tmp_path / "work")


def opened(data: Path, work: Path) -> Iterator[DuckDBEstimator]:
    """An estimator over this data."""
    work.mkdir()
    options = {"data_dir": str(data), "dialect": "trino"}
    found = DuckDBEstimator(options, EngineLimits(2**28, 1, str(work), 0), "UTC")
    yield found
    found.close()


def outcome(estimator: DuckDBEstimator, sql: str) -> StatementEstimate | FailureCode:
    """The estimate, or how the statement fails."""
    try:
        return estimator.estimate(sql, ALL_ROWS)
    except RunFailed as failed:
        return failed.failure.code
    finally:
        estimator.prepare()


def rows_read(estimator: DuckDBEstimator, sql: str) -> dict[str, int | None]:
    """By table."""
    return {one.name: one.read_rows for one in estimator.estimate(sql, ALL_ROWS).tables}


def replaced(data: Path) -> None:
    write(data / "one.parquet", "SELECT i AS id, i AS more FROM range(70) r(i)")


def added(data: Path) -> None:
    write(data / "parts" / "day=02" / "b.parquet", "SELECT i AS id, 'y' AS kind FROM range(9) r(i)")


def new_partition(data: Path) -> None:
    write(data / "parts" / "day=03" / "a.parquet", "SELECT i AS id, 'y' AS kind FROM range(9) r(i)")


def removed(data: Path) -> None:
    (data / "one.parquet").unlink()


def other_format(data: Path) -> None:
    (data / "one.parquet").unlink()
    (data / "one.csv").write_text("id,word\n1,a\n", encoding="utf-8")


def overwritten(data: Path) -> None:
    other = data.parent / "other.parquet"
    write(other, "SELECT i AS id FROM range(40) r(i)")
    (data / "one.parquet").write_bytes(other.read_bytes())


def ambiguous(data: Path) -> None:
    (data / "one.csv").write_text("id\n1\n", encoding="utf-8")


def defined(data: Path) -> None:
    (data / "tables.toml").write_text('[one]\nfiles = ["parts/*/*.parquet"]\n', encoding="utf-8")


def swapped(data: Path) -> None:
    write(data / "later.parquet", "SELECT i AS id FROM range(11) r(i)")
    (data / "one.parquet").rename(data / "gone.parquet")
    (data / "later.parquet").rename(data / "one.parquet")


def unchanged(data: Path) -> None:
    assert data.is_dir()


CHANGES = [
    replaced,
    added,
    new_partition,
    removed,
    other_format,
    overwritten,
    ambiguous,
    defined,
    swapped,
    unchanged,
]
STATEMENTS = [
    "SELECT * FROM one",
    "SELECT id FROM one WHERE id < 50",
    "SELECT * FROM parts WHERE day = '02'",
    "SELECT count(*) FROM parts",
    JOIN,
    "SELECT kind FROM one",
    "SELECT table_name FROM information_schema.tables",
    "SELECT 1 +",
]


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_an_estimate_is_that_of_one_who_never_saw_the_files(
    data: Path, estimator: DuckDBEstimator, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    for sql in STATEMENTS:
        outcome(estimator, sql)
    change(data)
    found = [outcome(estimator, sql) for sql in STATEMENTS]
    (fresh,) = ([outcome(one, sql) for sql in STATEMENTS] for one in opened(data, tmp_path / "new"))
    assert found == fresh


def test_an_unchanged_file_is_opened_once(
    data: Path, estimator: DuckDBEstimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_files: list[str] = []
    real = os.open

    def counted(path: str, *rest: int) -> int:
        opened_files.append(str(path))
        return real(path, *rest)

    monkeypatch.setattr(os, "open", counted)
    for _ in range(3):
        assert rows_read(estimator, JOIN) == {"one": 1000, "parts": 500}
    assert sorted(path for path in opened_files if path.startswith(f"{data}/one")) == [
        str(data / "one.parquet")
    ]


def test_an_idle_estimator_keeps_no_file_open(data: Path, estimator: DuckDBEstimator) -> None:
    rows_read(estimator, JOIN)
    assert open_below(data)
    estimator.release_files()
    assert not open_below(data)
    assert rows_read(estimator, JOIN) == {"one": 1000, "parts": 500}


def open_below(data: Path) -> list[str]:
    """Files of the data that this process has open."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [str(link) for link in links if str(link.resolve()).startswith(str(data))]


def test_two_names_of_one_file_are_read_twice(data: Path, estimator: DuckDBEstimator) -> None:
    (data / "twice").mkdir()
    for name in ("a.parquet", "b.parquet"):
        os.link(data / "one.parquet", data / "twice" / name)
    for _ in range(2):
        assert rows_read(estimator, "SELECT id FROM twice") == {"twice": 2000}


def test_more_row_groups_than_are_remembered_are_read_each_time(
    data: Path, estimator: DuckDBEstimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_memory, "MAX_CHUNKS", 5)
    write(
        data / "groups.parquet",
        "SELECT i AS id FROM range(20000) r(i)",
        ", ROW_GROUP_SIZE 2048",
    )
    few = "SELECT id FROM groups WHERE id < 10"
    for _ in range(2):
        assert rows_read(estimator, few) == {"groups": 2048}
        assert rows_read(estimator, JOIN) == {"one": 1000, "parts": 500}


def test_tables_of_more_files_than_are_kept_are_estimated_alike(
    estimator: DuckDBEstimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MAX_KEPT_FILES", 1)
    for _ in range(2):
        assert rows_read(estimator, JOIN) == {"one": 1000, "parts": 500}


def test_another_engine_is_opened_after_the_response(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "STATEMENTS_PER_ENGINE", 2)
    engines: list[DuckDBSession] = []

    def counted(*of: Any, **more: Any) -> DuckDBSession:
        engines.append(open_session(*of, **more))
        return engines[-1]

    monkeypatch.setattr(f"{DuckDBEstimator.__module__}.open_session", counted)
    for one in opened(data, tmp_path / "work"):
        for count in (1, 1, 2, 2, 3):
            assert rows_read(one, JOIN) == {"one": 1000, "parts": 500}
            assert len(engines) == count
            one.prepare()


@pytest.mark.parametrize("deleted", ["exclude", "only", "include"])
def test_deleted_rows_are_asked_for_anew(tmp_path: Path, deleted: str) -> None:
    data = tmp_path / "marked"
    write(data / "one.parquet", "SELECT i AS id, i % 2 = 0 AS deleted FROM range(100) r(i)")
    (kept,) = (
        [
            one.estimate("SELECT * FROM one", RowFilter(deleted_rows=way))
            for way in ("only", deleted)
        ]
        for one in opened(data, tmp_path / "kept")
    )
    (fresh,) = (
        one.estimate("SELECT * FROM one", RowFilter(deleted_rows=deleted))
        for one in opened(data, tmp_path / "fresh")
    )
    assert kept[1] == fresh


@pytest.mark.parametrize(
    ("sql", "plans"),
    [
        ("SELECT w.more FROM wide w JOIN parts p ON p.id = w.id WHERE p.day = '02'", 1),
        ("SELECT a.more, b.more FROM wide a, wide b, parts p WHERE p.day = '02'", 1),
        (JOIN, 2),
        ("SELECT o.id FROM one o JOIN wide w ON w.id = o.id WHERE w.more > 5", 2),
        ("SELECT id FROM one UNION ALL SELECT id FROM wide", 2),
    ],
)
def test_a_statement_is_planned_again_only_when_a_scan_may_be_of_two_tables(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str, plans: int
) -> None:
    write(data / "wide.parquet", "SELECT i AS id, i AS more FROM range(300) r(i)")
    counted = Mock(wraps=scan_sizes._plan)
    monkeypatch.setattr(scan_sizes, "_plan", counted)
    (known,) = ([outcome(one, sql) for _ in range(2)] for one in opened(data, tmp_path / "known"))
    assert counted.call_count == 2 * plans
    monkeypatch.setattr(scan_sizes._Reading, "_distinguished", lambda *_: None)
    (marked,) = ([outcome(one, sql) for _ in range(2)] for one in opened(data, tmp_path / "marked"))
    assert known == marked
    assert isinstance(known[0], StatementEstimate)


@pytest.mark.parametrize("columns", ["*", "s", "s.a", "price, t", "count(*)"])
def test_what_is_added_up_once_is_what_the_ends_of_the_files_say(
    data: Path, estimator: DuckDBEstimator, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    row = "i AS id, {'a': i, 'b': 'x' || i} AS s, i * 1.5 AS price, 'Text' || i AS T"
    for number in (1, 2):
        path = data / "many" / f"{number}.parquet"
        write(path, f"SELECT {row} FROM range({number * 5000}) r(i)", ", ROW_GROUP_SIZE 2048")
    write(data / "many" / "3.parquet", f"SELECT {row} FROM range(0) r(i)")
    sql = f"SELECT {columns} FROM many"
    added_up = outcome(estimator, sql)
    monkeypatch.setattr(scan_memory, "MAX_FILES", 0)
    assert outcome(estimator, sql) == added_up
    assert isinstance(added_up, StatementEstimate)


def test_a_statements_columns_are_learned_from_few_files_and_are_those_of_all(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "SELECT i * 1.5 AS id, i AS later FROM range(9) r(i)"
    write(data / "parts" / "day=02" / "b.parquet", rows)
    statements = [*STATEMENTS, "SELECT *, later + 1 FROM parts", "SELECT id || kind FROM parts"]
    (few,) = ([outcome(one, sql) for sql in statements] for one in opened(data, tmp_path / "few"))
    monkeypatch.setattr(DuckDBSession, "describe_on", lambda *_: None)
    (whole,) = ([outcome(one, sql) for sql in statements] for one in opened(data, tmp_path / "all"))
    assert few == whole
    assert any(isinstance(one, StatementEstimate) for one in few)

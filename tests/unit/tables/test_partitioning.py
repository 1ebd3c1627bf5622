"""Partition columns that `tables.toml` names."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.tables.reading import Reading


def _write(reading: Reading, name: str, value: int) -> None:
    path = reading.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"n": pa.array([value], pa.int64())}), path)
    else:
        path.write_text(f"n\n{value}\n")


def _define(reading: Reading, text: str) -> None:
    (reading.data / "tables.toml").write_text(f"[tables.t]\n{text}\n")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("given", "rows"),
    [
        ('partitioning = ["year", "month"]', [(1, 2023, "12"), (2, 2024, "06")]),
        (
            'partitioning = { year = "varchar", month = "bigint" }',
            [(1, "2023", 12), (2, "2024", 6)],
        ),
    ],
)
def test_directories_of_values_alone_are_columns(
    reading: Reading, ending: str, given: str, rows: list[tuple[object, ...]]
) -> None:
    _write(reading, f"t/2023/month=12/a.{ending}", 1)
    _write(reading, f"t/2024/month=06/a.{ending}", 2)
    _define(reading, given)
    assert reading.rows("SELECT n, year, month FROM t ORDER BY n") == rows
    assert reading.rows("SELECT n FROM t WHERE CAST(month AS bigint) = 6") == [(2,)]


def test_the_directories_right_above_the_files_count(reading: Reading) -> None:
    _write(reading, "in/north/2024-01-31/a.csv", 1)
    _write(reading, "in/south/2024-02-29/b.csv", 2)
    _define(reading, 'files = "in/*/*/*.csv"\npartitioning = { day = "date" }')
    assert reading.rows("SELECT day, n FROM t ORDER BY n") == [
        (date(2024, 1, 31), 1),
        (date(2024, 2, 29), 2),
    ]


def test_without_a_name_directories_say_nothing(reading: Reading) -> None:
    _write(reading, "t/a=1/x.csv", 1)
    _write(reading, "t/a=2/x.csv", 2)
    _define(reading, "partitioning = []")
    assert reading.rows("SELECT * FROM t ORDER BY n") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("t/2024/a.csv", '["year", "month"]', "partitioning names 2 directories, and 't/2024/a"),
        ("t/y=2024/a.csv", '["year"]', "has 'y' where its partitioning has 'year'"),
        ("t/a=1/2024/a.csv", '["year"]', "in more `key=value` directories"),
        (
            "t/20x4/a.csv",
            '{ year = "bigint" }',
            "has '20x4' for the column 'year', which is no big",
        ),
        ("t/2023-02-29/a.csv", '{ day = "date" }', "which is no date"),
        (
            "t/2024/a.csv",
            '{ year = "double" }',
            "line 2 column 18: column 'year': the type of a directory's",
        ),
        ("t/2024/a.csv", '["year", "Year"]', "line 2 column 1: each name is given once"),
        ("t/2024/a.csv", '"year"', "line 2 column 1: a list of names, or a table of names"),
        ("t/2024/a.csv", "{ year = [5] }", "bigint, date or varchar"),
        ("t/2024/a.csv", "[5]", "line 2 column 1: a list of texts is wanted"),
        ("t.csv", '["year"]', "partitioning names 1 directories, and 't.csv' is in 0"),
        ("t/_delta_log/a.json", '["year"]', "which says nothing of Delta tables"),
    ],
)
def test_what_does_not_fit_is_named(reading: Reading, name: str, given: str, words: str) -> None:
    _write(reading, name, 1)
    _define(reading, f"partitioning = {given}")
    assert words in reading.failure("SELECT * FROM t").message


@pytest.mark.parametrize("name", [b"/\xff", b"/year=\xff", b"/\xff=1"])
def test_a_directory_that_is_no_utf_8_is_no_value(reading: Reading, name: bytes) -> None:
    directory = Path(os.fsdecode(os.fsencode(reading.data / "t") + name))
    directory.mkdir(parents=True)
    (directory / "a.csv").write_text("n\n1\n")
    if b"=" not in name:
        _define(reading, 'partitioning = ["year"]')
    assert "is no UTF-8" in reading.failure("SELECT * FROM t").message

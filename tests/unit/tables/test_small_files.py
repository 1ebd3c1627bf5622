"""Tables of many small files: converted together they are what they are one by one."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from queryrun.engines.base import RowFilter
from queryrun.errors import RunFailed
from queryrun.tables.text import read
from queryrun.tables.text.convert import Converter
from tests.data_suite.generate import column
from tests.unit.tables.reading import Reading

ONE_BY_ONE = 10**9
Write = Callable[[Path, Sequence[str], list[list[str]]], None]


def _write_csv(path: Path, names: Sequence[str], columns: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *zip(*columns, strict=True)])


def _write_json(path: Path, names: Sequence[str], columns: list[list[str]]) -> None:
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(json.dumps(row) for row in rows))


def _outcome(reading: Reading, sql: str = "SELECT * FROM t") -> object:
    """The rows with their types, or the failure's words."""
    try:
        found = reading.session.plan(sql, RowFilter(marks_deleted=False))
        kinds = [str(kind) for kind in found.connection.sql(found.relation).types]
        return kinds, sorted(map(repr, reading.rows(sql)))
    except RunFailed as failed:
        return failed.failure
    except Exception:
        return reading.failure(sql)


def _both(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    together = _outcome(reading)
    with monkeypatch.context() as changed:
        changed.setattr(read, "MIN_TOGETHER", ONE_BY_ONE)
        return together, _outcome(reading)


@pytest.mark.parametrize(("ending", "write"), [("csv", _write_csv), ("jsonl", _write_json)])
@pytest.mark.parametrize("seed", range(4))
def test_files_of_any_values_are_read_together_as_they_are_one_by_one(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, ending: str, write: Write, seed: int
) -> None:
    """Some files have the same types, some have others, and some have other columns."""
    r = random.Random(seed)  # noqa: S311 - a test's own
    (reading.data / "t").mkdir()
    shared = [column(r, 300) for _ in range(3)]
    for number in range(6):
        chosen = [r.sample(values, 30) for values in shared]
        names = ["a", "b", "c"]
        if r.random() < 0.2:
            chosen[r.randrange(3)] = column(r, 30)
        if r.random() < 0.2:
            names[2] = "d"
        write(reading.data / "t" / f"{number}.{ending}", names, chosen)
    together, alone = _both(reading, monkeypatch)
    assert together == alone


def test_what_is_small_and_plain_takes_one_statement_for_all_files(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    (reading.data / "t").mkdir()
    for number in range(50):
        (reading.data / "t" / f"{number:02}.csv").write_text(f"a,b\n{number},x\n")

    def fails(*_: object) -> None:
        raise AssertionError("a file was converted by itself")

    monkeypatch.setattr(Converter, "convert", fails)
    assert reading.rows("SELECT sum(a), count(DISTINCT b), count(*) FROM t") == [(1225, 1, 50)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2,3\n", "t/5.csv' line 2 has 3 values instead of 2"),
        (b'a,b\n1,"x\n', "t/5.csv' line 2 has a quote that is not closed"),
        (b"a,b\n1,\xff\n", "t/5.csv' line 2 is not UTF-8"),
        (b"1,2\n3,4\n", "t/5.csv' line 1 may be a row of values"),
        (b"a,A\n1,2\n", "t/5.csv' line 1 has two columns"),
    ],
)
def test_a_fault_in_one_of_many_small_files_is_named(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    (reading.data / "t").mkdir()
    for number in range(9):
        (reading.data / "t" / f"{number}.csv").write_text(f"a,b\n{number},x\n")
    (reading.data / "t" / "5.csv").write_bytes(content)
    together, alone = _both(reading, monkeypatch)
    assert together == alone
    assert words in reading.failure("SELECT * FROM t").message


def test_a_value_that_is_not_of_its_defined_type_is_named_among_many_small_files(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    (reading.data / "t").mkdir()
    (reading.data / "tables.toml").write_text('[tables.t.columns]\na = "decimal(9,2)"\n')
    for number in range(9):
        (reading.data / "t" / f"{number}.csv").write_text(f"a,b\n{number}.5,x\n")
    assert reading.rows("SELECT CAST(sum(a) AS varchar) FROM t") == [("40.50",)]
    (reading.data / "t" / "7.csv").write_text("a,b\n1.5,x\n7.555,x\n")
    together, alone = _both(reading, monkeypatch)
    assert together == alone
    assert "t/7.csv' line 3, column 'a', has '7.555'" in reading.failure("SELECT * FROM t").message


def test_an_archive_that_is_long_when_it_is_unpacked_is_converted_by_itself(
    reading: Reading,
) -> None:
    import gzip

    (reading.data / "t").mkdir()
    for number in range(3):
        rows = "".join(f"{index},{number}\n" for index in range(200_000))
        data = gzip.compress(b"a,b\n" + rows.encode(), 1)
        (reading.data / "t" / f"{number}.csv.gz").write_bytes(data)
    assert reading.rows("SELECT sum(a), sum(b) FROM t") == [(3 * 19999900000, 600_000)]

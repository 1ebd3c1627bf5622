"""Row groups that a thread reads while the ones before are written."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from queryrun.tables.text.convert import Converter
from queryrun.tables.text.copy_writer import read_ahead
from queryrun.tables.text.delimited import Layout
from queryrun.tables.text.sources import DelimitedSource
from queryrun.tables.text.stream import TextFile


def _group(number: int) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pydict({"c0": [str(number)]})]


def _readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_all_groups_come_out_in_their_order() -> None:
    groups = [_group(number) for number in range(50)]
    assert list(read_ahead(iter(groups))) == groups


def test_what_reading_raises_comes_out_behind_the_groups_before() -> None:
    def broken() -> Iterator[list[pa.RecordBatch]]:
        yield _group(1)
        raise OSError("the disk is gone")

    groups = read_ahead(broken())
    assert next(groups) == _group(1)
    with pytest.raises(OSError, match="the disk is gone"):
        next(groups)
    assert not _readers()


@pytest.mark.parametrize("taken", [1, 2, 5])
def test_no_thread_is_left_of_groups_that_nobody_took(taken: int) -> None:
    read = itertools.count()
    with contextlib.closing(read_ahead(_group(number) for number in read)) as groups:
        for _ in range(taken):
            next(groups)
    assert not _readers()
    assert next(read) <= taken + 3  # one waits, one is handed over, one is being read


def test_a_value_that_fits_no_type_leaves_no_thread(tmp_path: Path) -> None:
    rows = "\n".join(["n", *map(str, range(300_000)), "x"])
    (tmp_path / "t.csv").write_text(rows)
    source = DelimitedSource(TextFile(str(tmp_path / "t.csv"), "t.csv"), Layout())
    with contextlib.closing(Converter({})) as converter:
        converted = converter.convert(source, tmp_path / "t.parquet")
    assert converted.columns[0].kind == "VARCHAR"
    assert not _readers()


def test_an_interrupt_ends_the_thread(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["n", *map(str, range(300_000))]))
    source = DelimitedSource(TextFile(str(tmp_path / "t.csv"), "t.csv"), Layout())
    with contextlib.closing(Converter({})) as converter:
        converter.interrupt()
        with pytest.raises(duckdb.InterruptException):
            converter.convert(source, tmp_path / "t.parquet")
    assert not _readers()

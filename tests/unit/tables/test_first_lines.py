"""The first line of a delimited file: a header, or something else that must not become one."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.tables.reading import Reading


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
    return made.getvalue()


def _parquet() -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["a,b\n1,x\n", "2,y\n"], "'t/1.csv' line 1 may be a row of values"),
        (["a,b\n1,x\n", "bob,lee\n"], "names no column that another file has"),
        (["a,b\n1,x\n", "bob,lee\nann,ray\n"], "names no column that another file has"),
        (["ann,ray\n", "bob,lee\n", "tom,kim\n"], "names no column that another file has"),
        (["2024-01-02,x\n"], "'t/0.csv' line 1 may be a row of values"),
    ],
)
def test_a_file_without_a_header_loses_no_row(
    reading: Reading, files: list[str], words: str
) -> None:
    (reading.data / "t").mkdir()
    for number, text in enumerate(files):
        (reading.data / "t" / f"{number}.csv").write_text(text)
    assert words in reading.failure("SELECT * FROM t").message


def test_files_that_share_some_columns_are_one_table(reading: Reading) -> None:
    (reading.data / "t").mkdir()
    for number, text in enumerate(["a,b\n1,x\n", "B,c\ny,2\n", "c,d\n3,z\n"]):
        (reading.data / "t" / f"{number}.csv").write_text(text)
    assert reading.rows("SELECT count(a), count(b), count(c), count(d) FROM t") == [(1, 2, 2, 1)]


@pytest.mark.parametrize(("first", "second"), [("Ä", "ä"), ("ä", "Ä"), ("ÉTÉ", "été")])
def test_names_that_differ_in_case_are_one_column_of_all_files_in_any_script(
    reading: Reading, first: str, second: str
) -> None:
    (reading.data / "t").mkdir()
    for number, (ending, name) in enumerate([("csv", first), ("csv", second), ("csv", first)]):
        (reading.data / "t" / f"{number}.{ending}").write_text(f"{name},b\n{number},x\n")
    assert reading.rows("SELECT * FROM t ORDER BY 1") == [(0, "x"), (1, "x"), (2, "x")]


def test_a_definition_says_that_there_is_no_header(reading: Reading) -> None:
    (reading.data / "t").mkdir()
    (reading.data / "tables.toml").write_text('[tables.t]\nheader = false\nnames = ["n", "v"]\n')
    for number, text in enumerate(["bob,1\n", "lee,2\n"]):
        (reading.data / "t" / f"{number}.csv").write_text(text)
    assert reading.rows("SELECT n, v FROM t ORDER BY 1") == [("bob", 1), ("lee", 2)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "is a gzip archive, not text: add .gz to its name"),
        (bz2.compress(b"a,b\n1,2\n"), "is a bzip2 archive, not text"),
        (_zip(), "is a workbook or archive, not text: save it as text"),
        (_parquet(), "is a Parquet file, not text: let its name end in .parquet"),
        (b"SQLite format 3\0" + b"\0" * 84, "is a database, not text"),
        (b'{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "line 1 is JSON, not delimited text"),
        (b'[\n {"a": 1},\n {"a": 2}]\n', "line 1 is JSON, not delimited text"),
        (b"<!DOCTYPE html>\n<p>Sign in, please</p>\n", "line 1 is a page or XML"),
        (b"<!-- saved -->\n<table></table>\n", "line 1 is a page or XML"),
        (b" <head><title>Sign in</title></head>\n<p>1</p>\n", "line 1 is a page or XML"),
    ],
)
def test_a_file_of_another_kind_under_the_name_of_text_is_named(
    reading: Reading, content: bytes, words: str
) -> None:
    (reading.data / "t.csv").write_bytes(content)
    assert words in reading.failure("SELECT * FROM t").message

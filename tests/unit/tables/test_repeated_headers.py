"""Files that were joined by `cat`: the header of the second must not become a row."""

from __future__ import annotations

import gzip

import pytest

from queryrun.tables.text import read
from tests.unit.tables.reading import Reading

FIRST = "id,name\n1,Ann\n2,Bob\n"
SECOND = "id,name\n3,Tom\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (FIRST + SECOND, 4),
        (FIRST + FIRST.replace("id,name", '"id",name') + SECOND, 4),
        ("id,name\r\n1,Ann\r\nid,name\r\n2,Bob\r\n", 3),
        ('id,name\n1,"a\nb"\nid,name\n', 4),
        ("id;name\n1;Ann\nid;name\n", 3),
        (",name\n0,Ann\n,name\n1,Bob\n", 3),
        (FIRST + "3,Tom\n" * 2000 + SECOND, 2004),
        ("code,name\nx,y\ncode,name\n", 3),
    ],
)
def test_a_second_header_is_a_fault_with_its_line(reading: Reading, text: str, line: int) -> None:
    (reading.data / "t.csv").write_text(text, newline="")
    for sql in ("SELECT count(*) FROM t", "SELECT name FROM t"):
        message = reading.failure(sql).message
        assert f"'t.csv' line {line} repeats the names of the columns" in message, sql
        assert "header = true" in message


def test_archives_that_were_joined_are_no_exception(reading: Reading) -> None:
    joined = gzip.compress(FIRST.encode()) + gzip.compress(SECOND.encode())
    (reading.data / "t.csv.gz").write_bytes(joined)
    assert "line 4 repeats the names" in reading.failure("SELECT * FROM t").message


def test_a_few_columns_of_a_long_file_show_no_second_header_and_miss_none(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement has the columns converted that it names: one of them may have such a value."""
    monkeypatch.setattr(read, "SOME_COLUMNS_BYTES", 1)
    (reading.data / "value.csv").write_text("id,name\nx,name\nid,Bob\n")
    (reading.data / "header.csv").write_text("id,name\nx,Ann\nid,name\n")
    assert reading.rows("SELECT name FROM value") == [("name",), ("Bob",)]
    assert reading.rows("SELECT id FROM value") == [("x",), ("id",)]
    assert "line 3 repeats" in reading.failure("SELECT id FROM header").message


def test_what_is_no_second_header_is_a_row(reading: Reading) -> None:
    for name, text in {
        "part": "id,name\nid,Ann\nx,name\n",
        "single": "name\nAnn\nname\n",
        "capitals": "id,name\nID,NAME\n",
    }.items():
        (reading.data / f"{name}.csv").write_text(text)
        rows = text.splitlines()[1:]
        assert reading.rows(f"SELECT * FROM {name}") == [tuple(one.split(",")) for one in rows]


def test_a_definition_of_the_header_says_that_such_a_row_is_one(reading: Reading) -> None:
    (reading.data / "t.csv").write_text(FIRST + SECOND)
    (reading.data / "tables.toml").write_text("[tables.t]\nheader = true\n")
    assert reading.rows("SELECT count(*) FROM t WHERE name = 'name'") == [(1,)]

"""A long CSV file: the first statement converts what it names, and no statement reads less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import open_session
from queryrun.tables.text import read
from tests.unit.tables.reading import Reading

ROWS = 6_000
"""More than the sample has, so that the types of the first rows are tested on the others."""


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    """A table `t` of a file that counts as long, and copies that are remembered."""
    monkeypatch.setattr(read, "SOME_COLUMNS_BYTES", 1)
    found = Reading(tmp_path)
    copies = tmp_path / "copies"
    copies.mkdir()
    limits = EngineLimits(256 * 1024**2, 2, str(tmp_path / "spill"), 64 * 1024**2)
    options = {"data_dir": str(found.data), "dialect": "trino", "copies_dir": str(copies)}
    found.session.close()
    found.session = open_session(options, limits)
    lines = "".join(f"{i},n{i % 7},{i / 2},{i % 2 == 0}\n" for i in range(ROWS))
    (found.data / "t.csv").write_text("id,Name,half,deleted\n" + lines)
    yield found
    found.session.close()


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("SELECT sum(id), count(*) FROM t", (17997000, ROWS)),
        ("SELECT count(*) FROM t", (ROWS,)),
        ('SELECT max(NAME), max("half") FROM t', ("n6", 2999.5)),
        ("SELECT max(x.name), max(y.half) FROM t x JOIN t y USING (id)", ("n6", 2999.5)),
        ("SELECT * FROM t WHERE id = 3", (3, "n3", 1.5, False)),
        ("SELECT t.* FROM t ORDER BY id DESC LIMIT 1", (5999, "n0", 2999.5, False)),
        ("SELECT max(c) FROM t AS u (a, b, c, d)", (2999.5,)),
        ("SELECT max(c) FROM (TABLE t) AS u (a, b, c, d)", (2999.5,)),
        ("WITH u (a, b, c, d) AS (SELECT * FROM t) SELECT max(c) FROM u", (2999.5,)),
        ("WITH u AS (TABLE t) SELECT max(half) FROM u", (2999.5,)),
        ("SELECT max(half) FROM (SELECT * FROM t)", (2999.5,)),
        ("SELECT (SELECT max(half) FROM t WHERE t.id < q.n) FROM (VALUES 3) AS q (n)", (1.0,)),
        ("SELECT max(v) FROM t CROSS JOIN UNNEST(ARRAY[half]) AS u (v)", (2999.5,)),
        ("SELECT max(half) FROM (TABLE t UNION ALL TABLE t)", (2999.5,)),
    ],
)
def test_a_first_and_a_later_statement_have_every_column_they_mean(
    long: Reading, sql: str, row: tuple[object, ...]
) -> None:
    assert long.rows(sql) == [row]
    assert long.rows("SELECT max(half), max(name) FROM t") == [(2999.5, "n6")]
    assert long.rows(sql) == [row]


def test_only_the_columns_of_the_first_statement_are_converted(
    long: Reading, tmp_path: Path
) -> None:
    def sizes() -> list[int]:
        return sorted(path.stat().st_size for path in (tmp_path / "copies").glob("*.parquet"))

    long.rows("SELECT count(deleted) FROM t")
    one = sizes()
    long.rows("SELECT count(*) FROM t WHERE deleted")
    assert sizes() == one
    long.rows("SELECT max(half) FROM t")
    long.rows("SELECT max(name) FROM t")
    assert len(sizes()) == 2
    assert sizes()[1] > 3 * one[0]


def test_a_column_that_is_not_there_is_said_not_to_be(long: Reading) -> None:
    assert long.rows("SELECT max(id) FROM t") == [(5999,)]
    assert "'halv'" in long.failure("SELECT max(halv) FROM t").message


def test_a_late_value_is_a_fault_of_its_column_alone(long: Reading) -> None:
    with (long.data / "t.csv").open("a") as file:
        file.write("7,x,N/A,true\n")
    assert long.rows("SELECT count(id), max(name) FROM t") == [(ROWS + 1, "x")]
    failure = long.failure("SELECT sum(half) FROM t")
    assert f"'t.csv' line {ROWS + 2} has 'N/A' among numbers" in failure.message
    assert long.rows("SELECT count(id) FROM t") == [(ROWS + 1,)]


def test_a_late_value_of_a_wider_type_widens_its_column(long: Reading) -> None:
    with (long.data / "t.csv").open("a") as file:
        file.write("7.25,x,1,true\n")
    assert long.rows("SELECT max(name) FROM t") == [("x",)]
    assert long.rows("SELECT sum(id) FROM t") == [(17997007.25,)]
    assert long.rows("SELECT max(half), min(name) FROM t") == [(2999.5, "n0")]


def test_a_defined_column_fails_every_statement(long: Reading) -> None:
    (long.data / "tables.toml").write_text('[tables.t.columns]\nhalf = "bigint"\n')
    assert "line 2" in long.failure("SELECT max(name) FROM t").message


def test_a_row_too_short_is_found_behind_the_columns_that_are_read(long: Reading) -> None:
    with (long.data / "t.csv").open("a") as file:
        file.write("7,x\n")
    assert f"line {ROWS + 2} has 2 values" in long.failure("SELECT max(id) FROM t").message

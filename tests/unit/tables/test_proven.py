"""What is proven of a whole column is what the engine says of each value by itself."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from queryrun.tables.text import copy_writer, kinds
from queryrun.tables.text.convert import Converter
from queryrun.tables.text.delimited import Layout
from queryrun.tables.text.kinds import Facts
from queryrun.tables.text.proven import TYPES, proven
from queryrun.tables.text.sources import DelimitedSource
from queryrun.tables.text.stream import TextFile
from tests.unit.tables.reading import Reading

FACTS = Facts({"x": 1})
ODD = """
-0,0,-0.0,007,00,0x1F,0x7FFFFFFFFFFFFFFF,-9223372036854775808,9223372036854775807,1e5,1E-05,.5,5.,
9223372036854775808,9007199254740993,9007199254740992.0,nan,inf,-.5,-,.,--1,+1,1/2,1_0,0.1,0001-01-01
0.000012345678901234567,1234567890123456,12345678901.234567,0000-01-01,9999-12-31,2024-02-30,20240101
2024-1-01,2024-01-01Z,2024-01-01T12,2024-01-01T12Z,2024-01-01T12:30,2024-01-01T24:00:00,2024-01-01Z
2024-01-01T23:59:60,2024-01-01T23:59:59.1234567,2024-01-01T12:00:00+02,2024-01-01T12:00:00+0200
2024-01-01T12:00:00+14:59,2024-01-01T12:00:00+15:00,2024-01-01T12:00:00z,2024-01-01T12:00:00Z
0000-12-31T23:59:59-14:00,0001-01-02T00:00:00+14:00,2024-01-01T12:00:00.5Z
true,TRUE,True,tRUE,t,false,1,yes"""


def _values(chance: random.Random) -> list[str]:
    """Odd ones, and usual ones with a character changed."""
    found = ODD.replace("\n", ",").strip(",").split(",")
    for _ in range(1500):
        value = chance.choice(
            [
                str(chance.randrange(-(10 ** chance.randrange(1, 21)), 10**6)),
                f"{chance.uniform(-1e6, 1e6):.{chance.randrange(12)}f}",
                repr(chance.uniform(-1, 1) * 10.0 ** chance.randrange(-8, 20)),
                f"2024-{chance.randrange(1, 13):02}-{chance.randrange(1, 32):02}",
                f"2024-02-{chance.randrange(1, 31):02} 1{chance.randrange(10)}:30:59"
                + chance.choice(["", ".5", ".123456", "Z", "+02:00", ".25-05"]),
            ]
        )
        if chance.random() < 0.4:
            at = chance.randrange(len(value))
            value = (
                value[:at] + chance.choice("019-+.: TZex/ ") + value[at + chance.choice([0, 1]) :]
            )
        found.append(value)
    return found


@pytest.mark.parametrize("kind", sorted({*TYPES} - {"VARCHAR"}))
def test_a_proven_value_is_the_one_that_the_engine_tests_and_casts(kind: str) -> None:
    values = [value for value in _values(random.Random(kind)) if value]  # noqa: S311 - a test's own
    cast = kinds.value_sql("c0", kind).replace("CAST(", "TRY_CAST(")
    checked = kinds.checked_sql("c0", kind, FACTS, tried=kinds.tried_sql("c0", kind))
    is_fine = checked[checked.index("THEN NULL WHEN") + 15 : checked.rindex("THEN")]
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone='UTC'")
        for macro in kinds.MACROS:
            connection.execute(macro)
        connection.register("rows", pa.table({"c0": values}))
        tested = connection.sql(f"SELECT coalesce({is_fine}, false), {cast} FROM rows").fetchall()
    found = 0
    for value, (fine, expected) in zip(values, tested, strict=True):
        array = proven(pa.array([None, value, ""]).slice(1), kind, FACTS)
        if array is not None:
            found += 1
            assert fine, value
            assert array.type == TYPES[kind]
            assert repr(array.to_pylist()) == repr([expected, None]), value
    assert found >= 3


def test_one_odd_number_is_not_made_up_for_by_another() -> None:
    odd = [
        "007",
        "0x1F",
        "0x7FFFFFFFFFFFFFFF",
        "-0",
        "00",
        "+1",
        " 1",
        "1 ",
        "1.",
        "1.5",
        "-",
        "/1",
    ]
    plain = ["1", "-5", "10", "9223372036854775807", "-9223372036854775807"]
    for several in itertools.product(odd, [*odd, *plain], plain):
        assert proven(pa.array(several), "BIGINT", FACTS) is None, several
    for several in itertools.product(plain, plain, plain):
        array = proven(pa.array([*several, None]), "BIGINT", FACTS)
        assert array is not None
        assert array.to_pylist() == [*map(int, several), None]


@pytest.mark.parametrize("kind", sorted({*TYPES} - {"VARCHAR"}))
def test_nothing_but_empty_texts_and_nulls_is_null(kind: str) -> None:
    for values in ([], [""], [None], [None, ""]):
        array = proven(pa.array(values, pa.string()), kind, FACTS)
        assert array == pa.nulls(len(values), TYPES[kind])


def test_columns_without_values_and_of_undecided_dates_are_left_to_the_engine() -> None:
    assert proven(pa.array(["a"]), "VARCHAR", Facts()) is None
    assert proven(pa.array(["", None]), "VARCHAR", Facts()) == pa.array(["", None])
    assert proven(pa.array(["01/02/2024"]), "VARCHAR", Facts({kinds.SLASHED: 1})) is None


ROWS = 30_000
"""More than are taken for the first guess."""


@pytest.fixture
def short_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups so short that a file has many."""
    monkeypatch.setattr(copy_writer, "GROUP_ROWS", 1_000)
    monkeypatch.setattr("queryrun.tables.text.stream.CHUNK_BYTES", 10_000)


@pytest.mark.usefixtures("short_groups")
def test_values_that_only_the_engine_knows_stand_between_those_that_are_proven(
    tmp_path: Path,
) -> None:
    reading = Reading(tmp_path)
    odd = {25_000: "1.5e-07", 25_001: "-0.0", 28_000: "123456789012.34567"}
    with (reading.data / "t.csv").open("w") as file:
        file.write('"a.b",n,day,word\n')
        for i in range(ROWS):
            day = "" if i % 5 == 0 else f"2024-01-{i % 28 + 1:02}"
            file.write(f"{odd.get(i, f'{i}.25')},{i},{day},w{i % 3}\n")
    try:
        assert reading.rows(
            'SELECT count(*), count("a.b"), sum(n), count(day), count(DISTINCT word) FROM t'
        ) == [(ROWS, ROWS, ROWS * (ROWS - 1) // 2, ROWS * 4 // 5, 3)]
        for row, value in odd.items():
            assert reading.rows(f'SELECT "a.b" FROM t WHERE n = {row}') == [(float(value),)]
        assert reading.rows('SELECT count(*) FROM t WHERE "a.b" = n + 0.25') == [(ROWS - len(odd),)]
    finally:
        reading.session.close()


@pytest.mark.usefixtures("short_groups")
def test_a_late_value_that_contradicts_the_first_rows_changes_the_type_or_fails(
    tmp_path: Path,
) -> None:
    reading = Reading(tmp_path)
    with (reading.data / "t.csv").open("w") as file:
        file.write("a,b,c\n")
        for i in range(ROWS):
            late = i == ROWS - 2
            file.write(f"{'007' if late else i},{'1.5' if late else i},{'x' if late else i}\n")
    try:
        assert reading.rows("SELECT a, b FROM t WHERE b = 1.5") == [("007", 1.5)]
        assert reading.rows("SELECT max(a), max(b) FROM t WHERE a <> '29999'") == [
            ("9999", float(ROWS - 3))
        ]
        message = reading.failure("SELECT max(c) FROM t").message
        assert f"line {ROWS}" in message
        assert "'x'" in message
    finally:
        reading.session.close()


def test_a_conversion_that_is_interrupted_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "".join(f"{i}\n" for i in range(ROWS)))
    converter = Converter({"threads": 1})
    source = DelimitedSource(TextFile(str(path), "t.csv"), Layout())
    columns = converter.convert(source, tmp_path / "whole.parquet").columns
    converter.interrupt()
    with pytest.raises(duckdb.InterruptException):
        converter.rewrite(source, columns, tmp_path / "t.parquet")
    converter.close()

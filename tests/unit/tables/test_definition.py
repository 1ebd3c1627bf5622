"""`tables.toml`: what no file says, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import RunFailed

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An entity's data directory."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def query(tmp_path: Path, data: Path) -> Iterator[Query]:
    """Run a statement over the directory, each time as it is then."""
    spill, copies = tmp_path / "spill", tmp_path / "copies"
    spill.mkdir()
    copies.mkdir()
    options = {"data_dir": str(data), "dialect": "trino", "copies_dir": str(copies)}
    opened = open_session(options, EngineLimits(512 * 1024**2, 2, str(spill), 10**9))
    yield lambda sql: _rows(opened, sql)
    opened.close()


def _rows(opened: DuckDBSession, sql: str) -> list[tuple[Any, ...]]:
    try:
        planned = opened.plan(sql)
        return planned.connection.execute(planned.relation).fetchall()
    except duckdb.Error as error:
        raise opened.failure_of(error) from error
    finally:
        opened.renew()


def test_a_european_file_is_read_by_its_definition(data: Path, query: Query) -> None:
    lines = (
        "Nr;Betrag;Tag;Stempel;Ort\n1;1.234,50;31.12.2024;31.12.2024 23:30;Köln\n# Ende\n2;-;;;\n"
    )
    (data / "umsatz.csv").write_bytes(lines.encode("windows-1252"))
    (data / "tables.toml").write_text(
        '[tables.umsatz]\nencoding = "windows-1252"\ndelimiter = ";"\ncomment = "#"\n'
        'nulls = ["-"]\ndecimal_comma = true\ndate_format = "%d.%m.%Y"\n'
        'timestamp_format = "%d.%m.%Y %H:%M"\ntime_zone = "Europe/Berlin"\n'
        '[tables.umsatz.columns]\nbetrag = "decimal(12,2)"\ntag = "date"\n'
        'stempel = "timestamp with time zone"\n'
    )
    moment = datetime(2024, 12, 31, 22, 30, tzinfo=UTC)
    assert query("SELECT * FROM umsatz") == [
        (1, Decimal("1234.50"), date(2024, 12, 31), moment, "Köln"),
        (2, None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("bigint", "007", 7),
        ("varchar", "007", "007"),
        ("decimal(5,2)", "1.500", Decimal("1.50")),
        ("double", "1E5", 100_000.0),
        ("boolean", "NO", False),
        ("integer", "+5", 5),
    ],
)
def test_a_defined_type_decides(
    data: Path, query: Query, kind: str, value: str, read: object
) -> None:
    (data / "t.csv").write_text(f"v,w\n{value},1\n")
    (data / "tables.toml").write_text(f'[tables.t.columns]\nv = "{kind}"\n')
    assert query("SELECT v FROM t") == [(read,)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bigint", "1.5"),
        ("bigint", "9223372036854775808"),
        ("tinyint", "200"),
        ("decimal(5,2)", "1.505"),
        ("decimal(5,2)", "1234.5"),
        ("date", "2024-02-30"),
        ("boolean", "maybe"),
        ("double", "1_000"),
    ],
)
def test_a_value_that_is_not_of_its_type_fails_with_its_line(
    data: Path, query: Query, kind: str, value: str
) -> None:
    (data / "t.csv").write_text("v,w\n" + "1,1\n\n" * (kind != "date") + f"{value},1\n")
    (data / "tables.toml").write_text(f'[tables.t.columns]\nv = "{kind}"\n')
    with pytest.raises(RunFailed) as failed:
        query("SELECT w FROM t")
    line = 2 if kind == "date" else 4
    assert f"'t.csv' line {line}, column 'v', has '{value}'" in failed.value.failure.message
    assert not failed.value.failure.code.retryable


def test_files_of_any_name_are_a_table_by_definition(data: Path, query: Query) -> None:
    (data / "in").mkdir()
    (data / "in/a.txt").write_text("1|x\n")
    (data / "in/b.txt").write_text("2|y\n")
    (data / "tables.toml").write_text(
        '[tables.events]\nfiles = "in/*.txt"\nformat = "csv"\ndelimiter = "|"\n'
        'header = false\nnames = ["id", "what"]\n'
    )
    assert query("SELECT id, what FROM events ORDER BY id") == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    ("definition", "where", "says"),
    [
        ('[tables.t]\ndelimeter = ";"\n', "line 2 column 1", "no key 'delimeter'"),
        ("[tables.t]\n\nheader = 1\n", "line 3 column 1", "true or false"),
        ('[tables.t]\nencoding = "latin-77"\n', "line 2", "encoding"),
        ('[tables.t]\ndelimiter = "ab"\n', "line 2", "one ASCII character"),
        ('[tables.t.columns]\nv = "int64"\n', "line 2", "a type is one of"),
        ('[tables.t]\nfiles = "../x.csv"\n', "line 2", "data directory"),
        ("[tables.t\n", "line 1", "not TOML"),
    ],
)
def test_a_wrong_definition_is_a_problem_of_its_table_alone(
    data: Path, query: Query, definition: str, where: str, says: str
) -> None:
    (data / "t.csv").write_text("v\n1\n")
    (data / "other.csv").write_text("v\n1\n")
    (data / "tables.toml").write_text(definition)
    with pytest.raises(RunFailed) as failed:
        query("SELECT v FROM t")
    assert where in failed.value.failure.message
    assert says in failed.value.failure.message
    assert query("SELECT v FROM other") == [(1,)]


def test_a_changed_definition_counts_from_the_next_statement(data: Path, query: Query) -> None:
    (data / "t.csv").write_text("v\n1\n")
    assert query("SELECT v FROM t") == [(1,)]
    (data / "tables.toml").write_text('[tables.t.columns]\nv = "varchar"\n')
    assert query("SELECT v FROM t") == [("1",)]


def test_files_that_disagree_refuse_the_column_alone(data: Path, query: Query) -> None:
    (data / "t").mkdir()
    (data / "t/a.csv").write_text("id,v\n1,1\n")
    (data / "t/b.csv").write_text("id,v\n2,N/A\n")
    assert query("SELECT sum(id) AS s, count(*) AS c FROM t") == [(3, 2)]
    with pytest.raises(RunFailed) as failed:
        query("SELECT max(v) AS m FROM t")
    assert "'t/b.csv' line 2 has 'N/A' among numbers" in failed.value.failure.message


@pytest.mark.parametrize(
    ("a", "b", "read"),
    [
        ("1", "2.5", [(1.0,), (2.5,)]),
        ("2024-01-02", "2024-01-02 03:04", [(datetime(2024, 1, 2),), (datetime(2024, 1, 2, 3, 4),)]),  # noqa: E501
        ("1", "007", [("007",), ("1",)]),
        ("1", "", [(None,), (1,)]),
        ("9007199254740993", "0.5", [(Decimal("0.5"),), (Decimal(9007199254740993),)]),
    ],
)  # fmt: skip
def test_files_of_a_table_have_one_type_that_keeps_all(
    data: Path, query: Query, a: str, b: str, read: list[tuple[Any, ...]]
) -> None:
    (data / "t").mkdir()
    (data / "t/a.csv").write_text(f"v,w\n{a},1\n")
    (data / "t/b.csv").write_text(f"v,w\n{b},1\n")
    assert sorted(query("SELECT v FROM t"), key=str) == sorted(read, key=str)


def test_day_and_month_are_not_mixed_between_files(data: Path, query: Query) -> None:
    (data / "t").mkdir()
    (data / "t/a.csv").write_text("d,i\n31/12/2024,1\n")
    (data / "t/b.csv").write_text("d,i\n12/31/2024,2\n")
    assert query("SELECT count(*) AS c FROM t") == [(2,)]
    with pytest.raises(RunFailed):
        query("SELECT d FROM t")


def test_a_first_line_of_numbers_is_not_taken_for_names(data: Path, query: Query) -> None:
    (data / "t.csv").write_text("1,alice\n2,bob\n")
    with pytest.raises(RunFailed) as failed:
        query("SELECT * FROM t")
    assert "line 1" in failed.value.failure.message
    (data / "tables.toml").write_text("[tables.t]\nheader = false\n")
    assert query("SELECT * FROM t") == [(1, "alice"), (2, "bob")]


@pytest.mark.parametrize(
    ("rule", "value", "read"),
    [
        ('"date", format = "%d.%m.%Y %H:%M"', "31.12.2024 00:00", date(2024, 12, 31)),
        ('"date", format = "%d.%m.%Y %H:%M"', "31.12.2024 23:30", None),
        (
            '"timestamp with time zone", format = "%Y-%m-%d %H:%M %z", time_zone = "Asia/Tokyo"',
            "2024-01-02 03:04 +0200",
            datetime(2024, 1, 2, 1, 4, tzinfo=UTC),
        ),
        (
            '"timestamp with time zone", time_zone = "Europe/Berlin"',
            "2024-03-31 01:59:59",
            datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC),
        ),
        ('"timestamp with time zone", time_zone = "Europe/Berlin"', "2024-03-31 02:30:00", None),
        (
            '"timestamp with time zone", time_zone = "Europe/Berlin"',
            "2024-10-27 02:30:00",
            datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
        ),
    ],
)
def test_no_time_of_day_and_no_offset_is_dropped(
    data: Path, query: Query, rule: str, value: str, read: object
) -> None:
    """None: the value is a fault."""
    (data / "t.csv").write_text(f"v,w\n{value},1\n")
    (data / "tables.toml").write_text(f"[tables.t.columns]\nv = {{ type = {rule} }}\n")
    if read is not None:
        assert query("SELECT v FROM t") == [(read,)]
        return
    with pytest.raises(RunFailed) as failed:
        query("SELECT v FROM t")
    assert f"'t.csv' line 2, column 'v', has '{value}'" in failed.value.failure.message


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('"timestamp", format = "%Y-%m-%d %z"', "a format with %z is one of the type timestamp wi"),
        ('"date", format = "%Y-%m-%d %z"', "a format with %z is one of the type timestamp with"),
        ('"timestamp with time zone", format = "%Y-%m-%d"', "no %z, so it needs a time_zone"),
    ],
)
def test_a_format_that_would_drop_or_assume_a_zone_is_refused(
    data: Path, query: Query, rule: str, words: str
) -> None:
    (data / "t.csv").write_text("v,w\n1,1\n")
    (data / "tables.toml").write_text(f"[tables.t.columns]\nv = {{ type = {rule} }}\n")
    with pytest.raises(RunFailed) as failed:
        query("SELECT v FROM t")
    assert words in failed.value.failure.message

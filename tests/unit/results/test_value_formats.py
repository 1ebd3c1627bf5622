"""How each kind of value looks in a file (contract F4, H22)."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import duckdb
import pytest

from queryrun.results.encode import FileLayout
from queryrun.results.formats import ContentType
from tests.unit.results.conftest import Write

LOS_ANGELES = "America/Los_Angeles"

CASES = [
    # expression, in JSON, in a delimited file
    ("true", "true", "true"),
    ("9007199254740993::BIGINT", "9007199254740993", "9007199254740993"),
    (
        "'-170141183460469231731687303715884105728'::HUGEINT",
        "-170141183460469231731687303715884105728",
        "-170141183460469231731687303715884105728",
    ),
    ("1.10::DECIMAL(18,6)", "1.100000", "1.100000"),
    (
        "12345678901234567890123456789.123456789::DECIMAL(38,9)",
        "12345678901234567890123456789.123456789",
        "12345678901234567890123456789.123456789",
    ),
    ("0.1::DOUBLE", "0.1", "0.1"),
    ("0.1::FLOAT", "0.1", "0.1"),
    ("'nan'::DOUBLE", "null", "NaN"),
    ("'inf'::DOUBLE", "null", "Infinity"),
    ("'-inf'::FLOAT", "null", "-Infinity"),
    ("NULL::DOUBLE", "null", ""),
    ("NULL", "null", ""),
    ("''", '""', '""'),
    ("'a\"b'", '"a\\"b"', '"a""b"'),
    ("'a,b'", '"a,b"', '"a,b"'),
    ("'a\nb'", '"a\\nb"', '"a\nb"'),
    ("'a\rb'", '"a\\rb"', '"a\rb"'),
    ("'ü€😀'", '"ü€😀"', "ü€😀"),
    ("DATE '2025-07-06'", '"2025-07-06"', "2025-07-06"),
    ("DATE '0044-03-15 (BC)'", '"-0043-03-15"', "-0043-03-15"),
    ("DATE '0001-12-31 (BC)'", '"0000-12-31"', "0000-12-31"),
    ("TIME '03:26:45'", '"03:26:45"', "03:26:45"),
    ("TIME '03:26:45.120'", '"03:26:45.12"', "03:26:45.12"),
    ("TIMETZ '03:26:45+02'", '"03:26:45+02:00"', "03:26:45+02:00"),
    ("TIMETZ '03:26:45+05:30'", '"03:26:45+05:30"', "03:26:45+05:30"),
    ("TIMESTAMP '2025-07-06 03:26:45'", '"2025-07-06T03:26:45"', "2025-07-06T03:26:45"),
    ("TIMESTAMP '2025-07-06 03:26:45.120'", '"2025-07-06T03:26:45.12"', "2025-07-06T03:26:45.12"),
    ("TIMESTAMP '0044-03-15 (BC) 01:02:03'", '"-0043-03-15T01:02:03"', "-0043-03-15T01:02:03"),
    (
        "TIMESTAMP_NS '2025-07-06 03:26:45.123456789'",
        '"2025-07-06T03:26:45.123456789"',
        "2025-07-06T03:26:45.123456789",
    ),
    (
        "TIMESTAMPTZ '2025-07-06 03:26:45-07'",
        '"2025-07-06T03:26:45-07:00"',
        "2025-07-06T03:26:45-07:00",
    ),
    (
        "TIMESTAMPTZ '2025-01-06 11:26:45.5+00'",
        '"2025-01-06T03:26:45.5-08:00"',
        "2025-01-06T03:26:45.5-08:00",
    ),
    ("NULL::TIMESTAMPTZ", "null", ""),
    ("'\\x00\\xFFab'::BLOB", '"AP9hYg=="', "AP9hYg=="),
    ("'b'::ENUM('a', 'b')", '"b"', "b"),
    (
        "UUID '7d5d6c5c-f552-493c-9c3f-639224324147'",
        '"7d5d6c5c-f552-493c-9c3f-639224324147"',
        "7d5d6c5c-f552-493c-9c3f-639224324147",
    ),
    ("[1, NULL, 3]", "[1,null,3]", '"[1,null,3]"'),
    ("NULL::INTEGER[]", "null", ""),
    ("[]::INTEGER[]", "[]", "[]"),
    ("['nan'::DOUBLE, 0.5]", "[null,0.5]", '"[null,0.5]"'),
    (
        "[12345678901234567890123456789.123456789::DECIMAL(38,9)]",
        "[12345678901234567890123456789.123456789]",
        "[12345678901234567890123456789.123456789]",
    ),
    ("[TIMESTAMP '2025-07-06 03:26:45']", '["2025-07-06T03:26:45"]', '"[""2025-07-06T03:26:45""]"'),
    ("[[DATE '0044-03-15 (BC)'], NULL]", '[["-0043-03-15"],null]', '"[[""-0043-03-15""],null]"'),
    ("[0.1::FLOAT, 'nan'::FLOAT]::FLOAT[2]", "[0.1,null]", '"[0.1,null]"'),
    ("{'a b': 'x'::BLOB, 'c': NULL}", '{"a b":"eA==","c":null}', '"{""a b"":""eA=="",""c"":null}"'),
    ("NULL::STRUCT(a BLOB)", "null", ""),
    ("row(1, 'x'::BLOB)", None, None),
    ("MAP {'k': 'inf'::DOUBLE}", '{"k":null}', '"{""k"":null}"'),
    ("MAP {DATE '2025-07-06': 1}", '{"2025-07-06":1}', '"{""2025-07-06"":1}"'),
    ("NULL::MAP(VARCHAR, BLOB)", "null", ""),
    ("union_value(b := 'x'::BLOB)", '{"b":"eA=="}', '"{""b"":""eA==""}"'),
    (
        "[{'a': [MAP {'k': [TIMESTAMP '2025-07-06 03:26:45']}]}]",
        '[{"a":[{"k":["2025-07-06T03:26:45"]}]}]',
        '"[{""a"":[{""k"":[""2025-07-06T03:26:45""]}]}]"',
    ),
    ("'{\"a\": 1}'::JSON", None, '"{""a"": 1}"'),
]


@pytest.mark.parametrize(
    ("expression", "formatted"), [(case[0], case[1]) for case in CASES if case[1] is not None]
)
def test_a_value_in_json(write: Write, expression: str, formatted: str) -> None:
    data = write(
        f"SELECT {expression} AS x, 1 AS y", FileLayout(ContentType.JSON, time_zone=LOS_ANGELES)
    )
    assert data.decode() == f'{{"x":{formatted},"y":1}}\n'


@pytest.mark.parametrize(
    ("expression", "formatted"), [(case[0], case[2]) for case in CASES if case[2] is not None]
)
def test_a_value_in_csv(write: Write, expression: str, formatted: str) -> None:
    data = write(
        f"SELECT {expression} AS x, 1 AS y", FileLayout(ContentType.CSV, time_zone=LOS_ANGELES)
    )
    quoted = f'"{formatted}"' if "," in formatted and not formatted.startswith('"') else formatted
    assert data.decode().split("\n", 1)[1] in {f"{formatted},1\n", f"{quoted},1\n"}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("TIMESTAMPTZ '2025-07-06 03:26:45-07'", "2025-07-06T10:26:45+00:00"),
        ("TIMESTAMPTZ '2025-07-06 03:26:45.25+00'", "2025-07-06T03:26:45.25+00:00"),
        ("TIMESTAMPTZ '1960-01-01 00:00:00.000001+00'", "1960-01-01T00:00:00.000001+00:00"),
        ("TIMESTAMPTZ '0044-03-15 (BC) 01:02:03+00'", "-0043-03-15T01:02:03+00:00"),
        ("TIMESTAMPTZ '20000-01-01 00:00:00+00'", "20000-01-01T00:00:00+00:00"),
    ],
)
def test_an_instant_in_utc(write: Write, expression: str, text: str) -> None:
    """The shortcut for UTC must give the same result as the general conversion."""
    assert (
        write(f"SELECT {expression} AS x", FileLayout(ContentType.CSV)).decode() == f"x\n{text}\n"
    )


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Kolkata"])
def test_the_ends_of_time_are_words(write: Write, time_zone: str) -> None:
    statement = "SELECT 'infinity'::TIMESTAMPTZ a, '-infinity'::TIMESTAMP b, 'infinity'::DATE c"
    data = write(statement, FileLayout(ContentType.CSV, time_zone=time_zone))
    assert data == b"a,b,c\ninfinity,-infinity,infinity\n"


def test_offsets_with_minutes_stay_as_they_are(write: Write) -> None:
    data = write(
        "SELECT TIMESTAMPTZ '2025-07-06 00:00:00+00' AS x",
        FileLayout(ContentType.CSV, time_zone="Asia/Kolkata"),
    )
    assert data == b"x\n2025-07-06T05:30:00+05:30\n"


@pytest.mark.parametrize("separator", [";", "|", "\\t", "§", "a", " "])
def test_any_character_separates_a_dsv(write: Write, separator: str) -> None:
    statement = "SELECT 'a;b|c§d e' AS x, 'q\"' AS y, NULL AS z"
    text = write(statement, FileLayout(ContentType.DSV, separator)).decode()
    meant = "\t" if separator == "\\t" else separator
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=meant))
    assert rows == [["x", "y", "z"], ["a;b|c§d e", 'q"', ""]]


def test_a_tsv_has_tabs(write: Write) -> None:
    assert write("SELECT 1 AS x, 'a\tb' AS y", FileLayout(ContentType.TSV)) == b'x\ty\n1\t"a\tb"\n'


@pytest.mark.parametrize(
    ("content_type", "empty"), [("json", b""), ("csv", b"id,b\n"), ("tsv", b"id\tb\n")]
)
def test_an_empty_result(write: Write, content_type: str, empty: bytes) -> None:
    assert (
        write("SELECT 1 AS id, 'x'::BLOB AS b WHERE false", FileLayout(ContentType(content_type)))
        == empty
    )


@pytest.mark.parametrize("extra", ["", ", 'x'::BLOB AS b"])
def test_columns_of_the_same_name_are_distinguished_alike_in_every_format(
    write: Write, extra: str
) -> None:
    statement = f'SELECT 1 AS a, 2 AS a, 3 AS A, 4 AS "q""z"{extra}'
    header = write(statement, FileLayout(ContentType.CSV)).decode().split("\n")[0]
    assert next(csv.reader([header]))[:4] == ["a", "a_1", "A_2", 'q"z']
    row = json.loads(write(statement, FileLayout(ContentType.JSON)))
    assert list(row)[:4] == ["a", "a_1", "A_2", 'q"z']


@pytest.mark.parametrize("extra", ["", ", 'x'::BLOB AS b"])
def test_the_order_of_the_statement_is_preserved(write: Write, extra: str) -> None:
    statement = f"SELECT i{extra} FROM range(200000) t(i) ORDER BY hash(i), i"
    lines = write(statement, FileLayout(ContentType.JSON)).splitlines()
    written = [json.loads(line)["i"] for line in lines]
    with duckdb.connect() as connection:
        expected = [i for (i, *_) in connection.execute(statement).fetchall()]
    assert written == expected


@pytest.mark.parametrize("content_type", ["json", "csv"])
def test_every_type_that_duckdb_has_can_be_written(write: Write, content_type: str) -> None:
    data = write(
        "FROM test_all_types()", FileLayout(ContentType(content_type), time_zone=LOS_ANGELES)
    )
    if content_type == "json":
        rows: list[Any] = [json.loads(line) for line in data.splitlines()]
    else:
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert len(rows) == 3

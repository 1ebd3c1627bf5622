"""Text files: the type that all values imply, or a fault that names the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from queryrun.tables.text import kinds
from queryrun.tables.text.convert import Converter
from queryrun.tables.text.delimited import Layout
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.sources import DelimitedSource, JsonSource, Source
from queryrun.tables.text.stream import TextFile

Convert = Callable[..., tuple[list[str], list[tuple[Any, ...]]]]


@pytest.fixture(scope="module")
def converter() -> Iterator[Converter]:
    """One for all: opening an instance takes longer than the files do."""
    opened = Converter({"threads": 2, "memory_limit": "512MB"})
    yield opened
    opened.close()


@pytest.fixture
def convert(tmp_path: Path, converter: Converter) -> Convert:
    """Convert a file's content: the types of its columns, and its rows."""

    def run(data: str | bytes, ending: str = "csv") -> tuple[list[str], list[tuple[Any, ...]]]:
        path = tmp_path / f"t.{ending}"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        text = TextFile(str(path), path.name)
        delimiter = "\t" if ending == "tsv" else ","
        source: Source = (
            JsonSource(text) if ending == "json" else DelimitedSource(text, Layout(delimiter))
        )
        made = converter.convert(source, tmp_path / "t.parquet")
        rows = duckdb.connect().execute(f"FROM '{tmp_path}/t.parquet'").fetchall()
        assert len(rows) == made.rows
        return [column.kind for column in made.columns], rows

    return run


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "0", "9223372036854775807"], "BIGINT"),
        (["1", "9223372036854775808"], "DECIMAL(38,0)"),
        (["1", "9.99"], "DOUBLE"),
        (["1.5", "1e-05", "2.5E10", "1e+20"], "DOUBLE"),
        (["0.30000000000000004"], "DOUBLE"),
        (["9007199254740993", "0.5"], "DECIMAL(38,1)"),
        (["12345678901234567.89"], "DECIMAL(38,2)"),
        (["1", "1E5"], "VARCHAR"),
        (["1", "007"], "VARCHAR"),
        (["1", "+5"], "VARCHAR"),
        (["1", " 2"], "VARCHAR"),
        (["1_000"], "VARCHAR"),
        (["NaN"], "VARCHAR"),
        (["0x10"], "VARCHAR"),
        ([".5"], "VARCHAR"),
        (["1" * 39], "VARCHAR"),
        (["true", "False", "TRUE"], "BOOLEAN"),
        (["true", "yes"], "VARCHAR"),
        (["NO", "DE"], "VARCHAR"),
        (["2024-02-29"], "DATE"),
        (["2023-02-29"], "VARCHAR"),
        (["2024-1-2"], "VARCHAR"),
        (["1-2-3"], "VARCHAR"),
        (["2024-01-02", "2024-01-02 03:04:05"], "TIMESTAMP"),
        (["2024-01-02T03:04"], "TIMESTAMP"),
        (["2024-01-02 03:04:05.123456789"], "VARCHAR"),
        (["2024-01-02 24:00:00"], "VARCHAR"),
        (["2024-06-30T23:30:00Z", "2024-06-30 23:30:00+02:00"], "TIMESTAMPTZ"),
        (["2024-06-30T23:30:00Z", "2024-06-30T23:30:00"], "VARCHAR"),
        (["2024-06-30T23:30:00+02:99"], "VARCHAR"),
        (["31/12/2024", "01/02/2025"], "DATE/d"),
        (["12/31/2024", "01/02/2025"], "DATE/m"),
        (["01/02/2025", "03/04/2025"], "VARCHAR"),
        (["31/12/2024", "12/31/2024"], "VARCHAR"),
        (["12:34:56"], "VARCHAR"),
        (["#fff"], "VARCHAR"),
        (["", ""], "VARCHAR"),
    ],
)
@pytest.mark.parametrize("padding", [0, 25_000])
def test_the_type_is_that_of_all_values_wherever_they_stand(
    convert: Convert, values: list[str], kind: str, padding: int
) -> None:
    """The padding repeats the first value, so the others stand far behind the sampled rows."""
    lines = [values[0]] * padding + values
    kinds, rows = convert("v,w\n" + "".join(f"{value},x\n" for value in lines))
    assert kinds == [kind, "VARCHAR"]
    if kind == "VARCHAR":
        assert [row[0] or "" for row in rows] == lines


def test_whole_numbers_and_then_a_fraction_lose_nothing(convert: Convert) -> None:
    _, rows = convert("v\n" + "10\n" * 25_000 + "9.99\n" * 1_000)
    assert sum(row[0] for row in rows) == pytest.approx(259_990)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        ("a,b\n1,2\n1,2,3\n", 0, "3 values instead of 2"),
        ("a,b\n1\n", 0, "1 values instead of 2"),
        ("a,b\n1,2,\n", 0, "3 values instead of 2"),
        ('a,b\n1,2\n1,"x"y\n', 3, "quote"),
        ('a,b\n1,"x" \n', 2, "quote"),
        ('a,b\n1,"xy\n2,3\n', 2, "quote"),
        ("a,b\n1,x\0y\n", 2, "NUL"),
        ("a,A\n1,2\n", 1, "two columns"),
        ("a,a\n1,2\n", 1, "two columns"),
        (b"a,b\n1,M\xfcller\n", 0, "UTF-8"),
    ],
)
def test_a_fault_names_file_and_line(
    convert: Convert, data: str | bytes, line: int, says: str
) -> None:
    with pytest.raises(FileFault) as raised:
        convert(data)
    assert says in str(raised.value)
    assert raised.value.file == "t.csv"
    assert raised.value.line == line


@pytest.mark.parametrize(
    ("data", "ending", "rows"),
    [
        ("a,b\r\n1,x\r\n", "csv", [(1, "x")]),
        ("a,b\n1,x\r\n2,y", "csv", [(1, "x"), (2, "y")]),
        ("\ufeffa\n1\n", "csv", [(1,)]),
        ("a\n1\n".encode("utf-16"), "csv", [(1,)]),
        ('a,b\n1,"x\ny"\n', "csv", [(1, "x\ny")]),
        ('a,b\n1,"say ""hi"""\n', "csv", [(1, 'say "hi"')]),
        ('a,b\n1,x"y\n', "csv", [(1, 'x"y')]),
        ('a,b\n"",\n', "csv", [("", None)]),
        ("a\n1\n\n2\n", "csv", [(1,), (None,), (2,)]),
        ("a,b\n1,2\n\n3,4\n", "csv", [(1, 2), (3, 4)]),
        ("a;b\n1,5;x\n", "csv", [("1,5", "x")]),
        ("name\nlee; ann\n", "csv", [("lee; ann",)]),
        ("name\nlee, ann\n", "tsv", [("lee, ann",)]),
        (",b\n0,x\n", "csv", [(0, "x")]),
        ("id,c\n1,#fff\n#3,x\n", "csv", [("1", "#fff"), ("#3", "x")]),
    ],
)
def test_rows_are_taken_as_they_stand(
    convert: Convert, data: str | bytes, ending: str, rows: list[tuple[Any, ...]]
) -> None:
    assert convert(data, ending)[1] == rows


@pytest.mark.parametrize(
    ("data", "kinds", "rows"),
    [
        ('{"a":1}\n{"a":1.5}\n', ["DOUBLE"], [(1.0,), (1.5,)]),
        ('[{"a":1},\n{"a":null}]', ["BIGINT"], [(1,), (None,)]),
        ('{"a":1}{"a":2}', ["BIGINT"], [(1,), (2,)]),
        ('{"a":1}\n{"b":"x"}\n', ["BIGINT", "VARCHAR"], [(1, None), (None, "x")]),
        ('{"a":"1"}\n{"a":"007"}\n', ["VARCHAR"], [("1",), ("007",)]),
        ('{"a":"1E5"}\n', ["VARCHAR"], [("1E5",)]),
        ('{"a":1E5}\n', ["DOUBLE"], [(100000.0,)]),
        ('{"a":"x"}\n{"a":1}\n', ["JSON"], [('"x"',), ("1",)]),
        ('{"a":[1,2]}\n{"a":[]}\n', ["NESTED"], [([1, 2],), ([],)]),
        ('{"a":{"x":1}}\n{"a":{}}\n', ["NESTED"], [({"x": 1},), ({"x": None},)]),
        ('{"a":[1,"x"]}\n', ["JSON"], [('[1,"x"]',)]),
        ('{"a":[0.1234567890123456789]}\n', ["JSON"], [("[0.1234567890123456789]",)]),
        ('{"a":"caf\\u00e9\\n"}\n', ["VARCHAR"], [("café\n",)]),
    ],
)  # fmt: skip
def test_json_keeps_every_value(
    convert: Convert, data: str, kinds: list[str], rows: list[tuple[Any, ...]]
) -> None:
    assert convert(data, "json") == (kinds, rows)


def test_what_is_plainly_text_is_of_no_family(converter: Converter) -> None:
    values = [
        "id",
        "_",
        ":",
        "Zahl",
        "é",
        "\U0001f600",
        "true",
        "FALSE",
        "tRue",
        "nan",
        "",
        "1",
        "-1",
        "+",
        "2024-01-01",
        "01/02/2024",
        "1e5",
        " a",
        "#",
        "inf",
        "E5",
    ]
    classes = converter.classes(values)
    plain = {
        v: kinds.family_of(kinds.Facts({found: 1}))
        for v, found in zip(values, classes, strict=True)
        if kinds.is_plainly_text(v)
    }
    assert set(plain.values()) == {""}
    assert {"id", "é", "tRue", "nan"} <= plain.keys()
    assert not {"true", "FALSE", "1", "2024-01-01"} & plain.keys()


def test_a_key_or_a_shape_far_behind_counts(convert: Convert) -> None:
    data = '{"a":1,"n":[1]}\n' * 25_000 + '{"a":2.5,"n":[1.5],"b":true}\n'
    kinds, rows = convert(data, "json")
    assert kinds == ["DOUBLE", "NESTED", "BOOLEAN"]
    assert rows[-1] == (2.5, [1.5], True)


LARGE = "12345678901234567890"


@pytest.mark.parametrize(
    ("first", "last", "kind", "read"),
    [
        (LARGE, "1.25", "DECIMAL(38,2)", Decimal("1.25")),
        (LARGE, "1e-5", "JSON", "1e-5"),
        ("null", "5", "BIGINT", 5),
        ('"x"', "5", "JSON", "5"),
        ("0.10000000000000001", "0.25", "DECIMAL(38,17)", Decimal("0.25")),
    ],
)
def test_a_value_far_behind_makes_the_type(
    convert: Convert, first: str, last: str, kind: str, read: object
) -> None:
    data = f'{{"a":{first}}}\n' * 20_001 + f'{{"a":{last}}}\n'
    kinds, rows = convert(data, "json")
    assert kinds == [kind]
    assert rows[-1] == (read,)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        ('{"a":1}\n{"a":}\n', 2, "not JSON"),
        ('{"a":1}\n{"a":1,"a":2}\n', 2, "twice"),
        ('{"a":{"b":1,"b":2}}\n', 1, "twice"),
        ('{"a":1}\n[1]\n', 2, "no object"),
        ('{"a":1}\n{"a"', 2, "middle"),
        ('[{"a":1}', 1, "ends"),
        ('[{"a":1},]', 1, "not JSON"),
        ('{"a":1,"A":2}\n', 1, "two keys"),
        ('{"a":NaN}\n', 1, "not JSON"),
    ],
)
def test_a_fault_of_json_names_the_line(convert: Convert, data: str, line: int, says: str) -> None:
    with pytest.raises(FileFault) as raised:
        convert(data, "json")
    assert says in str(raised.value)
    assert raised.value.line == line

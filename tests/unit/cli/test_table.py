"""A table shows every value as the file has it, and fits the terminal or says what is missing."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun_cli.delimited import records_of
from queryrun_cli.printable import printable
from queryrun_cli.table import (
    Heading,
    TableOptions,
    TextTable,
    cell,
    padded,
    width_of,
)
from queryrun_client import UnexpectedResponse


def table(*rows: tuple[str, ...], numbers: tuple[int, ...] = ()) -> TextTable:
    """The first row has the names."""
    names, *values = rows
    headings = tuple(Heading(name, "t", at in numbers) for at, name in enumerate(names))
    return TextTable(headings, tuple(values))


def lines(rendered: TextTable, width: int, **options: bool) -> list[str]:
    return list(rendered.lines(width, TableOptions(**options)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12.30", "12.30"),
        ("NaN", "NaN"),
        (None, "NULL"),
        ("", ""),
        ('[1.50,"a",null]', '[1.50,"a",null]'),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202eabc\u200b", "\\u{202e}abc\\u{200b}"),
        ("\x9b2J", "\\x9b2J"),
        ("\u00a0", "\u00a0"),
    ],
)
def test_a_value_is_shown_as_the_file_has_it(value: str | None, text: str) -> None:
    assert cell(value) == text


RECORDS = [
    (["a", "b"], "a,b\n"),
    ([None, ""], ',""\n'),
    ([None], "\n"),
    (['say "x", y\r\nz', None, "\u2028\x0b"], '"say ""x"", y\r\nz",,"\u2028\x0b"\r\n'),
    (['""', "\n\n"], '"""""","\n\n"\n'),
]


def text_lines(text: str) -> Iterator[str]:
    """As a file is read: a line ends with a line feed alone."""
    return iter(io.StringIO(text, newline="\n"))


def test_records_of_a_file_keep_what_is_null_and_what_is_empty() -> None:
    text = "".join(line for _, line in RECORDS)
    assert list(records_of(text_lines(text))) == [fields for fields, _ in RECORDS]


@given(st.lists(st.lists(st.none() | st.text(), min_size=2, max_size=2)))
def test_every_text_comes_back(rows: list[list[str | None]]) -> None:
    def written(one: str | None) -> str:
        return "" if one is None else '"' + one.replace('"', '""') + '"'

    text = "".join(",".join(map(written, row)) + "\n" for row in rows)
    assert list(records_of(text_lines(text))) == rows


@pytest.mark.parametrize("broken", ['a"b,c\n', '"a"b\n', '"a\n'])
def test_what_is_no_csv_is_an_error(broken: str) -> None:
    with pytest.raises(UnexpectedResponse):
        list(records_of(text_lines(broken)))


@given(st.text())
def test_nothing_of_a_text_commands_the_terminal(text: str) -> None:
    rendered = printable(text)
    assert not any(ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 for one in rendered)


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=40), st.integers(1, 30))
def test_a_padded_text_has_its_width(text: str, width: int) -> None:
    assert width_of(padded(text, width)) == width


def test_numbers_are_on_the_right_and_texts_on_the_left() -> None:
    rendered = table(("n", "name"), ("1", "a"), ("12.30", "bb"), numbers=(0,))
    assert lines(rendered, 80) == ["    n  name", "─────  ────", "    1  a", "12.30  bb"]


def test_types_are_shown_on_request() -> None:
    assert lines(table(("a",), ("x",)), 80, types=True)[:2] == ["a", "t"]


def test_long_texts_are_shortened_and_numbers_never() -> None:
    number = "1234567890123456789012345"
    rendered = lines(table(("n", "text"), (number, "x" * 100), numbers=(0,)), 60)
    assert rendered[2] == f"{number}  {'x' * 32}…"


def test_few_rows_that_do_not_fit_become_lines_of_their_own() -> None:
    names = tuple(f"column_{number}" for number in range(16))
    rendered = lines(table(names, tuple("2013" for _ in names), numbers=tuple(range(16))), 100)
    assert rendered[0].startswith("─[ row 1 ]─")
    assert rendered[1:] == [f"{name:<9}  2013" for name in names]


def test_of_many_rows_the_middle_columns_are_left_out_and_counted() -> None:
    names = tuple(f"column_{number}" for number in range(60))
    rows = [tuple(f"{number}" for number in range(60)) for _ in range(20)]
    rendered = lines(table(names, *rows), 60)
    assert rendered[0] == "column_0  column_1  column_2  …  column_58  column_59"
    assert rendered[2] == "0         1         2         …  58         59"
    assert rendered[-1] == "(55 of 60 columns are not shown: --expanded or --pager)"
    assert all(width_of(line) <= 60 for line in rendered)


def test_everything_is_there_for_a_pager() -> None:
    names = tuple(f"column_{number}" for number in range(60))
    rows = [names] * 20
    assert "column_30" in lines(table(names, *rows), 60, pager=True)[0]


def test_a_grid_can_be_insisted_on() -> None:
    names = tuple(f"column_{number}" for number in range(60))
    assert "columns are not shown" in lines(table(names, names), 60, expanded=False)[-1]

"""A result as a table for people: every value as the file has it, fitted to the terminal.

What does not fit is handled as psql and trino do: long texts are shortened first (a number never
is), then every row becomes lines of its own if there are few, else the columns in the middle are
left out, and the table says how many.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from queryrun_cli.delimited import records_of
from queryrun_cli.errors import CommandError
from queryrun_cli.printable import printable
from queryrun_client import Run
from queryrun_client.plain import open_plain
from queryrun_client.progress import counted

MAX_ROWS = 1000
"""Of a printed table; the file has all."""
MAX_FILE_ROWS = 100_000
"""Of a table that is written into a file: all of it is in memory."""
MIN_TEXT_WIDTH = 16
"""Of a shortened text."""
MAX_EXPANDED_ROWS = 10
"""Up to here rows that do not fit become lines of their own by themselves."""
_GAP = "  "
_NULL = "NULL"
_ELLIPSIS = "…"
_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "real", "double", "decimal"}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity")


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a table is printed."""

    expanded: bool | None = None
    """One line per value; None: where the rows do not fit and are few."""
    types: bool = False
    """A second line with the types of the columns."""
    pager: bool = False
    """Everything at its full width, in `less -S`."""


DEFAULT_TABLE = TableOptions()


@dataclass(frozen=True, slots=True)
class Heading:
    """A column as it is printed."""

    name: str
    type: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class TextTable:
    """A result as text: nothing of it is a number any more, so no digit is lost."""

    headings: tuple[Heading, ...]
    rows: tuple[tuple[str, ...], ...]

    def lines(self, width: int, options: TableOptions) -> Iterator[str]:
        """The table in lines of at most `width` cells of a terminal, unless a number is wider."""
        natural = self._widths()
        if options.pager and not options.expanded:
            return self._grid(range(len(self.headings)), natural, options)
        if options.expanded:
            return self._expanded(options)
        if self._total(natural) <= width:
            return self._grid(range(len(natural)), natural, options)
        shortened = self._shortened(natural, width)
        if self._total(shortened) <= width:
            return self._grid(range(len(natural)), shortened, options)
        if options.expanded is None and len(self.rows) <= MAX_EXPANDED_ROWS:
            return self._expanded(options)
        return self._without_middle(shortened, width, options)

    def _widths(self) -> list[int]:
        return [
            max([width_of(heading.name), *(width_of(row[at]) for row in self.rows)])
            for at, heading in enumerate(self.headings)
        ]

    def _total(self, widths: Sequence[int]) -> int:
        return sum(widths) + len(_GAP) * (len(widths) - 1)

    def _shortened(self, natural: Sequence[int], width: int) -> list[int]:
        """The widest limit of texts with which the table fits, if one of them does."""
        widths = list(natural)
        for limit in range(min(max(natural), width), MIN_TEXT_WIDTH - 1, -1):
            widths = [
                one if heading.is_number else min(one, limit)
                for one, heading in zip(natural, self.headings, strict=True)
            ]
            if self._total(widths) <= width:
                break
        return widths

    def _without_middle(
        self, widths: list[int], width: int, options: TableOptions
    ) -> Iterator[str]:
        """Columns are kept from both ends in turn."""
        kept_first, kept_last = [0], list[int]()
        left = list(range(1, len(widths)))
        while left:
            is_last = len(kept_last) < len(kept_first)
            candidate = left[-1] if is_last else left[0]
            chosen = [*kept_first, *kept_last, candidate]
            if self._total([widths[at] for at in chosen]) + len(_GAP + _ELLIPSIS) > width:
                break
            left.remove(candidate)
            kept_last.insert(0, candidate) if is_last else kept_first.append(candidate)
        yield from self._grid(kept_first + kept_last, widths, options, len(kept_first))
        yield f"({len(left)} of {len(widths)} columns are not shown: --expanded or --pager)"

    def _grid(
        self,
        visible: Iterable[int],
        widths: Sequence[int],
        options: TableOptions,
        gap_after: int | None = None,
    ) -> Iterator[str]:
        """`gap_after`: after so many columns some are missing."""
        columns = list(visible)

        def line(cells: Sequence[str], gap: str) -> str:
            parts = [
                padded(cells[at], widths[at], is_number=self.headings[at].is_number)
                for at in columns
            ]
            if gap_after is not None:
                parts.insert(gap_after, gap)
            return _GAP.join(parts).rstrip()

        yield line([heading.name for heading in self.headings], _ELLIPSIS)
        if options.types:
            yield line([heading.type for heading in self.headings], _ELLIPSIS)
        yield line(["─" * width for width in widths], "─")
        for row in self.rows:
            yield line(row, _ELLIPSIS)

    def _expanded(self, options: TableOptions) -> Iterator[str]:
        names = [
            f"{heading.name} {heading.type}" if options.types else heading.name
            for heading in self.headings
        ]
        width = max(map(width_of, names), default=0)
        for number, row in enumerate(self.rows, 1):
            yield f"─[ row {number} ]".ljust(width + len(_GAP) + MIN_TEXT_WIDTH, "─")
            for name, value in zip(names, row, strict=True):
                yield f"{padded(name, width)}{_GAP}{value}".rstrip()


def printed_lines(run: Run, width: int, options: TableOptions) -> list[str]:
    """The first `MAX_ROWS` rows as a table, and how many there are."""
    table = table_of(run)
    total = run.number_of_rows if run.number_of_rows is not None else len(table.rows)
    more = f", the first {MAX_ROWS} printed" if total > len(table.rows) else ""
    return [*_lines_of(table, width, options), f"({counted(total)}{more})"]


def file_lines(run: Run, options: TableOptions) -> list[str]:
    """Every row as a table at its full width. `CommandError` for more than `MAX_FILE_ROWS`."""
    if (run.number_of_rows or 0) > MAX_FILE_ROWS:
        raise CommandError(
            f"{counted(run.number_of_rows or 0)} are too many for a table in a file: use .csv"
        )
    table = table_of(run, MAX_FILE_ROWS)
    return [*_lines_of(table, sys.maxsize, options), f"({counted(len(table.rows))})"]


def _lines_of(table: TextTable, width: int, options: TableOptions) -> Iterator[str]:
    return table.lines(width, options) if table.headings else iter(())


def table_of(run: Run, max_rows: int = MAX_ROWS) -> TextTable:
    """The first rows of a complete run whose file is CSV."""
    with tempfile.TemporaryDirectory(prefix="queryrun-") as directory:
        path = run.download(Path(directory) / "rows")
        with open_plain(path) as file, io.TextIOWrapper(file, "utf-8", newline="\n") as text:
            records = records_of(text)
            header = next(records, [])
            rows = list(islice(records, max_rows))
    columns = run.info.columns
    names = [one or "" for one in header] if columns is None else [one.name for one in columns]
    types = [""] * len(names) if columns is None else [one.type for one in columns]
    headings = tuple(
        Heading(printable(name), kind, _is_number(kind, [row[at] for row in rows]))
        for at, (name, kind) in enumerate(zip(names, types, strict=True))
    )
    return TextTable(headings, tuple(tuple(map(cell, row)) for row in rows))


def cell(value: str | None) -> str:
    """One value as the file has it."""
    return _NULL if value is None else printable(value)


def width_of(text: str) -> int:
    """How many cells of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, width: int, *, is_number: bool = False) -> str:
    """Exactly `width` cells: shortened with an ellipsis, or filled on one side."""
    missing = width - width_of(text)
    if missing < 0:
        text = text[: width - 1]
        while width_of(text) > width - 1:  # characters of two cells
            text = text[:-1]
        text += _ELLIPSIS
        missing = width - width_of(text)
    return " " * missing + text if is_number else text + " " * missing


def print_paged(lines: Iterable[str]) -> None:
    """Through `less`, with long lines cut and not wrapped. Where there is none, as they are."""
    text = "\n".join(lines) + "\n"
    less = shutil.which("less")
    if less is None:
        print(text, end="")
        return
    subprocess.run([less, "-SFX"], input=text.encode(), check=False)  # noqa: S603 - a fixed command


def _is_number(kind: str, values: Sequence[str | None]) -> bool:
    """By the column's type; where the server says none, whether every value is one."""
    if kind:
        return kind.partition("(")[0].lower() in _NUMBERS
    texts = [value for value in values if value is not None]
    return bool(texts) and all(map(_NUMBER.fullmatch, texts))

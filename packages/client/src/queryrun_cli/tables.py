"""List and describe tables, as the server knows them: no run, no slot."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import typer

from queryrun_cli.exits import REFUSED, note, translated
from queryrun_cli.printable import printable
from queryrun_cli.remote import connect
from queryrun_cli.table import DEFAULT_TABLE, Heading, TableOptions, TextTable
from queryrun_client import Table
from queryrun_client.profiles import find_server

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def show_tables(source: str | None, profile: str | None, *, as_json: bool) -> None:
    """Print the tables; with JSON one object per line, as the server has it."""
    with translated(), connect(find_server(profile)) as client:
        found = client.tables(source)
    if as_json:
        for table in found:
            typer.echo(json.dumps(table.raw))
        return
    if not sys.stdout.isatty():
        rows = [(t.name, t.size_bytes, t.rows, t.format, t.problem) for t in found]
        _print_csv(("name", "size_bytes", "rows", "format", "problem"), rows)
        return
    for line in list_lines(found, _width(), DEFAULT_TABLE):
        typer.echo(line)


def show_table(name: str, source: str | None, profile: str | None, *, as_json: bool) -> None:
    """Print one table's columns and what it is made of; with JSON as the server has it."""
    with translated(), connect(find_server(profile)) as client:
        found = client.describe(name, source)
    if as_json:
        typer.echo(json.dumps(found.raw))
        return
    if found.columns is None:
        note(found.problem or "its columns could not be read")
        raise typer.Exit(REFUSED)
    if not sys.stdout.isatty():
        _print_csv(("name", "type"), [(one.name, one.type) for one in found.columns])
        return
    for line in describe_lines(found, _width(), DEFAULT_TABLE):
        typer.echo(line)


def _print_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """In a pipe, as `run` prints rows: names and values as they are, sizes in bytes."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)


def list_lines(found: Sequence[Table], width: int, options: TableOptions) -> Iterator[str]:
    """The tables with their sizes, and why one of them cannot be read."""
    rows = [
        (
            one.name,
            "" if one.columns is None else f"{len(one.columns):,}",
            "" if one.rows is None else f"{one.rows:,}",
            size_text(one.size_bytes),
            one.format or "",
            one.problem or "; ".join(one.warnings),
        )
        for one in found
    ]
    headings = ("name", "columns", "rows", "size", "format", "note")
    is_noted = any(row[-1] for row in rows)
    kept = len(headings) if is_noted else len(headings) - 1
    if not rows:
        yield "(no tables)"
        return
    yield from _table(headings[:kept], [row[:kept] for row in rows], {1, 2, 3}).lines(
        width, options
    )
    yield f"({len(rows):,} {'table' if len(rows) == 1 else 'tables'})"


def describe_lines(table: Table, width: int, options: TableOptions) -> Iterator[str]:
    """The columns, and what is known of the table."""
    if table.columns is not None:
        rows = [(one.name, one.type) for one in table.columns]
        yield from _table(("column", "type"), rows, set()).lines(width, options)
    facts = {
        "format": table.format,
        "files": table.files,
        "size": size_text(table.size_bytes) or None,
        "rows": None if table.rows is None else f"{table.rows:,}",
        "version": table.version,
    }
    known = [f"{name}: {value}" for name, value in facts.items() if value is not None]
    if known:
        yield from textwrap.wrap(printable(f"({', '.join(known)})"), max(width, 40))
    for text in (table.problem, *table.warnings):
        if text:
            yield printable(f"note: {text}")


def size_text(size_bytes: int | None) -> str:
    """Bytes in words, in powers of 1000; empty when they are not known."""
    if size_bytes is None:
        return ""
    value, unit = float(size_bytes), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]) -> TextTable:
    return TextTable(
        tuple(Heading(name, "", at in numbers) for at, name in enumerate(headings)),
        tuple(tuple(printable(cell) for cell in row) for row in rows),
    )


def _width() -> int:
    return shutil.get_terminal_size().columns

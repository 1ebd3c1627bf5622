"""What a shell remembers from one entry to the next."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from queryrun_cli.errors import CommandError
from queryrun_cli.printable import printable
from queryrun_cli.table import TableOptions, print_paged
from queryrun_client import Client, Table, formats

TABLE = "table"
FORMATS = (TABLE, *(name for name, one in formats.FORMATS.items() if not one.needs_separator))


@dataclass(slots=True)
class OutputFile:
    """The file that results go into, instead of the terminal."""

    path: Path
    results: int = 0


@dataclass(slots=True)
class Session:
    """One client and the settings of its shell."""

    client: Client
    source: str | None = None
    format: str = field(default_factory=lambda: TABLE if sys.stdout.isatty() else "csv")
    table: TableOptions = field(default_factory=TableOptions)
    is_timed: bool = False
    quiet: bool = False
    output: OutputFile | None = None
    is_done: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    """Values of `:name`, for the statements that name it."""

    def write_lines(self, lines: Iterable[str]) -> None:
        """Print lines that may be sent to a terminal, through a pager if one is wanted."""
        if self.table.pager and sys.stdout.isatty():
            print_paged(lines)
            return
        for line in lines:
            print(line)
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Print one line. Control characters of names and values are shown and never sent."""
        print(printable(text), flush=True)

    def tables(self) -> list[Table]:
        """The tables of the source."""
        return self.client.tables(self.source)

    def sources(self) -> list[str]:
        """The sources that statements can run on."""
        return self.client.sources()

    def set_expanded(self, expanded: bool | None) -> None:
        """One line per value, never, or (None) where few rows do not fit."""
        self.table = replace(self.table, expanded=expanded)

    def open_output(self, path: Path) -> None:
        """Let results go into this file from now on. `CommandError` for what is no format."""
        suffix = path.suffix[1:].lower()
        if suffix == "xlsx":
            raise CommandError("there are no results in .xlsx: use .csv, which spreadsheets open")
        if suffix in FORMATS:
            self.format = suffix
        self.output = OutputFile(path)

    def close_output(self) -> None:
        """Let results go to the terminal again; a format that no terminal can show ends too."""
        self.output = None
        if self.format != TABLE and not formats.FORMATS[self.format].is_text:
            self.format = TABLE

    @property
    def width(self) -> int:
        """Cells of a line of the terminal."""
        return shutil.get_terminal_size().columns

"""What a shell remembers from one entry to the next."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from queryrun_cli.errors import CommandError
from queryrun_cli.printable import printable
from queryrun_cli.table import TableOptions, print_paged
from queryrun_cli.targets import FORMATS as FILE_FORMATS
from queryrun_cli.targets import check_writable, content_of
from queryrun_client import Client, Table

TABLE = "table"
FORMATS = (TABLE, *FILE_FORMATS)


@dataclass(slots=True)
class OutputFile:
    """The file that results go into, instead of the terminal."""

    path: Path
    format: str
    compression: str = "none"
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
    run_entry: Callable[[str], None] = field(default=lambda _: None)
    """Runs one statement or command; the loop sets it, so that a file's can be run."""
    depth: int = 0
    """Files that are being read, each by the one before."""
    line: int = 1
    """Of what is piped in: where the entry that is run begins."""

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

    @contextmanager
    def expanded_once(self) -> Iterator[None]:
        """One line per value for what is shown meanwhile."""
        before = self.table
        self.set_expanded(True)
        try:
            yield
        finally:
            self.table = before

    def open_output(self, path: Path) -> OutputFile:
        """Let results go into this file from now on. `CommandError` for what is no format, and
        where no file can be made."""
        check_writable(path)
        if path.is_dir():
            raise CommandError(f"{path} is a directory: name a file")
        found, compression = content_of(path)
        if found is None and compression != "none":
            found = "csv" if self.format == TABLE else self.format
        self.output = OutputFile(path, found or self.format, compression)
        return self.output

    def close_output(self) -> None:
        """Let results go to the terminal again, in the format that they had there."""
        self.output = None

    @property
    def content(self) -> str:
        """The format that results have now: the file's, or the terminal's."""
        return self.format if self.output is None else self.output.format

    @property
    def width(self) -> int:
        """Cells of a line of the terminal."""
        return shutil.get_terminal_size().columns

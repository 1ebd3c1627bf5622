"""What a table is before anything of it is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.definition import TableDefinition
from queryrun.tables.identity import FileIdentity

MAX_DISPLAYED_CHARS = 120
"""Of a file's name in a message."""

RESTORE = "restore it, or write the table anew"
"""What to do about a file that a table format's log or metadata has lost."""

NO_DEFINITION = TableDefinition()
Partition = tuple[tuple[str, str | None], ...]
"""The columns that a file's path gives (`year=2024/`), decoded; None is NULL."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a table.

    `name` is relative to the entity's data directory, and the only form that messages may show
    (with `displayed`); `path` is for this machine alone.
    """

    path: str
    name: str
    compression: str = ""
    """As DuckDB calls it; empty for none."""
    partition: Partition = ()


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """A column of a table format's schema; `type` as DuckDB names it."""

    name: str
    type: str
    source: str
    """What it is called in the files."""
    field_id: int = 0
    default: str = "NULL"
    """SQL for files that are older than the column."""
    partition_index: int | None = None
    """Its place among the columns that paths give; None: the files have it."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One version of a table, by its log or metadata."""

    version: str
    """As the format counts: `12`, or the id of a snapshot."""
    columns: tuple[PlannedColumn, ...]
    deleted: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """Positions of deleted rows, by the index of the file."""
    by_field_id: bool = False
    rows: int | None = None
    """How many there are, where the log says it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its files, or by the directory of a table format, as they are at this moment.

    `problem` says why it cannot be read, in words for the caller that begin in lower case.
    `warnings` are for those who look after the data: what is passed over, and why.
    """

    name: str
    """As the file or directory spells it."""
    format: str
    """A name in `formats.FORMATS`."""
    files: tuple[FoundFile, ...] = ()
    root: str = ""
    """The directory of a table that is one."""
    directories: tuple[tuple[str, FileIdentity], ...] = ()
    """Every directory that was listed, as it was just before."""
    partition_keys: tuple[str, ...] = ()
    plan: TablePlan | None = None
    """Of a table format, once its log has been read."""
    deleted_column: str = ""
    """The boolean column that marks deleted rows, if its definition names one."""
    definition: TableDefinition = NO_DEFINITION
    """What `tables.toml` says of it."""
    problem: str = ""
    warnings: tuple[str, ...] = field(default=())

    def require_readable(self) -> None:
        """Raise `RunFailed` with the table's problem, if it has one."""
        if self.problem:
            raise unreadable(self.name, self.problem)


def unreadable(table: str, problem: str) -> RunFailed:
    """The failure of a table that cannot be read; `problem` says why and what to do."""
    message = f"Table '{displayed(table)}' cannot be read: {problem}"
    return RunFailed.of(FailureCode.DATA_INVALID, message)


def table_key(name: str) -> str:
    """What two spellings of one table have in common: composed Unicode, in lower case."""
    return unicodedata.normalize("NFC", name).lower()


def displayed(name: str) -> str:
    """A file's name as messages show it: printable, and cut if it is very long."""
    safe = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)
    return safe if len(safe) <= MAX_DISPLAYED_CHARS else safe[: MAX_DISPLAYED_CHARS - 1] + "…"

"""Errors that the engine raises while it reads files, in words that name table and file."""

from __future__ import annotations

import contextlib
import json
import re

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.formats import FORMATS
from queryrun.tables.model import displayed, unreadable
from queryrun.tables.snapshot import DESCRIPTORS, Snapshot
from queryrun.tables.text.faults import COLUMN_FAULT

ABOUT_DATA = frozenset(
    {FailureCode.DATA_INVALID, FailureCode.DATA_UNREADABLE, FailureCode.DATA_CHANGED}
)
"""Codes whose messages `position_of` understands."""


def fault_of(message: str, snapshot: Snapshot | None) -> RunFailed | None:
    """The fault of a file that an error of the engine means; None when it means none.

    A database has no `snapshot`, and columns that cannot be read all the same.
    """
    column = _of_column(message)
    if column:
        return RunFailed.of(FailureCode.DATA_INVALID, column)
    if snapshot is None:
        return None
    for path in re.findall(f"{DESCRIPTORS}[0-9]+|/[^'\"]*", message):
        found = snapshot.file_at(path)
        if found:
            table, file = found
            label = FORMATS["parquet" if table.plan else table.format].label
            problem = f"'{displayed(file.name)}' {_values_problem(message) or _NO_FILE % label}"
            return unreadable(table.name, problem)
    return _damage(message, snapshot)


_NO_FILE = "is damaged, or no %s file"
_VALUES = (
    ("Invalid string encoding", "has a text that is not UTF-8: write its column as binary"),
    ("Invalid TIME value", "has a time of more than a day: write its column as an integer"),
    ("at least one non-root column", "has no columns: write it again, or remove it"),
    ("File is encrypted but no file crypto", "is encrypted: write it without encryption"),
    ("Could not convert Timestamp(", "has a timestamp out of range: correct it"),
)
"""What the engine says of values in whole files that no type can have, and what to say instead."""


def _values_problem(message: str) -> str:
    return next((problem for mark, problem in _VALUES if mark in message), "")


def position_of(message: str) -> dict[str, str | int]:
    """Table, file and line that a message of ours about data names, for the log.

    Never a cell's value: it stands behind the word `has`, and only what is in front is looked at.
    """
    head = message.partition(" has '")[0]
    found: dict[str, str | int] = {}
    if table := re.match(r"Table '([^']*)'", head):
        found["table"] = table[1]
    if line := re.search(r"'([^']*)' line (\d+)", head):
        found |= {"file": line[1], "line": int(line[2])}
    elif file := re.search(r"(?:cannot be read|while it was read): '([^']*)'", head):
        found["file"] = file[1]
    return found


def _damage(message: str, snapshot: Snapshot) -> RunFailed | None:
    """What the engine says of pages that it cannot decode names no file."""
    values = _values_problem(message)
    if not values and not _DAMAGED.match(_own_message(message)):
        return None
    tables = [found for found in snapshot.tables() if not FORMATS[found.table.format].is_text]
    if len(tables) != 1:
        names = ", ".join(f"'{displayed(found.table.name)}'" for found in tables)
        problem = f"A file of one of the tables {names} {values or _DAMAGE}"
        return RunFailed.of(FailureCode.DATA_INVALID, problem) if tables else None
    files = [displayed(file.found.name) for file in tables[0].files]
    which = f"'{files[0]}'" if len(files) == 1 else f"one of its {len(files)} files"
    return unreadable(tables[0].table.name, f"{which} {values or _DAMAGE}")


_DAMAGE = "is damaged: write it again"
_DAMAGED = re.compile(
    r"(?:Parquet file is likely corrupted|Failed to decompress|TProtocolException|Out of buffer"
    r"|Payload value bigger|(?:ZSTD|Snappy|LZ4|Brotli|GZIP) |Corrupt|Invalid (?:page|dictionary))",
    re.I,
)


def _of_column(message: str) -> str:
    """What a relation says of a column that it cannot read (`COLUMN_FAULT`); else empty."""
    if COLUMN_FAULT not in message:
        return ""
    return _own_message(message).partition(COLUMN_FAULT)[2].strip()


def _own_message(message: str) -> str:
    with contextlib.suppress(ValueError, LookupError, TypeError):  # else the rest is the message
        return str(json.loads(message[message.index("{") :])["exception_message"])
    return message

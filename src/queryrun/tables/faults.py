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


def fault_of(message: str, snapshot: Snapshot) -> RunFailed | None:
    """The fault of a file that an error of the engine means; None when it means none."""
    column = _of_column(message)
    if column:
        return RunFailed.of(FailureCode.DATA_INVALID, column)
    for path in re.findall(f"{DESCRIPTORS}[0-9]+|/[^'\"]*", message):
        found = snapshot.file_at(path)
        if found:
            table, file = found
            label = FORMATS[table.format].label
            problem = f"'{displayed(file.name)}' is damaged, or no {label} file"
            return unreadable(table.name, problem)
    return None


def _of_column(message: str) -> str:
    """What a relation says of a column that it cannot read (`COLUMN_FAULT`); else empty."""
    if COLUMN_FAULT not in message:
        return ""
    with contextlib.suppress(ValueError, LookupError, TypeError):  # else the rest is the message
        message = str(json.loads(message[message.index("{") :])["exception_message"])
    return message.partition(COLUMN_FAULT)[2].strip()

"""Errors that the engine raises while it reads files, in words that name table and file."""

from __future__ import annotations

import re

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.formats import FORMATS
from queryrun.tables.model import displayed, unreadable
from queryrun.tables.snapshot import DESCRIPTORS, Snapshot
from queryrun.tables.text.faults import COLUMN_FAULT


def fault_of(message: str, snapshot: Snapshot) -> RunFailed | None:
    """The fault of a file that an error of the engine means; None when it means none."""
    column = re.search(f'{COLUMN_FAULT}([^"]*)', message)
    if column:
        return RunFailed.of(FailureCode.DATA_INVALID, column[1])
    for path in re.findall(f"{DESCRIPTORS}[0-9]+|/[^'\"]*", message):
        found = snapshot.file_at(path)
        if found:
            table, file = found
            label = FORMATS[table.format].label
            problem = f"'{displayed(file.name)}' is damaged, or no {label} file"
            return unreadable(table.name, problem)
    return None

"""Errors that the engine raises while it reads files, in words that name table and file."""

from __future__ import annotations

import re

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.formats import FORMATS
from queryrun.tables.model import shown, unreadable
from queryrun.tables.snapshot import DESCRIPTORS, Snapshot
from queryrun.tables.text.faults import COLUMN_FAULT


def fault_of(message: str, snapshot: Snapshot) -> RunFailed | None:
    """The fault of a file that an error of the engine means; None when it means none.

    When a file was written while it was read, that is the fault, whatever the engine made of it.
    """
    column = re.search(f'{COLUMN_FAULT}([^"]*)', message)
    if column:
        return RunFailed.of(FailureCode.DATA_INVALID, column[1])
    try:
        snapshot.verify()
    except RunFailed as changed:
        return changed
    for path in re.findall(f"{DESCRIPTORS}[0-9]+|/[^'\"]*", message):
        found = snapshot.file_at(path)
        if found:
            table, file = found
            label = FORMATS[table.format].label
            problem = f"'{shown(file.name)}' is damaged, or no {label} file"
            return unreadable(table.name, problem)
    return None

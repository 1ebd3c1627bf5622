"""What the engine says of a database file and of the views in it, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Collection

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.model import displayed, unreadable

_BROKEN_VIEW = (
    "it is a view of what is not there or not as the view has it{}; "
    "correct the view in the database"
)
_MISSING = re.compile(r'with name "?([^" ]+)"? does not exist')
_FILES = (
    (
        "Failure while replaying WAL",
        "has a log beside it (.wal) that cannot be read: open it in the program that wrote it, "
        "and close it there",
    ),
    (
        "newer version of DuckDB",
        "was written by a newer DuckDB than this service has: write it with an earlier "
        "STORAGE_VERSION",
    ),
    (
        "only read storage versions",
        "was written by a DuckDB that is too old: export it there, and import it into a new file",
    ),
    ("ncrypt", "is encrypted: write it without encryption"),
    ("not a valid DuckDB database file", "is no DuckDB database file"),
    ("Corrupt database file", "is damaged: restore it, or write it again"),
    ("Could not read enough bytes", "is damaged (cut short): restore it, or write it again"),
)
"""Of faults that stay until the file is another. The first that fits counts."""
_VIEWS = (
    ("attached in read-only mode", "it is a view that writes when it is read (nextval and such)"),
    ("file system operations are disabled", "it is a view of a file outside of the database"),
    ("currval: ", "it is a view of a sequence's state (currval)"),
    (r"exists in the (\w+) extension", "it is a view that needs the extension {} of DuckDB"),
)
_INSTEAD = "; make a table of its rows in the database"


def fault_of_file(message: str) -> RunFailed | None:
    """The fault of a database file that an error of the engine means; None when it means none."""
    for mark, problem in _FILES:
        if mark in message:
            return RunFailed.of(FailureCode.DATA_INVALID, f"The source's database {problem}")
    return None


def problem_of_view(message: str) -> str:
    """Why a view of a database can never be read here, and what to do; empty where an error of the
    engine does not mean that."""
    for pattern, problem in _VIEWS:
        if found := re.search(pattern, message):
            return problem.format(*found.groups()) + _INSTEAD
    return ""


def problem_of_definition(message: str) -> str:
    """Why a view or table of a database cannot even be described, and what to do."""
    missing = _MISSING.search(message.replace('\\"', '"'))
    found = f" ('{displayed(missing[1])}')" if missing else ""
    return problem_of_view(message) or _BROKEN_VIEW.format(found)


def fault_of_view(message: str, views: Collection[str]) -> RunFailed | None:
    """`problem_of_view`, of a statement that runs and names `views`."""
    problem = problem_of_view(message) if views else ""
    return unreadable("' or '".join(sorted(views)), problem) if problem else None

"""Errors of the database and the machine as one line for the operator."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from queryrun.causes import Cause, cause_of
from queryrun.db.sqlite.files import machine_error
from queryrun.errors import Unavailable
from queryrun.settings import DATABASE_NAME

_WHAT_TO_DO = {
    Cause.CORRUPT: "restore it from a backup; `sqlite3 FILE .recover` may save what is left",
    Cause.LOCKED: "end that process (`fuser FILE` names it), or try again",
    Cause.DISK_FULL: "free some space, and try again",
    Cause.READ_ONLY: "make it writable (`ls -l`, `lsattr`, `mount`), or give another --home",
    Cause.MISSING: "look whether the home is there and this user may write to it",
    Cause.NOT_OPENED: "look whether the home is there, and run as the user that owns it",
    Cause.NO_DESCRIPTORS: "raise it (`ulimit -n`)",
    Cause.NOT_PERMITTED: "run as the user that owns the home",
    Cause.IO_ERROR: "look into the kernel's log: the disk may be failing",
}


_RESTORE = "To do: restore a backup"
_OTHER_TABLES = ("42P01", "42703")
"""PostgreSQL's codes of a table and of a column that is not there."""


def explain(error: Exception) -> str | None:
    """One line for an error of a database; None for any other. The system's own errors are the
    command line's."""
    if _has_other_tables(error):
        return f"the database was changed by somebody: {_first_line(error)}. {_RESTORE}"
    if not isinstance(error, sqlite3.Error | Unavailable):
        return None
    cause = cause_of(error)
    if cause is None:
        return None
    if cause is Cause.NOT_OPENED and machine_error(Path(DATABASE_NAME), cause) is not None:
        cause = Cause.NO_DESCRIPTORS
    advice = _WHAT_TO_DO.get(cause)
    if isinstance(error, Unavailable) and not isinstance(error.__cause__, sqlite3.Error):
        return None
    sentence = f"the database {DATABASE_NAME} of the home cannot be used: {cause.sentence}"
    return f"{sentence}. To do: {advice}" if advice else sentence


def _has_other_tables(error: Exception) -> bool:
    """Somebody has removed a table or a column."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("no such ")
    return getattr(error, "sqlstate", None) in _OTHER_TABLES


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]

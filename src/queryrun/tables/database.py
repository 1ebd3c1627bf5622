"""A database file as a source: attached read-only at one version, without keeping its owner out.

The engine locks the file while it has it attached, so that its owner could not write for as long
as a worker is kept. The lock serves to attach a whole version and is released at once: closing
any descriptor of a file releases all locks that the process has on it (fcntl). From then on the
owner may write, and `verify` says whether it did: the version of a statement's rows is certain
all the same. A file that is replaced or deleted is read as it was.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import duckdb

from queryrun.errors import FailureCode, RunFailed
from queryrun.tables.database_faults import fault_of_file
from queryrun.tables.identity import FileIdentity, unsettled_s
from queryrun.tables.shortage import raise_if_short
from queryrun.tables.sql import quoted_name, quoted_text

_CHANGED = "The source's database was written while the statement read it"
_LOCKED = (
    "The source's database is open for writing in another program. Close it there and submit the "
    "statement again, or write to a copy and rename the copy when it is whole"
)
MAX_LOCK_WAIT_S = 3.0
"""A program that writes and closes again is waited for. One that keeps the file open is not: then
another attempt would find the same."""
_LOCK_POLL_S = 0.05
_IS_LOCKED = "Could not set lock on file"
_UNREADABLE = "The source's database could not be opened"
_NO_FILE = "The source's database is not a file"


class AttachedDatabase:
    """One version of a database file. `close` it after the connection it is attached to."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> None:
        """Attach the file under a name.

        Raises `RunFailed`: `data_unreadable` when it is not there, `data_invalid` when it is no
        database that can be read, or another program keeps it open for writing (for
        `MAX_LOCK_WAIT_S`), `data_changed` when it is replaced at this moment.
        """
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise_if_short(error)
            raise RunFailed.of(FailureCode.DATA_UNREADABLE, _UNREADABLE) from error
        try:
            self._identity = self._attach(connection, path, name)
        except BaseException:
            self.close()
            raise

    def verify(self) -> None:
        """Return when nobody has written to the file since it was attached.

        What its owner has written to the log beside it (`.wal`) does not count: it was read when
        the file was attached. Raises `RunFailed` (`data_changed`).
        """
        now = FileIdentity.of(os.fstat(self._descriptor))
        if now.content != self._identity.content:
            raise RunFailed.of(FailureCode.DATA_CHANGED, _CHANGED)

    def _attach(self, connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> FileIdentity:
        """While the engine holds its lock nobody writes, so the identity is of what it attached."""
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise RunFailed.of(FailureCode.DATA_INVALID, _NO_FILE)
        sql = f"ATTACH {quoted_text(str(path))} AS {quoted_name(name)} (READ_ONLY)"
        deadline_s = time.monotonic() + MAX_LOCK_WAIT_S
        while not _is_attached(connection, sql):
            if time.monotonic() > deadline_s:
                raise RunFailed.of(FailureCode.DATA_INVALID, _LOCKED)
            time.sleep(_LOCK_POLL_S)
        state = os.fstat(self._descriptor)
        time.sleep(unsettled_s(state))
        if _identity_at(path) != FileIdentity.of(state):
            raise RunFailed.of(FailureCode.DATA_CHANGED, _CHANGED)
        _release_locks(self._descriptor)
        return FileIdentity.of(state)

    def close(self) -> None:
        """Close our descriptor. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _is_attached(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """False while another program has the file open for writing."""
    try:
        connection.execute(sql)
    except duckdb.Error as error:
        if _IS_LOCKED in str(error):
            return False
        raise_if_short(error)
        raise _fault_of(error) from error
    return True


def _fault_of(error: duckdb.Error) -> RunFailed:
    known = fault_of_file(str(error))
    return known or RunFailed.of(FailureCode.DATA_UNREADABLE, _UNREADABLE)


def _identity_at(path: Path) -> FileIdentity | None:
    try:
        return FileIdentity.of(path.stat())
    except OSError:
        return None


def _release_locks(descriptor: int) -> None:
    """By closing another descriptor of the same open file's inode."""
    os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC))

"""The files of an open SQLite database, and whether they are still the ones that were opened.

SQLite goes on writing to files that were deleted or replaced under it: everything accepted from
then on would be gone after a restart. So the writer asks here around every commit.
"""

from __future__ import annotations

import errno
import os
import resource
import secrets
import sqlite3
from pathlib import Path

from queryrun.causes import Cause, cause_of
from queryrun.errors import Unavailable

_FIRST_BYTES = 100
_ID_OFFSET, _ID_BYTES = 68, 4
"""Where a database file has its application id."""
_AGE_OFFSET, _AGE_BYTES = 24, 8
"""Where it has its change counter and its number of pages, each 4 bytes, the highest first. Read as
one number, they never become less: pages are given back by VACUUM alone, which counts a change."""
_PROBE_BYTES = 64 * 1024
"""More than the memory of a log's index, which SQLite needs first."""
_SIDE_FILES = ("-wal", "-shm")
_FILES_OPENED = 12
"""By the connections of one command, at most."""


class DatabaseFiles:
    """The identity of a database's files. One that was opened for long is cheap to check.

    It keeps a descriptor of the database file: closing one drops every lock that this process has
    on the file, so it is closed by `close` alone, after the connections.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """`connection` must have written to the database in WAL mode, so that all files exist."""
        self.path = path
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stored, self._age = self._first_page()
        written = (application_id & 0xFFFFFFFF).to_bytes(_ID_BYTES, "big")
        self._ids = {stored, written} - {b""}
        self._known = {name: _identity(name) for name in self._names()}

    def check(self) -> None:
        """Raise `Unavailable`, with the cause and which file it is, unless all is as it was."""
        for name, known in self._known.items():
            try:
                found = _identity(name)
            except OSError as error:
                raise _gone(name, cause_of(error) or Cause.OTHER) from error
            if found != known:
                raise _gone(name, Cause.REPLACED)
        stored, age = self._first_page()
        if stored not in self._ids:
            raise _gone(self.path, Cause.REPLACED) if stored else _emptied(self.path)
        if age < self._age and self._first_page()[1] < self._age:
            raise _gone(self.path, Cause.REPLACED)  # an older copy was written over it
        self._age = max(age, self._age)

    def close(self) -> None:
        """Release the descriptor. Call it after the last connection was closed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def lock_holder(self) -> str | None:
        """`process 4711 (sqlite3)`, which has locked the database; None when the kernel names none.

        Reads the kernel's list of locks, in which other containers' processes are missing.
        """
        inodes = {f":{inode} " for _, inode in self._known.values()}
        try:
            locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        for line in locks:
            fields = line.split()
            if "WRITE" in fields and any(inode in line for inode in inodes):
                pid = int(fields[fields.index("WRITE") + 1])
                if pid not in (os.getpid(), 0, -1):
                    return f"process {pid} ({_name_of(pid)})"
        return None

    def _names(self) -> list[Path]:
        side_files = [Path(f"{self.path}{suffix}") for suffix in _SIDE_FILES]
        return [self.path, *(name for name in side_files if name.exists())]

    def _first_page(self) -> tuple[bytes, int]:
        """The application id, and what grows with changes; no id when the file is too short for
        one. One read says all: each call lets another thread have the interpreter, and this is done
        around every commit."""
        try:
            first = os.pread(self._file, _FIRST_BYTES, 0)
        except OSError as error:
            raise _gone(self.path, cause_of(error) or Cause.OTHER) from error
        if len(first) < _FIRST_BYTES:
            return b"", 0
        age = first[_AGE_OFFSET : _AGE_OFFSET + _AGE_BYTES]
        return first[_ID_OFFSET : _ID_OFFSET + _ID_BYTES], int.from_bytes(age, "big")


def machine_error(database: Path, cause: Cause | None) -> OSError | None:
    """What the machine really says when SQLite reports an error of it, for which it has two words:
    the disk has an error, and a file cannot be opened. None: no more than that can be found out."""
    if cause is Cause.IO_ERROR:
        return _size_error(database) or disk_error(database)
    return _open_error(database) if cause is Cause.NOT_OPENED else None


def _size_error(database: Path) -> OSError | None:
    """A file is at the limit of this process for the size of files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    files = (database, *(Path(f"{database}{suffix}") for suffix in _SIDE_FILES))
    if limit == resource.RLIM_INFINITY:
        return None
    if any(file.exists() and file.stat().st_size + _PROBE_BYTES > limit for file in files):
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(database))
    return None


def _open_error(database: Path) -> OSError | None:
    """Nearly no descriptors are left to this process: SQLite needs some for each connection."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no paths are needed
    except OSError as error:
        used = limit if error.errno == errno.EMFILE else 0
    if used + _FILES_OPENED < limit:
        return None
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(database))


def disk_error(database: Path) -> OSError | None:
    """What the disk really says when SQLite just reports an error of it: full, over quota. Writes a
    little beside the database to find out, and removes it. None: that worked.

    SQLite has one code for all that a write can fail for, except for some cases of a full disk.
    """
    path = database.with_name(f".{database.name}-{secrets.token_hex(4)}")
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, bytes(_PROBE_BYTES))
            os.fsync(file)
        finally:
            os.close(file)
            path.unlink(missing_ok=True)
    except OSError as error:
        return OSError(error.errno, error.strerror, str(database))
    return None


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - called around every commit
    return found.st_dev, found.st_ino


def _emptied(path: Path) -> Unavailable:
    return Unavailable(
        f"the database file {path.name} was emptied: stop this node and restore it from a backup",
        Cause.CORRUPT,
    )


def _gone(path: Path, cause: Cause) -> Unavailable:
    """What was accepted before is still readable here, and lost once this process has ended."""
    what = {Cause.MISSING: "was deleted or moved", Cause.REPLACED: "was replaced by another file"}
    happened = what.get(cause, f"cannot be read: {cause.sentence}")
    return Unavailable(
        f"the database file {path.name} {happened}: put it back, or stop this node and restore a "
        "backup",
        cause,
    )


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "of another container, or ended"

"""Why something of this machine cannot be used now, as a code and as a sentence.

One place that reads error numbers: whoever reports trouble (`/readyz`, the log, a gauge, a command)
says the same words for the same cause. Depends on nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from enum import StrEnum


class Cause(StrEnum):
    """Why a part cannot be used. The value is the gauge's label; few, and never removed."""

    DISK_FULL = "disk_full"
    QUOTA = "quota"
    LOCKED = "locked"
    IO_ERROR = "io_error"
    READ_ONLY = "read_only"
    MISSING = "missing"
    NOT_OPENED = "not_opened"
    REPLACED = "replaced"
    CORRUPT = "corrupt"
    NOT_PERMITTED = "not_permitted"
    NOT_A_DIRECTORY = "not_a_directory"
    IS_A_DIRECTORY = "is_a_directory"
    NO_DESCRIPTORS = "no_descriptors"
    NO_PROCESSES = "no_processes"
    NO_MEMORY = "no_memory"
    FILE_TOO_LARGE = "file_too_large"
    TIMEOUT = "timeout"
    OTHER = "other"

    @property
    def sentence(self) -> str:
        """What happened, without a name of a file: `the disk is full`."""
        return _SENTENCES[self]

    @property
    def may_pass(self) -> bool:
        """Whether it is a shortage, which ends when others free what they hold."""
        return self in _SHORTAGES


_SENTENCES = {
    Cause.DISK_FULL: "the disk is full: no space or no inodes are left",
    Cause.QUOTA: "the disk quota of this user is used up",
    Cause.LOCKED: "another process has locked it",
    Cause.IO_ERROR: "the disk reports an input/output error",
    Cause.READ_ONLY: "it is read-only: the file, or the file system it is on",
    Cause.MISSING: "it does not exist",
    Cause.NOT_OPENED: "it cannot be opened: it is missing, or this user may not read it",
    Cause.REPLACED: "it was replaced by another file",
    Cause.CORRUPT: "it is damaged, or no database",
    Cause.NOT_PERMITTED: "this user has no permission",
    Cause.NOT_A_DIRECTORY: "it is a file where a directory must be, or a link that leads nowhere",
    Cause.IS_A_DIRECTORY: "it is a directory where a file must be",
    Cause.NO_DESCRIPTORS: "the limit of open files is reached",
    Cause.NO_PROCESSES: "the limit of processes and threads is reached",
    Cause.NO_MEMORY: "no memory is left",
    Cause.FILE_TOO_LARGE: "the limit of a file's size is reached",
    Cause.TIMEOUT: "it does not respond in time",
    Cause.OTHER: "it failed for an unexpected reason",
}

_SHORTAGES = {
    Cause.DISK_FULL,
    Cause.QUOTA,
    Cause.NO_DESCRIPTORS,
    Cause.NO_PROCESSES,
    Cause.NO_MEMORY,
}

_BY_ERRNO = {
    errno.ENOSPC: Cause.DISK_FULL,
    errno.EDQUOT: Cause.QUOTA,
    errno.EIO: Cause.IO_ERROR,
    errno.EREMOTEIO: Cause.IO_ERROR,
    errno.EUCLEAN: Cause.IO_ERROR,
    errno.EBADMSG: Cause.IO_ERROR,
    errno.ENODEV: Cause.IO_ERROR,
    errno.ENXIO: Cause.IO_ERROR,
    errno.EROFS: Cause.READ_ONLY,
    errno.ENOENT: Cause.MISSING,
    errno.ESTALE: Cause.MISSING,
    errno.EACCES: Cause.NOT_PERMITTED,
    errno.EPERM: Cause.NOT_PERMITTED,
    errno.ENOTDIR: Cause.NOT_A_DIRECTORY,
    errno.EEXIST: Cause.NOT_A_DIRECTORY,
    errno.ELOOP: Cause.NOT_A_DIRECTORY,
    errno.EISDIR: Cause.IS_A_DIRECTORY,
    errno.EMFILE: Cause.NO_DESCRIPTORS,
    errno.ENFILE: Cause.NO_DESCRIPTORS,
    errno.EAGAIN: Cause.NO_PROCESSES,
    errno.ENOMEM: Cause.NO_MEMORY,
    errno.EFBIG: Cause.FILE_TOO_LARGE,
    errno.ETIMEDOUT: Cause.TIMEOUT,
}

_BY_SQLITE_CODE = {
    5: Cause.LOCKED,  # SQLITE_BUSY
    6: Cause.LOCKED,  # SQLITE_LOCKED
    13: Cause.DISK_FULL,  # SQLITE_FULL
    10: Cause.IO_ERROR,  # SQLITE_IOERR
    8: Cause.READ_ONLY,  # SQLITE_READONLY
    14: Cause.NOT_OPENED,  # SQLITE_CANTOPEN
    11: Cause.CORRUPT,  # SQLITE_CORRUPT
    26: Cause.CORRUPT,  # SQLITE_NOTADB
    7: Cause.NO_MEMORY,  # SQLITE_NOMEM
    3: Cause.NOT_PERMITTED,  # SQLITE_PERM
    23: Cause.NOT_PERMITTED,  # SQLITE_AUTH
}

"""Primary result codes of SQLite, as numbers: what is pure imports no database."""

_NO_THREAD = "can't start new thread"


def cause_of(error: BaseException) -> Cause | None:
    """The cause behind an error, or behind what it was raised from. None: not of the machine."""
    return next((found for one in chain_of(error) if (found := _own_cause(one))), None)


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, each once: Python lets a chain lead back to itself
    (`raise error from error`)."""
    passed: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in passed:
        passed.add(id(one))
        yield one
        one = one.__cause__


def words_of(error: BaseException) -> str:
    """What happened, as a sentence for an operator: of an error whose cause has no name here, such
    as a mount that has lost its server, what the system calls it."""
    cause = cause_of(error)
    if cause is None and isinstance(error, OSError) and error.errno is not None:
        return f"the system reports: {os.strerror(error.errno)}"
    return (cause or Cause.OTHER).sentence


def _own_cause(error: BaseException) -> Cause | None:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _BY_SQLITE_CODE.get(code & 0xFF)
    if isinstance(error, TimeoutError) and error.errno is None:
        return Cause.TIMEOUT
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_ERRNO.get(error.errno)
    if isinstance(error, MemoryError):
        return Cause.NO_MEMORY
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return Cause.NO_PROCESSES
    known = getattr(error, "cause", None)
    return known if isinstance(known, Cause) else None

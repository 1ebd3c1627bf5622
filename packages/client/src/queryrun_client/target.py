"""Where a file goes: a regular file is replaced in one step, everything else is written into.

A device, a FIFO, a socket or a descriptor of this process must stay what it is: replacing
`/dev/null` by a file breaks the machine. A symbolic link stays too, and its file is replaced.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
from pathlib import Path
from typing import BinaryIO

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self|proc/\d+)/fd/(\d+)")
_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def is_written_into(target: Path) -> bool:
    """Whether the target is no regular file, and no place for one."""
    if _descriptor(target) is not None:
        return True
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def file_at(target: Path) -> Path:
    """The file itself, behind symbolic links, whether or not it exists yet. `OSError` when they
    lead in a circle."""
    try:
        return target.resolve() if target.is_symlink() else target
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(target)) from error


def write_into(source: Path, target: Path) -> None:
    """Copy the file's bytes into a target for which `is_written_into` is true.

    Blocks for as long as nobody reads a FIFO. Raises `OSError`.
    """
    try:
        with source.open("rb") as data, _opened(target) as file:
            shutil.copyfileobj(data, file)
    except OSError as error:  # that of a write has no name
        raise OSError(error.errno, error.strerror, str(target)) from error


def _opened(target: Path) -> BinaryIO:
    """Never creates or cuts anything."""
    number = _descriptor(target)
    if number is None:
        return os.fdopen(os.open(target, os.O_WRONLY | os.O_CLOEXEC), "wb")
    sys.stdout.flush()
    return os.fdopen(os.dup(number), "wb")


def _descriptor(target: Path) -> int | None:
    """The descriptor of this process that the path names, if it names one."""
    text = str(target.absolute())
    found = _DESCRIPTOR.fullmatch(text)
    return int(found[1]) if found else _STREAMS.get(text)

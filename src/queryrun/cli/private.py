"""A home is for its owner alone: its directory, its database, its keys, and what is made in it."""

from __future__ import annotations

import os
from pathlib import Path

from queryrun.settings import DATABASE_NAME

DIRECTORY_MODE, FILE_MODE = 0o700, 0o600


def keep_private(home: Path) -> None:
    """Let nobody else read what this process and its children make from now on, nor the home.

    An older home is tightened, as far as it belongs to this user.
    """
    os.umask(0o077)
    _tighten(home, DIRECTORY_MODE)
    for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"):
        _tighten(home / name, FILE_MODE)


def _tighten(path: Path, mode: int) -> None:
    """A mounted home may be another user's: then its modes are up to whoever mounts it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:
        path.chmod(mode)

"""What is at a path, for processes that open it later."""

from __future__ import annotations

import contextlib
import os


def location_version(path: str) -> str:
    """A short text that differs when what is at a path has been replaced or, for a file, written.

    A sandboxed process may open what was there when it was confined, and nothing that was put in
    its place: so a process serves one such version.
    """
    found = []
    for name in (path, f"{path}.wal"):
        with contextlib.suppress(OSError):
            state = os.stat(name)  # noqa: PTH116
            is_directory = os.path.isdir(name)  # noqa: PTH112
            found.append(
                f"{state.st_dev}:{state.st_ino}"
                if is_directory
                else f"{state.st_dev}:{state.st_ino}:{state.st_size}:{state.st_mtime_ns}"
            )
    return " ".join(found)

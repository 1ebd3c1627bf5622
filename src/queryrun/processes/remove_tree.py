"""Removes a directory that a process has filled which nobody trusts any more."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(root: Path) -> None:
    """Remove it and everything in it; what can't be removed is left. Never raises, follows no link.

    Who filled it may have nested directories deeper than a recursion, a path or open descriptors
    go, and taken away their modes. That process must have ended: the way back is `..`.
    """
    with suppress(OSError):
        _Emptying(root).run()
    with suppress(OSError):
        root.rmdir()


class _Emptying:
    """Goes down and up with one directory open at a time."""

    def __init__(self, root: Path) -> None:
        self._here = os.open(root, _OPEN)
        self._path: list[str] = []
        """The names from the root down to here."""
        self._left: list[list[str]] = [[]]
        """For each of them, and the root, the directories that are still to be removed."""

    def run(self) -> None:
        """Empty the root."""
        try:
            os.fchmod(self._here, 0o700)
            self._left = [self._files_removed()]
            while self._left[-1] or self._path:
                if self._left[-1]:
                    self._go_down(self._left[-1].pop())
                else:
                    self._go_up()
        finally:
            os.close(self._here)

    def _files_removed(self) -> list[str]:
        """Remove what is here and no directory; the names of those."""
        directories = []
        with os.scandir(self._here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                else:
                    with suppress(OSError):
                        os.unlink(entry.name, dir_fd=self._here)
        return directories

    def _go_down(self, name: str) -> None:
        with suppress(OSError):
            os.chmod(name, 0o700, dir_fd=self._here)
            self._open(name)
            self._path.append(name)
            self._left.append([])
            self._left[-1] = self._files_removed()

    def _go_up(self) -> None:
        self._left.pop()
        self._open("..")
        with suppress(OSError):
            os.rmdir(self._path.pop(), dir_fd=self._here)

    def _open(self, name: str) -> None:
        opened = os.open(name, _OPEN, dir_fd=self._here)
        os.close(self._here)
        self._here = opened

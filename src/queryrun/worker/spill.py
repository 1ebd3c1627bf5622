"""The directories of workers: made before a worker is bound, removed once it is reaped.

Each has a spill directory, and with results in a directory an *outbox* on their file system: where
it writes its result, and nothing of others is. The node takes finished files out of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from queryrun.errors import ConfigurationError
from queryrun.processes.remove_tree import remove_tree

_PREFIX = "worker-"
OUTBOXES = ".outboxes"
"""Where outboxes are, in the directory of results."""


class SpillRoot:
    """A directory for the exclusive use of one node. Blocking calls; `remove` may take long."""

    def __init__(self, root: Path, results: Path | None = None) -> None:
        """`results`: the directory of results, where a killed node's outboxes may be left."""
        self._root = root
        self._results = results
        self._lock = -1

    def open(self) -> None:
        """Claim the root and remove what workers of a killed node left. Only what we named.

        Raises `ConfigurationError` when another live node uses it.
        """
        self._root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._claim()
        for left in self._root.glob(f"{_PREFIX}*"):
            if self._results is not None:  # first: the spill directory keeps its name known
                self.remove(outbox_in(self._results, left))
            self.remove(left)

    def _claim(self) -> None:
        self._root.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConfigurationError(
                f"spill directory {self._root}: another server is using it"
            ) from None

    def new(self) -> Path:
        """A new, empty directory that only this user can enter. Somebody may have removed the root:
        then it is made anew, and claimed again, because the lock was in it."""
        if not self._root.is_dir():
            self.close()
            self._claim()
        directory = self._root / f"{_PREFIX}{secrets.token_hex(8)}"
        directory.mkdir(mode=0o700)
        return directory

    def remove(self, directory: Path) -> None:
        """Remove a directory of `new` and all in it; what can't be removed is left to `open`."""
        remove_tree(directory)

    def close(self) -> None:
        """Release the lock on the root. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def make_outbox(outbox: Path) -> None:
    """Make a worker's outbox, and the directory of results anew when somebody has removed it. Not
    what that is in: a home that was moved is not begun anew at its old path."""
    with contextlib.suppress(FileExistsError):
        outbox.parent.parent.mkdir(mode=0o700)
    with contextlib.suppress(FileExistsError):
        outbox.parent.mkdir(mode=0o700)
    outbox.mkdir(mode=0o700)


def outbox_in(results: Path, spill_dir: Path) -> Path:
    """The outbox of the worker that has this spill directory."""
    return results / OUTBOXES / spill_dir.name

"""The lock of a home. Its file also says whether the last node on it left attempts behind."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from queryrun.errors import ConfigurationError

_LEFT, _NOTHING_LEFT = b"1", b"0"


class HomeLock:
    """Held by one node at a time. A file lock, because the kernel releases it however the process
    exits; a `ShutdownMarker` of one byte, which a full disk still lets us change."""

    def __init__(self, path: Path) -> None:
        """`ConfigurationError` when another node has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConfigurationError(f"another node already serves {path.parent}") from None
        if not self.is_set():
            self.clear()  # now the byte has a block on the disk

    def is_set(self) -> bool:
        """Whether the process before this one left attempts when it was stopped."""
        with suppress(OSError):
            return os.pread(self._file, 1, 0) == _LEFT
        return False

    def set(self) -> None:
        """Attempts are being stopped. An error of the disk costs no more than the marker."""
        self._write(_LEFT)

    def clear(self) -> None:
        """Nothing is left."""
        self._write(_NOTHING_LEFT)

    def close(self) -> None:
        """Release it. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, mark: bytes) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.pwrite(self._file, mark, 0)

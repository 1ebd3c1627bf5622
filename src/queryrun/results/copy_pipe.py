"""DuckDB's `COPY` into a named pipe, and its bytes out of it again, without a file in between.

Every result that is compressed, encrypted or stored remotely takes this path: no plain byte of it
touches a disk. Plain files in a directory take the shorter one of `copy_direct.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from queryrun.results.concurrent_copy import ConcurrentCopy, Copy

if TYPE_CHECKING:
    from queryrun.results.compress import Chunks

PIPE_BYTES = 1024 * 1024
"""The kernel's usual limit for a pipe; DuckDB blocks when the pipe is full."""


def copy_through_pipe(copy: Copy, consume: Callable[[Chunks], None]) -> int:
    """Run the `COPY` here and `consume` its bytes in a second thread. Returns the rows copied.

    The iterator that `consume` gets ends when the `COPY` has closed the pipe, whether it succeeded
    or not, so nothing may be committed before this returns. Errors: see `ConcurrentCopy.run`.
    """
    _make_pipe(copy.path)
    reader = _PipeReader(copy.path)
    concurrent_copy = ConcurrentCopy(
        copy,
        lambda: consume(reader.chunks()),
        unblock_consumer=lambda: _signal_end(copy.path),
        abort_copy=reader.close_once_open,
    )
    try:
        return concurrent_copy.run()
    finally:
        reader.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(copy.path)  # noqa: PTH108 - a path of ours as text, here and below


class _PipeReader:
    """The read end. Opened before the `COPY` starts, so that its open does not block."""

    def __init__(self, path: str) -> None:
        self._is_open = True
        self._pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a smaller pipe is only slower
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)

    def chunks(self) -> Iterator[memoryview]:
        """The bytes as they arrive, in one buffer that is reused for every chunk."""
        buffer = bytearray(PIPE_BYTES)
        view = memoryview(buffer)
        self._poll.poll()  # until there is a writer: an unopened pipe reads as EOF
        os.set_blocking(self._pipe, True)
        while size := os.readv(self._pipe, [buffer]):
            yield view[:size]

    def close_once_open(self) -> None:
        """Close the pipe if the `COPY` has opened it, as its bytes prove: its writes then fail.

        Not before: opening a pipe that has no reader would block forever.
        """
        if self._is_open and self._poll.poll(0):
            self.close()

    def close(self) -> None:
        """Close the pipe: the next write into it fails. Idempotent."""
        if self._is_open:
            self._is_open = False
            os.close(self._pipe)


def _make_pipe(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - see above
    os.mkfifo(path, 0o600)


def _signal_end(path: str) -> None:
    """Open and close the write end: a reader that never saw a writer now sees the end."""
    with contextlib.suppress(OSError):  # no reader left
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))

"""DuckDB's `COPY` into a named pipe, and its bytes out of it again, without a file in between.

As fast as the bare `COPY` to a file, since DuckDB hands over large pieces; so every format takes
this one road. Either side may fail first: the other then ends at once instead of waiting.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryrun.results.compress import Pieces

PIPE_BYTES = 1024 * 1024
"""The kernel's usual limit for a pipe; DuckDB waits when so much has not been taken."""
INTERRUPT_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Copy:
    """One `COPY` to be made: `run` executes it, writing to `path`; `interrupt` asks it to stop."""

    path: str
    run: Callable[[], int]
    interrupt: Callable[[], None]


def copy_through(copy: Copy, consume: Callable[[Pieces], None]) -> int:
    """Run the `COPY` here and `consume` its bytes in a second thread. Returns the rows copied.

    `consume` gets an iterator that ends when the `COPY` has closed the pipe, whether it succeeded
    or not: nothing may be committed before this returns. When `consume` raises, that is the
    error that comes out, also if the `COPY` then breaks for want of a reader; otherwise the
    `COPY`'s own.
    """
    _make_pipe(copy.path)
    reader = _Reader(copy, consume)
    try:
        return reader.read_while(copy.run)
    finally:
        reader.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(copy.path)  # noqa: PTH108 - a path of ours as text, here and below


class _Reader:
    """The reading end and its thread. Opened before `COPY` starts, so that never waits for us."""

    def __init__(self, copy: Copy, consume: Callable[[Pieces], None]) -> None:
        self._copy = copy
        self._consume = consume
        self._error: BaseException | None = None
        self._copy_is_over = threading.Event()
        self._is_open = True
        self._pipe = os.open(copy.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a smaller pipe is only slower
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)

    def read_while(self, run: Callable[[], int]) -> int:
        """Read while `run` writes; both have ended when this returns or raises."""
        thread = threading.Thread(target=self._work, name="result reader", daemon=True)
        thread.start()
        try:
            copied = run()
        except Exception:
            self._wait_for(thread)
            if self._error is not None:
                raise self._error from None
            raise
        self._wait_for(thread)
        if self._error is not None:
            raise self._error
        return copied

    def close(self) -> None:
        """Let go of the pipe: the next write into it fails. Idempotent."""
        if self._is_open:
            self._is_open = False
            os.close(self._pipe)

    def _wait_for(self, thread: threading.Thread) -> None:
        self._copy_is_over.set()
        _wave(self._copy.path)
        thread.join()

    def _work(self) -> None:
        try:
            self._consume(self._pieces())
        except BaseException as error:
            self._error = error
            self._stop_copy()

    def _pieces(self) -> Iterator[memoryview]:
        """The bytes as they come, in one buffer that is used again and again."""
        buffer = bytearray(PIPE_BYTES)
        view = memoryview(buffer)
        self._poll.poll()  # until there is a writer: an unopened pipe reads as ended
        os.set_blocking(self._pipe, True)
        while size := os.readv(self._pipe, [buffer]):
            yield view[:size]

    def _stop_copy(self) -> None:
        """Make the `COPY` fail: its writes find no reader, and between them it is interrupted.

        The pipe is closed only once `COPY` has opened it, which its bytes show: to open a pipe
        that nobody reads would wait for ever. One interrupt may get lost, so it is repeated.
        """
        while not self._copy_is_over.is_set():
            if self._is_open and self._poll.poll(0):
                self.close()
            self._copy.interrupt()
            self._copy_is_over.wait(INTERRUPT_EVERY_S)


def _make_pipe(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - see above
    os.mkfifo(path, 0o600)


def _wave(path: str) -> None:
    """Open the writing end and let go: a reader that never saw a writer now sees the end."""
    with contextlib.suppress(OSError):  # no reader any more: nobody is waiting
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))

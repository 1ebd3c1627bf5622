"""SIGTERM, SIGINT and SIGHUP of a server: a thread of its own takes them.

So a signal counts whatever the event loop waits for, and the process ends in time whatever does not
end: a database on a disk that hangs, a log that nobody reads. What is then left undone, the next
start settles from the store, as after a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import threading
import time

EXIT_HARD = 8
"""Exit status of a server that ended without an orderly shutdown."""
SECOND_SIGNAL_S = 0.9
"""How long an orderly end may take after a second signal."""
_SLICE_S = 0.2


def block_stop_signals() -> set[signal.Signals]:
    """Block the signals in this thread and all that it starts; returns which they are.

    Call it before the first thread starts, so that they are left for the thread that takes them.
    """
    signals = {signal.SIGTERM, signal.SIGINT}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else `nohup`: it goes on
        signals.add(signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    return signals


class StopSignals:
    """The first signal starts the shutdown, the second aborts the drain and ends it hard soon."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_shutdown_s: float) -> None:
        """`max_shutdown_s`: how long everything may take after the first signal."""
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._loop = loop
        self._max_shutdown_s = max_shutdown_s
        self._closed = threading.Event()
        self._signals = block_stop_signals()
        self._thread = threading.Thread(target=self._take, name="signals", daemon=True)
        self._thread.start()
        for number in self._signals:  # a thread of a library may get one instead
            loop.add_signal_handler(number, self._pass_on, number)

    def close(self) -> None:
        """The process has shut down in time."""
        self._closed.set()
        self._thread.join()

    def _pass_on(self, number: signal.Signals) -> None:
        if self._thread.ident is not None and self._thread.is_alive():
            signal.pthread_kill(self._thread.ident, number)

    # --- on the thread ----------------------------------------------------------------------

    def _take(self) -> None:
        if not self._wait(float("inf")):
            return
        self._set(self.first)
        if self._wait(time.monotonic() + self._max_shutdown_s):
            self._set(self.second)
            self._closed.wait(SECOND_SIGNAL_S)
        if not self._closed.is_set():
            _end_hard()

    def _wait(self, deadline_s: float) -> bool:
        """True for a signal; False when the deadline has passed or this was closed."""
        while not self._closed.is_set() and time.monotonic() < deadline_s:
            if signal.sigtimedwait(self._signals, _SLICE_S) is not None:
                return True
        return False

    def _set(self, event: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(event.set)


def _end_hard() -> None:
    """End the process, and with it all its children. Writes a line only if that cannot block."""
    with contextlib.suppress(OSError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, b'{"event": "ended_hard", "level": "error"}\n')
    os._exit(EXIT_HARD)

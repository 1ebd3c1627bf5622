"""SIGTERM, SIGINT, SIGQUIT and SIGHUP of a server: a thread of its own takes them.

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

EXIT_HARD = 8
"""Exit status of a server that ended without an orderly shutdown."""
SECOND_SIGNAL_S = 0.9
"""How long an orderly end may take after a second signal."""
_SLICE_S = 0.2


def block_stop_signals() -> set[signal.Signals]:
    """Block the signals in this thread and all that it starts; returns which they are.

    Call it before the first thread starts, so that they are left for the thread that takes them.
    """
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
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
        self._lock = threading.Lock()
        self._is_waiting = False
        """Whether the thread waits for a signal: then it lives, and one can be sent to it."""
        self._signals = block_stop_signals()
        self._thread = threading.Thread(target=self._take, name="signals", daemon=True)
        self._thread.start()
        for number in self._signals:  # a thread of a library may get one instead
            loop.add_signal_handler(number, self._pass_on, number)

    def close(self) -> None:
        """The process has shut down in time."""
        self._closed.set()
        with self._lock:
            if self._is_waiting and self._thread.ident is not None:
                signal.pthread_kill(self._thread.ident, signal.SIGTERM)
        self._thread.join()

    def _pass_on(self, number: signal.Signals) -> None:
        if self._thread.ident is not None and self._thread.is_alive():
            signal.pthread_kill(self._thread.ident, number)

    # --- on the thread ----------------------------------------------------------------------

    def _take(self) -> None:
        if not self._wait():
            return
        self._set(self.first)
        limit = threading.Timer(self._max_shutdown_s, self._end_unless_closed)
        limit.daemon = True
        limit.start()
        if self._wait():
            self._set(self.second)
            self._closed.wait(SECOND_SIGNAL_S)
            self._end_unless_closed()
        limit.cancel()

    def _wait(self) -> bool:
        """Wait for a signal; False when this was closed instead.

        Without a time limit: `sigtimedwait` returns a signal that nobody sent when the process was
        stopped meanwhile and goes on, and a paused server would end.
        """
        with self._lock:
            if self._closed.is_set():
                return False
            self._is_waiting = True
        signal.sigwait(self._signals)
        with self._lock:
            self._is_waiting = False
        return not self._closed.is_set()

    def _end_unless_closed(self) -> None:
        if not self._closed.is_set():
            _end_hard()

    def _set(self, event: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(event.set)


def _end_hard() -> None:
    """End the process, and with it all its children. Writes a line only if that cannot block."""
    with contextlib.suppress(OSError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, b'{"event": "ended_hard", "level": "error"}\n')
    os._exit(EXIT_HARD)

"""Writes the log from a thread of its own: a reader that stops reading must not stop the server.

Lines wait in a bounded queue. Beyond it they are dropped and counted, and a line says how many once
the reader reads again.
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections import deque
from datetime import UTC, datetime

MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""About 10,000 lines."""
BATCH_BYTES = 64 * 1024
CLOSE_TIMEOUT_S = 1.0
"""How long the last lines may take when the process ends."""


class LogWriter:
    """A text stream onto a descriptor, for loggers. `write` never blocks and never fails."""

    def __init__(self, descriptor: int, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._descriptor = descriptor
        self._max_queued_bytes = max_queued_bytes
        self._lines: deque[bytes] = deque()
        self._queued_bytes = 0
        self._unreported = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self.dropped = 0
        """Lines that were dropped so far."""
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue the text, or count it as dropped when the queue is full."""
        data = text.encode("utf-8", "backslashreplace")
        with self._changed:
            if self._queued_bytes + len(data) > self._max_queued_bytes:
                self.dropped += 1
                self._unreported += 1
            else:
                self._lines.append(data)
                self._queued_bytes += len(data)
                self._changed.notify()
        return len(text)

    def flush(self) -> None:
        """Does nothing: waiting is what this class is there to avoid."""

    def close(self) -> None:
        """Write what is queued, for `CLOSE_TIMEOUT_S` at most."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(CLOSE_TIMEOUT_S)

    # --- on the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            lines, unreported = self._next()
            report = [_dropped_line(unreported)] if unreported else []
            if (lines or report) and not self._write_all(b"".join(lines + report)):
                self._count_lost(len(lines), unreported)
            if not lines:
                return

    def _next(self) -> tuple[list[bytes], int]:
        """What to write next, and how many dropped lines to report behind it. No lines when this
        was closed and none is left."""
        with self._changed:
            while not self._lines and not self._is_closed:
                self._changed.wait()
            lines, size = [], 0
            while self._lines and size < BATCH_BYTES:
                lines.append(line := self._lines.popleft())
                size += len(line)
            self._queued_bytes -= size
            unreported = 0 if self._lines else self._unreported
            self._unreported -= unreported
        return lines, unreported

    def _count_lost(self, lines: int, unreported: int) -> None:
        """The disk of the log is full, or there is no reader: said once a line can be written."""
        with self._changed:
            self.dropped += lines
            self._unreported += lines + unreported

    def _write_all(self, data: bytes) -> bool:
        """Blocks for as long as the reader does not read. False when there is none any more."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:  # somebody has made the terminal or pipe non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True


def _dropped_line(lines: int) -> bytes:
    event = {"event": "log_lines_dropped", "lines": lines, "level": "warning"}
    event["timestamp"] = datetime.now(UTC).isoformat()
    return json.dumps(event).encode() + b"\n"

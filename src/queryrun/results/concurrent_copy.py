"""Runs a `COPY` and the thread that consumes its output. A failure of either side stops both."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

INTERRUPT_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Copy:
    """One `COPY` statement: `run` executes it, writing to `path`; `interrupt` requests a stop."""

    path: str
    run: Callable[[], int]
    interrupt: Callable[[], None]


def _nothing() -> None:
    """The default hook."""


class ConcurrentCopy:
    """Runs a `COPY` in the caller's thread and `work`, its consumer, in a second one.

    `unblock_consumer` wakes a consumer that waits for data after the `COPY` has finished. `finish`
    runs after a successful `COPY`, while the consumer completes. `abort_copy` makes the `COPY`
    fail after its consumer has failed. An interrupt may get lost, so `abort_copy` and the
    interrupt are repeated until the `COPY` has finished.
    """

    def __init__(
        self,
        copy: Copy,
        work: Callable[[], None],
        unblock_consumer: Callable[[], None] = _nothing,
        finish: Callable[[], None] = _nothing,
        abort_copy: Callable[[], None] = _nothing,
    ) -> None:
        self.copy_finished = threading.Event()
        self.copy_failed = False
        self._copy = copy
        self._do = work
        self._unblock_consumer = unblock_consumer
        self._finish = finish
        self._abort_copy = abort_copy
        self._error: BaseException | None = None

    def run(self) -> int:
        """Return the number of rows copied. Both sides have finished when this returns or raises.

        An error of the consumer takes precedence over the error that the `COPY` raises because
        its consumer has stopped.
        """
        try:
            copied = self._side_by_side()
        except Exception:
            if self._error is not None:
                raise self._error from None
            raise
        if self._error is not None:
            raise self._error
        return copied

    def _side_by_side(self) -> int:
        """Joins in `finally`, so that the consumer has finished when `run` returns or raises."""
        thread = threading.Thread(target=self._work, name="result reader", daemon=True)
        thread.start()
        try:
            copied = self._copied()
            self._finish()
        finally:
            thread.join()
        return copied

    def _copied(self) -> int:
        """Sets the flags before the consumer wakes, because it reads them to choose its outcome."""
        try:
            return self._copy.run()
        except BaseException:
            self.copy_failed = True
            raise
        finally:
            self.copy_finished.set()
            self._unblock_consumer()

    def _work(self) -> None:
        try:
            self._do()
        except BaseException as error:
            self._error = error
            self._stop_copy()

    def _stop_copy(self) -> None:
        while not self.copy_finished.is_set():
            self._abort_copy()
            self._copy.interrupt()
            self.copy_finished.wait(INTERRUPT_EVERY_S)

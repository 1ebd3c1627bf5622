"""A `COPY` and the thread beside it that consumes what it writes. Whichever fails ends both."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

INTERRUPT_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Copy:
    """One `COPY` to be made: `run` executes it, writing to `path`; `interrupt` asks it to stop."""

    path: str
    run: Callable[[], int]
    interrupt: Callable[[], None]


def _nothing() -> None:
    """For a side that needs no help to end."""


class Companion:
    """Runs `work` in a thread of its own for as long as the `COPY` runs in the caller's.

    `wake` makes a `work` that waits see that the `COPY` is over; `finish` is done after a `COPY`
    that succeeded, while `work` ends. `hinder` makes a `COPY` fail that nobody has a use for any
    more, beside being interrupted. One interrupt may get lost, so both are repeated until it is
    over.
    """

    def __init__(
        self,
        copy: Copy,
        work: Callable[[], None],
        wake: Callable[[], None] = _nothing,
        finish: Callable[[], None] = _nothing,
        hinder: Callable[[], None] = _nothing,
    ) -> None:
        self.copy_is_over = threading.Event()
        self.copy_failed = False
        self._copy = copy
        self._do = work
        self._wake = wake
        self._finish = finish
        self._hinder = hinder
        self._error: BaseException | None = None

    def accompany(self) -> int:
        """The rows copied. Both sides have ended when this returns or raises.

        When `work` raises, that is the error that comes out, also if the `COPY` then breaks for
        want of a reader; otherwise the `COPY`'s own.
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
        thread = threading.Thread(target=self._work, name="result reader", daemon=True)
        thread.start()
        try:
            copied = self._copied()
            self._finish()
        finally:
            thread.join()
        return copied

    def _copied(self) -> int:
        try:
            return self._copy.run()
        except BaseException:
            self.copy_failed = True
            raise
        finally:
            self.copy_is_over.set()
            self._wake()

    def _work(self) -> None:
        try:
            self._do()
        except BaseException as error:
            self._error = error
            self._stop_copy()

    def _stop_copy(self) -> None:
        while not self.copy_is_over.is_set():
            self._hinder()
            self._copy.interrupt()
            self.copy_is_over.wait(INTERRUPT_EVERY_S)

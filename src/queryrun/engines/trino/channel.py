"""A bounded queue between two threads that either side can abort."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

_T = TypeVar("_T")

HELD = 2
"""The maximum number of waiting items; with one being made and one being used, four exist."""


class Channel(Generic[_T]):
    """One thread puts, one iterates. Whoever aborts ends both: the first reason counts."""

    def __init__(self) -> None:
        self._waiting: deque[_T] = deque()
        self._changed = threading.Condition()
        self._reason: BaseException | None = None
        self._is_finished = False

    def put(self, thing: _T, timeout_s: float) -> bool:
        """Hand over when there is room; False when there was none for so long.

        Raises the reason when the channel has been aborted.
        """
        with self._changed:
            has_room = self._changed.wait_for(
                lambda: len(self._waiting) < HELD or self._reason, timeout_s
            )
            if self._reason:
                raise self._reason
            if has_room:
                self._waiting.append(thing)
                self._changed.notify_all()
            return bool(has_room)

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._is_finished = True
            self._changed.notify_all()

    def abort(self, reason: BaseException) -> None:
        """Wake both sides: they raise `reason`, unless everything has been read."""
        with self._changed:
            self._reason = self._reason or reason
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[_T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_finished or self._reason)
                if self._reason:
                    raise self._reason
                if not self._waiting:
                    return
                thing = self._waiting.popleft()
                self._changed.notify_all()
            yield thing

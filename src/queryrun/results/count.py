"""Counting rows in the bytes of a file as they pass."""

from __future__ import annotations

from typing import Protocol

from queryrun.results.encode import DELIMITED


class RowCounter(Protocol):
    """How many rows have passed. Exact at the end, and never too high before."""

    @property
    def rows(self) -> int:
        """Whole rows so far."""
        ...

    @property
    def is_exact(self) -> bool:
        """Whether this format's rows can be told from its bytes at all."""
        ...

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Look at the next bytes."""
        ...


class LineCounter:
    """One line, one row: JSON Lines."""

    is_exact = True

    def __init__(self) -> None:
        self.rows = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self.rows += bytes(data).count(b"\n")


class RecordCounter:
    """Line ends outside quotes, less the header: delimited files.

    A quote inside a quoted value is doubled, so being inside is a matter of odd and even.
    """

    is_exact = True

    def __init__(self) -> None:
        self._records = 0
        self._is_inside = False

    @property
    def rows(self) -> int:
        return max(self._records - 1, 0)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        parts = bytes(data).split(b'"')
        if len(parts) == 1:
            self._records += 0 if self._is_inside else parts[0].count(b"\n")
            return
        outside = parts[1::2] if self._is_inside else parts[0::2]
        self._records += sum(part.count(b"\n") for part in outside)
        self._is_inside ^= len(parts) % 2 == 0


class NoCounter:
    """Binary formats: the rows are known at the end, from the engine."""

    is_exact = False
    rows = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Nothing can be told from the bytes."""


class BatchCounter:
    """Rows that somebody counts by batches, as he makes them."""

    def __init__(self) -> None:
        self.rows = 0


def counter_for(content_type: str) -> RowCounter:
    """The counter for a format."""
    if content_type == "json":
        return LineCounter()
    return RecordCounter() if content_type in DELIMITED else NoCounter()

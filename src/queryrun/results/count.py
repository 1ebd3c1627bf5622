"""Counting rows in the bytes of a file: as they pass, afterwards, or by estimate."""

from __future__ import annotations

import os
from collections.abc import Callable
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
        text = bytes(data)
        if text.find(b'"') < 0:
            self._records += 0 if self._is_inside else text.count(b"\n")
            return
        parts = text.split(b'"')
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


_READ_BYTES = 256 * 1024
_MAGIC_BYTES = 4
_ONE_IN = 8
_CAUTION = 15 / 16


def rows_before(file: int, end: int, content_type: str) -> int:
    """The rows in the first `end` bytes of an open file; a pass over all of them."""
    counter = counter_for(content_type)
    for start in range(0, end, _READ_BYTES):
        counter.feed(os.pread(file, min(_READ_BYTES, end - start), start))
    return counter.rows


def has_rows(file: int, end: int, content_type: str) -> bool:
    """Whether there is more than a beginning in the first `end` bytes of an open file.

    The engine writes header and magic number when it starts, long before the first row.
    """
    if end > _READ_BYTES:
        return True
    is_text = counter_for(content_type).is_exact
    return rows_before(file, end, content_type) > 0 if is_text else end > _MAGIC_BYTES


class RowEstimate:
    """About how many rows have passed, from one piece in eight; never shrinks.

    Rather too few than too many. Line ends inside values can make it too many all the same,
    where there are more of them than there are rows.
    """

    def __init__(self, content_type: str) -> None:
        self.rows = 0
        self._line_ends = _line_ends_of(content_type)
        self._chunks = self._bytes = self._sample_bytes = self._sample_rows = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Look at the next bytes, perhaps."""
        self._bytes += len(data)
        if self._chunks % _ONE_IN == 0:
            self._sample_bytes += len(data)
            self._sample_rows += self._line_ends(bytes(data))
        self._chunks += 1
        estimate = self._sample_rows * self._bytes / max(self._sample_bytes, 1)
        self.rows = max(self.rows, int(estimate * _CAUTION))


def _line_ends_of(content_type: str) -> Callable[[bytes], int]:
    if content_type == "json":
        return _lines
    return _records if content_type in DELIMITED else lambda _: 0


def _lines(data: bytes) -> int:
    return data.count(b"\n")


def _records(data: bytes) -> int:
    """Line ends outside quotes, or those inside: from the middle of a file one cannot tell which
    is which, but that there are more rows than other lines is the rule."""
    lines = data.count(b"\n")
    if data.find(b'"') < 0:
        return lines
    inside = sum(part.count(b"\n") for part in data.split(b'"')[1::2])
    return max(lines - inside, inside)

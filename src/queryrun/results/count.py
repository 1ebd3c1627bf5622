"""Counts rows in the bytes of a file: as they pass, afterwards, or by estimate."""

from __future__ import annotations

import os
from typing import ClassVar, Protocol

_READ_BYTES = 256 * 1024
_MAGIC_BYTES = 4
_ONE_IN = 8
_CAUTION = 15 / 16


class RowCounter(Protocol):
    """Counts the rows that have passed. Exact at the end, and never too high before."""

    is_exact: ClassVar[bool]
    """Whether the rows of the format can be counted in its bytes at all."""

    @property
    def rows(self) -> int:
        """Complete rows so far."""
        ...

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Count the next bytes."""
        ...

    @staticmethod
    def estimate(data: bytes) -> int:
        """About how many rows end in these bytes, which may begin anywhere in the file."""
        ...


class LineCounter:
    """One line, one row: JSON Lines."""

    is_exact: ClassVar[bool] = True

    def __init__(self) -> None:
        self.rows = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        self.rows += bytes(data).count(b"\n")

    @staticmethod
    def estimate(data: bytes) -> int:
        return data.count(b"\n")


class RecordCounter:
    """Line ends outside quotes, less the header: delimited files.

    A quote inside a quoted value is doubled, so an odd number of quotes means inside.
    """

    is_exact: ClassVar[bool] = True

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

    @staticmethod
    def estimate(data: bytes) -> int:
        """Line ends outside quotes, or those inside if they are more.

        From the middle of a file the two cannot be distinguished, but most files have more rows
        than line ends in values.
        """
        lines = data.count(b"\n")
        if data.find(b'"') < 0:
            return lines
        inside = sum(part.count(b"\n") for part in data.split(b'"')[1::2])
        return max(lines - inside, inside)


class NoCounter:
    """Binary formats: only the engine knows the rows, at the end."""

    is_exact: ClassVar[bool] = False
    rows = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Binary data has no line ends to count."""

    @staticmethod
    def estimate(data: bytes) -> int:  # noqa: ARG004 - as the protocol says
        return 0


class BatchCounter:
    """Rows counted by the writer of the batches."""

    def __init__(self) -> None:
        self.rows = 0


def rows_before(file: int, end: int, counter: type[RowCounter]) -> int:
    """The rows in the first `end` bytes of an open file; reads all of them."""
    counted = counter()
    for start in range(0, end, _READ_BYTES):
        counted.feed(os.pread(file, min(_READ_BYTES, end - start), start))
    return counted.rows


def has_rows(file: int, end: int, counter: type[RowCounter]) -> bool:
    """Whether the first `end` bytes of an open file hold more than its header.

    The engine writes header and magic number when it starts, long before the first row.
    """
    if end > _READ_BYTES:
        return True
    return rows_before(file, end, counter) > 0 if counter.is_exact else end > _MAGIC_BYTES


class RowEstimate:
    """Estimates the rows that have passed, from one chunk in eight; never shrinks.

    Errs on the low side. Line ends inside values can still make it too high, in files that have
    more of them than rows.
    """

    def __init__(self, counter: type[RowCounter]) -> None:
        self.rows = 0
        self._estimate = counter.estimate
        self._chunks = self._bytes = self._sample_bytes = self._sample_rows = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Sample the next bytes, or skip them."""
        self._bytes += len(data)
        if self._chunks % _ONE_IN == 0:
            self._sample_bytes += len(data)
            self._sample_rows += self._estimate(bytes(data))
        self._chunks += 1
        estimate = self._sample_rows * self._bytes / max(self._sample_bytes, 1)
        self.rows = max(self.rows, int(estimate * _CAUTION))

"""The rows of a delimited file in front of its first quote.

Where no quote is, every line is a row: the reader then finds the ends of rows in a third of the
time that it needs when a value may have line ends inside.
"""

from __future__ import annotations

import io

from queryrun.tables.text.faults import NOT_UTF8, NOT_UTF8_ADVICE
from queryrun.tables.text.stream import TextStream


class PlainRows(io.RawIOBase):
    """Whole lines of a stream, as long as they have no quote. What follows stays in the stream.

    All of it is valid UTF-8, or `FileFault` is raised.
    """

    def __init__(self, stream: TextStream, quote: str) -> None:
        self._stream = stream
        self._quote = quote.encode()

    def readable(self) -> bool:
        return True

    def is_empty(self) -> bool:
        """Whether the stream is at its end, or its next line has a quote."""
        return not self._whole(self._stream.head())

    def read(self, size: int = -1, /) -> bytes:
        """The next lines, `size` bytes at most.

        Empty at the first line with a quote, and at one that is longer than `size`.
        """
        fresh = self._stream.next_lines(self._quote, size)
        if fresh:
            return self._valid(fresh)
        data = self._stream.ready()
        lines = self._whole(data) if len(data) <= size else 0
        lines = lines or self._whole(self._stream.waiting(size))
        return self._valid(self._stream.read(lines)) if lines else b""

    def _valid(self, lines: bytes) -> bytes:
        """Most text is ASCII, which is known of the whole sooner than of every value."""
        if not lines.isascii():
            try:
                lines.decode()
            except UnicodeDecodeError:
                self._stream.fail(NOT_UTF8, NOT_UTF8_ADVICE)
        return lines

    def _whole(self, data: bytes) -> int:
        """How many bytes of whole lines without a quote `data` begins with.

        A CR at the end may be the half of a line end. At the end of the stream all is whole.
        """
        at = data.find(self._quote)
        if at < 0 and self._stream.is_all(data):
            return len(data)
        end = len(data) if at < 0 else at
        whole = data.rfind(b"\n", 0, end) + 1
        return whole or data.rfind(b"\r", 0, end - (at < 0)) + 1

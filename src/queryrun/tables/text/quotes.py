"""Whether the quotes of a delimited file stand where RFC 4180 has them.

Readers of such files are lenient here, and leniency loses text: `"x"y` becomes `xy`, and a quote
that is never closed swallows every row up to the next.
"""

from __future__ import annotations

import re

from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.stream import TextStream, line_breaks

MAX_VALUE_BYTES = 16 * 1024**2
"""Of one quoted value."""


class QuoteCheck:
    """A `stream.Check` for a file with this delimiter and quote. Keeps one value at most."""

    def __init__(self, stream: TextStream, delimiter: str, quote: str) -> None:
        self._stream = stream
        self._quote = quote.encode()
        q = re.escape(self._quote)
        edge = b"[" + re.escape(delimiter.encode()) + rb"\r\n]"
        inside = rb"(?:[^" + q + rb"]++|" + q + q + rb")*+"
        value = rb"(?<=" + edge + rb")" + q + inside + q + rb"(?=" + edge + rb")"
        literal = rb"(?<!" + edge + rb")" + q + rb"++"
        self._fine = re.compile(rb"(?:[^" + q + rb"]++|" + value + rb"|" + literal + rb")*+")
        self._open = re.compile(q + inside + rb"(?:" + q + rb")?+\Z")
        self._carry, self._before, self._at = b"", b"\n", 0

    def __call__(self, chunk: bytes, is_last: bool) -> None:
        """Raises `FileFault` for a quote out of its place."""
        if not self._carry and self._quote not in chunk:
            self._before = chunk[-1:] or self._before
            return
        if not self._carry:
            self._at = self._stream.position
        data = self._before + self._carry + chunk + (b"\n" if is_last else b"")
        match = self._fine.match(data, 1)
        end = match.end() if match else 1
        rest = data[end:]
        if rest and (is_last or not self._open.match(rest) or len(rest) > MAX_VALUE_BYTES):
            raise FileFault(
                self._stream.file.name,
                "has a quote that is not closed, or text behind a closing quote",
                "write a quote inside of a quoted value twice",
                line=self._stream.line_at(self._at) + line_breaks(data[1:end]),
            )
        self._at += end - 1
        self._before, self._carry = data[end - 1 : end], rest

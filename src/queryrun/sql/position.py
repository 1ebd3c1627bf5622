"""Places in a statement as people count them: lines and columns from 1, columns in characters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """A place in a statement as submitted."""

    line: int
    column: int


def position_after(before: bytes) -> SourcePosition:
    """The place that comes right after `before`, the UTF-8 bytes in front of it."""
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode(errors="replace")) + 1
    return SourcePosition(before.count(b"\n") + 1, column)

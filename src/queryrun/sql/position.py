"""Positions in a statement: lines and columns count from 1, columns in characters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """A position in a statement as submitted."""

    line: int
    column: int


def position_after(before: bytes) -> SourcePosition:
    """The position right after `before`, which holds the UTF-8 bytes in front of it."""
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode(errors="replace")) + 1
    return SourcePosition(before.count(b"\n") + 1, column)

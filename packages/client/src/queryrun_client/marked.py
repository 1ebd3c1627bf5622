"""The part of a statement that an error is about."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"""\"(?:[^"]|"")*"?|'(?:[^']|'')*'?|\w+|[<>!=|]+|.""")


class MarkedLine(NamedTuple):
    """A line of the statement in three parts; the middle one is what the error is about."""

    before: str
    marked: str
    after: str


def marked_line(sql: str, line: int | None, column: int | None) -> MarkedLine | None:
    """The line at a position that counts from 1; None when the statement has no such place.

    The position of an error is where a token begins, and the token is marked. Behind the end of a
    line one blank is.
    """
    lines = sql.split("\n")
    if line is None or column is None or not 0 < line <= len(lines):
        return None
    text = lines[line - 1].removesuffix("\r")
    if not 0 < column <= len(text) + 1:
        return None
    before, rest = text[: column - 1], text[column - 1 :]
    found = _TOKEN.match(rest)
    marked = found[0] if found else " "
    return MarkedLine(before, marked, rest[len(marked) :])

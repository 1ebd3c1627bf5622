"""An error below the line of the statement that it is about."""

from __future__ import annotations

from collections.abc import Iterator

from queryrun_cli.exits import describe
from queryrun_cli.hints import SHELL
from queryrun_cli.printable import printable
from queryrun_cli.table import padded, width_of
from queryrun_client import ClientError, Refused, RunFailed
from queryrun_client.marked import marked_line

MAX_LINE = 120
"""Cells of a printed line of a statement; a longer one is shortened around the error."""
MIN_LINE = 40
_REST = "…"


def error_lines(error: ClientError, sql: str, width: int = MAX_LINE) -> Iterator[str]:
    """The line of the statement in `width` cells, carets below what is wrong, and the error.

    All of it may be sent to a terminal: control characters are shown.
    """
    line, column = position_of(error)
    marked = marked_line(sql, line, column)
    if marked is not None:
        before, wrong, after = (printable(part) for part in marked)
        number = f"{line}: " if "\n" in sql else ""
        budget = max(MIN_LINE, min(width, MAX_LINE)) - width_of(number)
        wrong = _beginning(wrong, budget // 2)
        rest_width = min(width_of(after), budget // 4)
        before = _end(before, budget - width_of(wrong) - rest_width)
        after = _beginning(after, budget - width_of(before) - width_of(wrong))
        yield f"{number}{before}{wrong}{after}".rstrip()
        yield " " * width_of(number + before) + "^" * max(1, width_of(wrong))
    yield printable(f"error: {describe(error, SHELL)}")


def _beginning(text: str, cells: int) -> str:
    return text if width_of(text) <= cells else padded(text, cells).rstrip()


def _end(text: str, cells: int) -> str:
    if width_of(text) <= cells:
        return text
    text = text[-cells:]
    while width_of(text) > cells - 1:
        text = text[1:]
    return _REST + text


def position_of(error: ClientError) -> tuple[int | None, int | None]:
    """Line and column in the statement, from 1; None where the error has none."""
    if isinstance(error, RunFailed | Refused):
        return error.line, error.column
    return None, None

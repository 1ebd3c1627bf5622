"""An error below the line of the statement that it is about."""

from __future__ import annotations

from collections.abc import Iterator

from queryrun_cli.exits import describe
from queryrun_cli.printable import printable
from queryrun_cli.table import width_of
from queryrun_client import ClientError, Refused, RunFailed
from queryrun_client.marked import marked_line

MAX_LINE = 120
"""Characters of a printed line of a statement; a longer one is shortened around the error."""
_REST = "…"


def error_lines(error: ClientError, sql: str) -> Iterator[str]:
    """The line of the statement, carets below what is wrong, and the error.

    All of it may be sent to a terminal: control characters are shown.
    """
    line, column = position_of(error)
    marked = marked_line(sql, line, column)
    if marked is not None:
        before, wrong, after = (printable(part) for part in marked)
        if len(before) > MAX_LINE // 2:
            before = _REST + before[-MAX_LINE // 2 :]
        wrong = wrong if len(wrong) <= MAX_LINE // 2 else wrong[: MAX_LINE // 2] + _REST
        after = after if len(after) <= MAX_LINE // 2 else after[: MAX_LINE // 2] + _REST
        number = f"{line}: " if "\n" in sql else ""
        yield f"{number}{before}{wrong}{after}".rstrip()
        yield " " * width_of(number + before) + "^" * max(1, width_of(wrong))
    yield printable(f"error: {describe(error)}")


def position_of(error: ClientError) -> tuple[int | None, int | None]:
    """Line and column in the statement, from 1; None where the error has none."""
    if isinstance(error, RunFailed | Refused):
        return error.line, error.column
    return None, None

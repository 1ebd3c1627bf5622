"""Runs and rows as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import typer

from queryrun_cli.ids import ID_CHARS
from queryrun_cli.printable import printable
from queryrun_cli.statements import without_comments
from queryrun_cli.table import padded, width_of
from queryrun_client import RunInfo

COLUMNS = ("id", "state", "source", "created", "rows", "ms", "sql")
SQL_CHARS = 40
MIN_ID_CHARS = 8
"""Of an id that is cut to fit a line."""


def run_object(info: RunInfo) -> dict[str, Any]:
    """A run as JSON, with the names of v2 for both API versions, and without the signed link."""
    properties = {
        "id": info.id,
        "state": info.state.value,
        "sql": info.sql or None,
        "parameters": info.raw.get("parameters"),
        "source": info.source,
        "created_time": _iso(info.created_time),
        "started_time": _iso(info.started_time),
        "updated_time": _iso(info.updated_time),
        "number_of_rows": info.number_of_rows,
        "percent": info.percent,
        "processing_duration": info.processing_ms,
        "remaining_attempts": info.remaining_attempts,
        "queue_position": info.queue_position,
        "waiting_for": info.waiting_for,
        "content_type": info.content_type,
        "content_encoding": info.content_encoding,
        "tags": info.tags,
        "cancellation": info.cancellation,
        "error": info.raw.get("error") or info.raw.get("errorMessage"),
        "file": _file_object(info),
    }
    return {name: value for name, value in properties.items() if value not in (None, {})}


def _file_object(info: RunInfo) -> dict[str, Any] | None:
    if info.file is None:
        return None
    file = {"id": info.file.id, "size": info.file.size_bytes, "sha256": info.file.sha256}
    return {name: value for name, value in file.items() if value is not None}


def run_cells(info: RunInfo) -> tuple[str, ...]:
    """A run as one row of `COLUMNS`."""
    return (
        info.id,
        info.state.value,
        info.source or "",
        _when(info.created_time or info.updated_time),
        "" if info.number_of_rows is None else f"{info.number_of_rows:,}",
        "" if info.processing_ms is None else f"{info.processing_ms:,}",
        printable(shortened(without_comments(info.sql), SQL_CHARS)),
    )


def fitted(infos: Sequence[RunInfo], width: int | None) -> Iterator[str]:
    """Runs in lines of at most `width` cells: there ids are cut to what tells them apart, which
    commands take, and then statements."""
    rows = [COLUMNS, *(run_cells(info) for info in infos)]
    lines = list(aligned(rows))
    if width is not None and max(map(width_of, lines)) > width:
        chars = _distinct_chars([info.id for info in infos])
        rows = [COLUMNS, *((cells[0][:chars], *cells[1:]) for cells in rows[1:])]
        lines = [padded(line, width).rstrip() for line in aligned(rows)]
    yield from lines


def _distinct_chars(ids: Sequence[str]) -> int:
    """The length at which the beginnings of the ids differ."""
    return next(
        chars
        for chars in range(MIN_ID_CHARS, ID_CHARS + 1)
        if chars == ID_CHARS or len({one[:chars] for one in ids}) == len(ids)
    )


def run_lines(info: RunInfo) -> Iterator[str]:
    """A run with one property per line."""
    for name, value in run_object(info).items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"{name:<20} {text}"


def aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows of cells as lines with aligned columns."""
    kept = list(rows)
    widths = [max(width_of(cell) for cell in column) for column in zip(*kept, strict=True)]
    for row in kept:
        cells = [padded(cell, width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def tags_of(texts: Iterable[str]) -> dict[str, str]:
    """Tags that are given as name=value; `typer.BadParameter` for another form."""
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        raise typer.BadParameter("use name=value", param_hint="--tag")
    return {name: value for name, _, value in pairs}


def shortened(text: str, max_chars: int) -> str:
    """The text as one line of at most `max_chars` characters."""
    line = " ".join(text.split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")


def _when(time: datetime | None) -> str:
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")

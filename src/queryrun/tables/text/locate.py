"""The line of a fault: found by a second reader, once, when there is a fault to be named."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator

from queryrun.tables.text.delimited import BLOCK_BYTES, Header, Layout, named
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.json_records import records
from queryrun.tables.text.stream import CHUNK_BYTES, TextFile, TextStream, line_breaks

_MAX_CHARACTER_BYTES = 4


def ragged_row(file: TextFile, layout: Layout, columns: int) -> tuple[int, int]:
    """The line of the first row that has not as many values, and how many it has; 0: none."""
    for line, row in _rows(file, layout, columns):
        if len(row) != columns:
            return line, len(row)
    return 0, 0


def line_of_row(file: TextFile, layout: Layout, columns: int, number: int) -> int:
    """The line in which row `number`, from 0, begins; 0 when it is not found."""
    for found, (line, _) in enumerate(_rows(file, layout, columns)):
        if found == number:
            return line
    return 0


def repeated_header(file: TextFile, header: Header) -> int:
    """The line of the first row that has the names of the columns as its values; 0: none."""
    for line, row in _rows(file, header.layout, len(header.names)):
        if named(row) == header.names:
            return line
    return 0


def line_of_record(file: TextFile, number: int) -> int:
    """The line in which a JSON record begins; 0 when it is not found."""
    with contextlib.closing(TextStream(file)) as stream:
        for found, (_, line) in enumerate(records(stream)):
            if found == number:
                return line
    return 0


def invalid_line(file: TextFile) -> int:
    """The first line that is not UTF-8; 0 when all are."""
    line, cut_off = 1, b""
    with contextlib.closing(TextStream(file)) as stream, contextlib.suppress(FileFault):
        while chunk := stream.read(CHUNK_BYTES):
            data = cut_off + chunk
            valid = _valid_bytes(data)
            line += line_breaks(data[:valid])
            cut_off = data[valid:]
            if len(cut_off) > _MAX_CHARACTER_BYTES:
                return line
    return line if cut_off else 0


def _valid_bytes(data: bytes) -> int:
    """How many bytes are UTF-8; a character at the end may be cut off."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(data)


def _rows(file: TextFile, layout: Layout, columns: int) -> Iterator[tuple[int, list[str]]]:
    """The rows behind the header with the lines in which they begin."""
    csv.field_size_limit(BLOCK_BYTES)
    with contextlib.closing(TextStream(file)) as stream, contextlib.suppress(csv.Error, FileFault):
        text = io.TextIOWrapper(io.BufferedReader(stream), "utf-8", "replace", newline="")
        rows = csv.reader(
            text,
            delimiter=layout.delimiter,
            quotechar=layout.quote or None,
            quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
            escapechar=layout.escape or None,
        )
        before = 0
        is_header = layout.header
        is_excel_line = layout.is_after_excel_line
        for row in rows:
            line, before = before + 1, rows.line_num
            if not row and (columns > 1 or is_header or file.comment):
                continue
            if is_excel_line:
                is_excel_line = False
                continue
            if is_header:
                is_header = False
                continue
            yield line, row or [""]

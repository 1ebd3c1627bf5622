"""Delimited text (CSV, TSV) as batches of texts: one string column per column of the file.

Nothing is guessed but what the header line says for sure. The reader is Arrow's, which takes
every row or fails; nothing but text comes out of it, so no type can be lost on the way.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from queryrun.tables.definition import TableDefinition
from queryrun.tables.text.faults import NOT_UTF8, NOT_UTF8_ADVICE, FileFault, cut
from queryrun.tables.text.plain_rows import PlainRows
from queryrun.tables.text.quotes import QuoteCheck
from queryrun.tables.text.stream import HEAD_BYTES, TextStream

BLOCK_BYTES = 8 * 1024**2
"""The longest row; and what is parsed at a time by each thread."""
MAX_COLUMNS = 10_000
_OTHER_DELIMITERS = (";", "\t", "|")
_EXCEL_LINE = re.compile(rb'"?sep=([\x20-\x7e\t])"?(?:\r\n|\r|\n)', re.I)
"""What Excel has written in front of the header: which delimiter the file has."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are written. `header`: whether the first line names the columns."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True
    names: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    is_header_defined: bool = False
    is_defined: bool = False
    """The delimiter was given, and not only assumed from the file's ending."""
    is_after_excel_line: bool = False
    """A line `sep=;` stands before the header."""


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a file as its first line names them, and the layout of its rows."""

    names: tuple[str, ...]
    layout: Layout

    @property
    def may_be_repeated(self) -> bool:
        """Whether a row that repeats the names is a fault. A single name may be a value."""
        return self.layout.header and not self.layout.is_header_defined and len(self.names) > 1


def defined_layout(layout: Layout, definition: TableDefinition) -> Layout:
    """The layout of an ending, with what the definition says of it."""
    return replace(
        layout,
        delimiter=definition.delimiter or layout.delimiter,
        quote=layout.quote if definition.quote is None else definition.quote,
        escape=definition.escape,
        header=layout.header if definition.header is None else definition.header,
        names=definition.names,
        nulls=definition.nulls,
        is_header_defined=definition.header is not None or bool(definition.names),
        is_defined=layout.is_defined or bool(definition.delimiter),
    )


def read_header(stream: TextStream, layout: Layout) -> Header:
    """Take the header off the stream; what is left are rows.

    A `.csv` whose first line has no comma but a semicolon, a tab or a bar is read with that; every
    row must then have as many values. A line `sep=;` says the same. Raises `FileFault`.
    """
    head = stream.head()
    start = len(head) - len(head.lstrip(b"\r\n"))
    announced = _EXCEL_LINE.match(head, start) if layout.header and not layout.is_defined else None
    if announced:
        layout = replace(
            layout, delimiter=announced[1].decode(), is_defined=True, is_after_excel_line=True
        )
        stream.skip(announced.end())
        head, start = head[announced.end() :], 0
    if not head[start:] and not announced:
        return Header((), layout)
    _require_delimited(stream, head[start:], layout)
    record, length = _first_record(stream, head[start:], layout)
    layout = _with_delimiter(record, layout)
    cells = _cells(stream, record, layout)
    if len(cells) > MAX_COLUMNS:
        raise _fault(stream, 1, f"has {len(cells)} columns", f"{MAX_COLUMNS} are possible")
    names = layout.names or (named(cells) if layout.header else _numbered(len(cells)))
    if len(names) != len(cells):
        problem = f"has {len(cells)} columns, and its definition names {len(names)}"
        raise _fault(stream, 1, problem, "correct `names` in tables.toml")
    _require_distinct(stream, names)
    stream.is_of_one_column = len(names) == 1
    stream.skip(start + length if layout.header else start)
    return Header(names, layout)


_OTHER_TEXT = (
    (
        re.compile(rb'[ \t]*(?:\{[ \t\r\n]*"|\[[ \t\r\n]*[\[{])'),
        "JSON",
        "let its name end in .json",
    ),
    (re.compile(rb"[ \t]*</?[!?a-z]", re.I), "a page or XML", "fetch the data again"),
)


def _require_delimited(stream: TextStream, head: bytes, layout: Layout) -> None:
    """What a download saves in place of data would be a header, and no row."""
    if not layout.header or layout.is_header_defined:
        return
    for pattern, what, advice in _OTHER_TEXT:
        if pattern.match(head):
            raise _fault(stream, 1, f"is {what}, not delimited text", advice)


def batches(
    stream: TextStream, header: Header, columns: Sequence[int] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows behind the header, as texts. NULL is an empty value without quotes.

    With `columns` these alone come out; every row must have as many values as ever.

    A blank line is a NULL in a file of one column without comments; others pass over it.
    Raises `FileFault`; one of rows that do not fit has no line (`locate.ragged_row` finds it).
    """
    layout = header.layout
    try:
        if layout.quote and not layout.escape:
            stream.check = QuoteCheck(stream, layout.delimiter, layout.quote)
            plain = PlainRows(stream, layout.quote)
            if not plain.is_empty():
                yield from _read(plain, stream, header, columns, are_lines=True)
        if stream.head():
            yield from _read(stream, stream, header, columns, are_lines=not layout.quote)
    except pa.ArrowInvalid as error:
        raise _parse_fault(stream, header, str(error)) from error


def may_have_header(batch: pa.RecordBatch, header: Header, columns: Sequence[int] = ()) -> bool:
    """Whether some row of the batch has the names of its columns as values."""
    found: pa.BooleanArray | None = None
    for column, index in zip(batch.columns, columns or range(len(header.names)), strict=True):
        name = header.names[index]
        equal = pc.equal(column, name)
        if name == _number(index):
            equal = pc.fill_null(equal, True)  # an empty heading has it too
        found = equal if found is None else pc.and_kleene(found, equal)
        if not found.true_count:
            return False
    return True


def _read(
    rows: io.RawIOBase,
    stream: TextStream,
    header: Header,
    columns: Sequence[int],
    *,
    are_lines: bool,
) -> Iterator[pa.RecordBatch]:
    """`rows` of `stream`; `are_lines` when no value can have a line end inside."""
    layout = header.layout
    names = [f"c{index}" for index in range(len(header.names))]
    yield from arrow_csv.open_csv(
        rows,
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char=layout.quote or False,
            double_quote=True,
            escape_char=layout.escape or False,
            newlines_in_values=not are_lines,
            ignore_empty_lines=len(names) > 1 or bool(stream.file.comment),
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            include_columns=[names[index] for index in columns],
            null_values=["", *layout.nulls],
            check_utf8=not isinstance(rows, PlainRows),
        ),
    )


def _parse_fault(stream: TextStream, header: Header, message: str) -> FileFault:
    """Arrow's own words never come through: they quote rows and give advice of their own."""
    if stream.fault:
        return stream.fault
    if "UTF8" in message:
        return _fault(stream, 0, NOT_UTF8, NOT_UTF8_ADVICE)
    ragged = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if ragged:
        return RaggedFault(stream.file.name, int(ragged[1]), int(ragged[2]), header.layout)
    if "straddling" in message:
        return _fault(stream, 0, f"has a row of more than {BLOCK_BYTES} bytes", "split its values")
    return _fault(stream, 0, "is not delimited text", "look at its quotes and line ends")


class RaggedFault(FileFault):
    """A row with more or fewer values than the header has names."""

    def __init__(self, file: str, columns: int, found: int, layout: Layout) -> None:
        delimiter = {"\t": "tab"}.get(layout.delimiter, layout.delimiter)
        advice = f"quote values that have a '{delimiter}'"
        if not layout.is_defined:
            advice += ", or give the delimiter in tables.toml"
        super().__init__(file, f"has {found} values instead of {columns}", advice)


def _first_record(stream: TextStream, head: bytes, layout: Layout) -> tuple[str, int]:
    """The first record and how many bytes it takes, line end included."""
    quote = re.escape(layout.quote.encode()) or b"\0"
    pattern = rb"(?:[^\r\n" + quote + rb"]|" + quote + rb"[^" + quote + rb"]*+" + quote + rb")*+"
    match = re.compile(pattern).match(head)
    end = match.end() if match else 0
    if end == len(head) and len(head) >= HEAD_BYTES:
        raise _fault(stream, 1, "has no line end in its first bytes", "write one row per line")
    if head[end : end + 1] not in {b"", b"\r", b"\n"}:
        raise _fault(stream, 1, "has a quote that is not closed", "close it")
    after = end + len(re.match(rb"\r\n|\r|\n|", head[end : end + 2])[0])  # type: ignore[index]
    try:
        return head[:end].decode(), after
    except UnicodeDecodeError as error:
        raise _fault(stream, 1, NOT_UTF8, NOT_UTF8_ADVICE) from error


def _with_delimiter(record: str, layout: Layout) -> Layout:
    if layout.is_defined or layout.delimiter != ",":
        return layout
    bare = re.sub(r'"[^"]*"', "", record)
    found = [other for other in _OTHER_DELIMITERS if other in bare]
    if "," in bare or len(found) != 1:
        return layout
    return replace(layout, delimiter=found[0])


def _cells(stream: TextStream, record: str, layout: Layout) -> list[str]:
    rows = csv.reader(
        io.StringIO(record, newline=""),
        delimiter=layout.delimiter,
        quotechar=layout.quote or None,
        quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
        escapechar=layout.escape or None,
        strict=True,
    )
    try:
        return next(rows, [""])
    except csv.Error as error:
        raise _fault(stream, 1, "has a quote out of its place", "correct the header") from error


def named(cells: Sequence[str]) -> tuple[str, ...]:
    """An empty heading becomes `column` and its number: the index that pandas writes."""
    return tuple(cell or _number(index) for index, cell in enumerate(cells))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(map(_number, range(count)))


def _number(index: int) -> str:
    """What a column without a name is called."""
    return f"column{index}"


def _require_distinct(stream: TextStream, names: Sequence[str]) -> None:
    """SQL tells names apart without regard to case, so two such columns could not be told apart."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            pair = f"'{cut(seen[name.lower()])}' and '{cut(name)}'"
            advice = "rename one, or list all names as `names` in tables.toml"
            raise _fault(stream, 1, f"has two columns {pair}", advice)
        seen[name.lower()] = name


def _fault(stream: TextStream, line: int, problem: str, advice: str) -> FileFault:
    return FileFault(stream.file.name, problem, advice, line=line)

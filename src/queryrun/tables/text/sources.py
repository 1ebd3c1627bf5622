"""The files that can be converted: how to open each, as often as needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from queryrun.tables.definition import ColumnRule
from queryrun.tables.text import delimited, json_records, locate
from queryrun.tables.text.delimited import Header, Layout
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.stream import TextFile, TextStream

Batches = Iterator[pa.RecordBatch]


class Source(Protocol):
    """A file that is read from the start, as often as needed."""

    is_json: bool
    file: TextFile
    rules: Mapping[str, ColumnRule]
    """Columns whose type is defined, by lower-case name."""

    def open(
        self, columns: Sequence[int] = ()
    ) -> contextlib.AbstractContextManager[tuple[Sequence[str], Batches]]:
        """The column names, and the rows as texts in columns c0, c1, … Raises `FileFault`.

        With `columns` the batches of delimited text have these columns alone.
        """
        ...

    def learn_columns(self) -> None:
        """Find out all columns by reading the whole file, where the beginning does not say."""
        ...


class DelimitedSource:
    """A CSV or TSV file."""

    is_json = False

    def __init__(
        self, file: TextFile, layout: Layout, rules: Mapping[str, ColumnRule] | None = None
    ) -> None:
        self.file = file
        self.rules = rules or {}
        self._layout = layout
        self.header: Header | None = None

    @contextlib.contextmanager
    def open(self, columns: Sequence[int] = ()) -> Iterator[tuple[Sequence[str], Batches]]:
        """See `Source`."""
        with contextlib.closing(TextStream(self.file)) as stream:
            self.header = delimited.read_header(stream, self._layout)
            rows = delimited.batches(stream, self.header, columns)
            if self.header.may_be_repeated:
                rows = self._without_second_header(rows, self.header, columns)
            yield self.header.names, rows

    def learn_columns(self) -> None:
        """The header says all."""

    def _without_second_header(
        self, batches: Batches, header: Header, columns: Sequence[int]
    ) -> Batches:
        """The batches; `FileFault` for one with a second header: files were joined there.

        A few columns may have their names as values; only the whole row shows that it is one.
        """
        is_known = False
        for batch in batches:
            if not is_known and delimited.may_have_header(batch, header, columns):
                self._refuse_second_header(header)
                is_known = True
            yield batch

    def _refuse_second_header(self, header: Header) -> None:
        """Read all of the file for it, once."""
        line = locate.repeated_header(self.file, header)
        if line:
            raise FileFault(
                self.file.name,
                "repeats the names of the columns",
                "files were joined there: remove the line, or say header = true in tables.toml "
                "if it is a row",
                line,
            )


class JsonSource:
    """A file of JSON records."""

    is_json = True

    def __init__(self, file: TextFile, rules: Mapping[str, ColumnRule] | None = None) -> None:
        self.file = file
        self.rules = rules or {}
        self._names: list[str] | None = None

    @contextlib.contextmanager
    def open(
        self,
        columns: Sequence[int] = (),  # noqa: ARG002 - of delimited text
    ) -> Iterator[tuple[Sequence[str], Batches]]:
        """See `Source`. The batches may raise `UnknownKeyError` before `learn_columns`."""
        if self._names is None:
            with contextlib.closing(TextStream(self.file)) as stream:
                self._names = json_records.columns_of(stream, json_records.BATCH_ROWS)
        with contextlib.closing(TextStream(self.file)) as stream:
            yield _headings(self._names), json_records.batches(stream, self._names)

    def learn_columns(self) -> None:
        """See `Source`."""
        with contextlib.closing(TextStream(self.file)) as stream:
            self._names = json_records.columns_of(stream)


def _headings(keys: Sequence[str]) -> list[str]:
    """SQL has no name for an empty key: it becomes `column` and its number, as in CSV."""
    lower = {key.lower() for key in keys}
    names = [key or f"column{index}" for index, key in enumerate(keys)]
    return [
        name if key or name not in lower else f"{name}_"
        for key, name in zip(keys, names, strict=True)
    ]

"""A text file as a typed Parquet file: types from the whole of it, every value kept or a fault.

The common case takes one pass: the types of the first rows are tried on all rows, each value
tested. A value that contradicts them costs a second pass, which counts the classes of all values,
and a third, which writes. Either way the types are those that all values of the file imply.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from queryrun.tables.sql import quoted_name, quoted_text
from queryrun.tables.text import kinds
from queryrun.tables.text.faults import FileFault
from queryrun.tables.text.kinds import Facts

HEAD_ROWS = 20_000
"""From these the first guess at the types is made."""
FAMILY_ROWS = 1_000
"""When the first rows are all numbers (or dates …), a later value that is none is no text column
but most likely a fault of the file: see `Column.break_row`."""
_ROW_GROUP_ROWS = 122_880


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file. `is_complete`: whether `facts` are of the whole file or of its head."""

    name: str
    kind: str
    facts: Facts = field(default_factory=Facts)
    is_complete: bool = False
    family: str = ""
    """What all values of the first `FAMILY_ROWS` rows are; empty for text or mixed."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written for a file."""

    columns: tuple[Column, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Source:
    """How to read a file's rows as texts, from the start, as often as needed.

    `open` returns the column names and the batches, whose columns are called c0, c1, …
    """

    open: Callable[[], contextlib.AbstractContextManager[tuple[Sequence[str], Batches]]]
    is_json: bool = False


Batches = Iterator[pa.RecordBatch]


class Converter:
    """Converts files on a DuckDB instance of its own, which no statement ever sees."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute("SET TimeZone='UTC'")
        for macro in kinds.MACROS:
            self._connection.execute(macro)

    def interrupt(self) -> None:
        """Stop a conversion, from another thread; it raises `duckdb.InterruptException`."""
        self._connection.interrupt()

    def close(self) -> None:
        """Release its memory."""
        self._connection.close()

    def convert(self, source: Source, path: Path) -> Converted:
        """Write the file with the types that all its values imply. Raises `FileFault`."""
        with source.open() as (names, batches):
            head, rest = _split_head(batches)
            columns = self._columns(source, names, head)
            try:
                rows = self._write(source, columns, itertools.chain(head, rest), path, check=True)
            except _MismatchError:
                rows = -1
        if rows >= 0:
            return Converted(tuple(columns), rows)
        return self.rewrite(source, self.examine(source, columns), path)

    def examine(self, source: Source, known: Sequence[Column]) -> list[Column]:
        """The same columns with facts of the whole file, and the types that follow."""
        with source.open() as (names, batches):
            facts = self._facts(source, names, batches)
        found = []
        for column, fact in zip(known, facts, strict=True):
            kind = kinds.type_of(fact, is_json=source.is_json)
            found.append(replace(column, kind=kind, facts=fact, is_complete=True))
        return found

    def rewrite(self, source: Source, columns: Sequence[Column], path: Path) -> Converted:
        """Write the file with these types."""
        with source.open() as (_, batches):
            rows = self._write(source, columns, batches, path, check=False)
        return Converted(tuple(columns), rows)

    def find(self, source: Source, index: int, is_fine: str) -> tuple[int, str] | None:
        """The first row, from 0, whose value of column `index` is not fine, and that value.

        `is_fine` is SQL about `v`.
        """
        done = 0
        with source.open() as (_, batches):
            for batch in batches:
                values = pa.table({"v": batch.column(index)})
                with self._registered(values) as name:
                    row = self._connection.execute(
                        f"SELECT n, v FROM (SELECT row_number() OVER () - 1 AS n, v FROM {name}) "
                        f"WHERE v IS NOT NULL AND NOT coalesce({is_fine}, false) ORDER BY n LIMIT 1"
                    ).fetchone()
                if row:
                    return done + int(row[0]), str(row[1])
                done += batch.num_rows
        return None

    def _columns(
        self, source: Source, names: Sequence[str], head: Sequence[pa.RecordBatch]
    ) -> list[Column]:
        facts = self._facts(source, names, head)
        first = self._facts(source, names, _first_rows(head, FAMILY_ROWS))
        return [
            Column(
                name,
                kinds.type_of(fact, is_json=source.is_json),
                fact,
                family="" if source.is_json else kinds.family_of(begin),
            )
            for name, fact, begin in zip(names, facts, first, strict=True)
        ]

    def _facts(
        self, source: Source, names: Sequence[str], batches: Iterator[pa.RecordBatch] | Sequence[pa.RecordBatch]
    ) -> list[Facts]:
        columns = [f"c{index}" for index in range(len(names))]
        with self._stream(names, iter(batches)) as stream:
            row = self._execute(kinds.facts_sql(columns, stream, is_json=source.is_json))
        return kinds.read_facts(row, len(names))

    def _write(
        self,
        source: Source,
        columns: Sequence[Column],
        batches: Batches,
        path: Path,
        *,
        check: bool,
    ) -> int:
        make = kinds.checked_sql if check else kinds.value_sql
        items = ", ".join(
            f"{make(f'c{index}', column.kind, is_json=source.is_json)} AS {quoted_name(column.name)}"
            for index, column in enumerate(columns)
        )
        with self._stream([c.name for c in columns], batches) as stream:
            row = self._execute(
                f"COPY (SELECT {items} FROM {stream}) TO {quoted_text(os.fspath(path))} "
                f"(FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE {_ROW_GROUP_ROWS})"
            )
        return int(str(row[0]))

    def _execute(self, sql: str) -> tuple[Any, ...]:
        """A fault of the file that was raised below the engine comes out as itself."""
        try:
            row = self._connection.execute(sql).fetchone()
        except duckdb.Error as error:
            if self._fault:
                raise self._fault from error
            if kinds.MISMATCH in str(error):
                raise _MismatchError from error
            raise
        return row or ()

    _fault: BaseException | None = None

    @contextlib.contextmanager
    def _stream(self, names: Sequence[str], batches: Batches) -> Iterator[str]:
        schema = pa.schema([(f"c{index}", pa.string()) for index in range(len(names))])
        self._fault = None
        reader = pa.RecordBatchReader.from_batches(schema, self._watched(batches))
        with self._registered(reader) as name:
            yield name

    def _watched(self, batches: Batches) -> Batches:
        try:
            yield from batches
        except Exception as fault:
            self._fault = fault
            raise

    @contextlib.contextmanager
    def _registered(self, rows: Any) -> Iterator[str]:
        self._connection.register("qr_rows", rows)
        try:
            yield "qr_rows"
        finally:
            self._connection.unregister("qr_rows")


class _MismatchError(Exception):
    """A value is of another class than the first rows' values."""


def _split_head(batches: Batches) -> tuple[list[pa.RecordBatch], Batches]:
    head: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        head.append(batch)
        rows += batch.num_rows
        if rows >= HEAD_ROWS:
            break
    return head, batches


def _first_rows(batches: Sequence[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    found = []
    for batch in batches:
        found.append(batch.slice(0, rows))
        rows -= batch.num_rows
        if rows <= 0:
            break
    return found


__all__ = ["Column", "Converted", "Converter", "FileFault", "Source"]

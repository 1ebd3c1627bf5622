"""A text file as a typed Parquet file: types from the whole of it, every value kept or a fault.

The common case takes one pass: the types of the first rows are tried on all rows, each value
tested. A value that contradicts them costs a second pass, which counts the classes of all values,
and a third, which writes. Either way the types are those that all values of the file imply.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from queryrun.tables.sql import quoted_name, quoted_text
from queryrun.tables.text import kinds
from queryrun.tables.text.batches import below, first_rows, is_at_end, split_head
from queryrun.tables.text.copy_writer import PARQUET_OPTIONS, CopyWriter, grouped, read_ahead
from queryrun.tables.text.faults import FileFault, cut
from queryrun.tables.text.json_records import UnknownKeyError
from queryrun.tables.text.kinds import Facts
from queryrun.tables.text.nested import InexactError, Shape, decoded
from queryrun.tables.text.proven import TYPES, proven
from queryrun.tables.text.rules import rule_sql
from queryrun.tables.text.sources import Batches, Source
from queryrun.tables.types import type_name

SAMPLE_ROWS = 5_000
"""Of delimited text: binding and counting take longer than a few thousand rows are worth."""
FAMILY_ROWS = 1_000
"""When the first rows are all numbers (or dates …), a later value that is none is no text column
but most likely a fault of the file: see `Column.break_row`."""
UNREAD = "UNREAD"
"""The kind of a column that a copy leaves out, since no statement has asked for it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file. `is_complete`: whether `facts` are of the whole file or of its head."""

    name: str
    kind: str
    facts: Facts = field(default_factory=Facts)
    is_complete: bool = False
    shape: Shape | None = None
    """Of a column whose kind is `NESTED`."""
    is_defined: bool = False
    """The type is the definition's, whatever the values are."""
    family: str = ""
    """What all values of the first `FAMILY_ROWS` rows are; empty for text or mixed."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written for a file."""

    columns: tuple[Column, ...]
    rows: int


class Converter:
    """Converts files on a DuckDB instance of its own, which no statement ever sees."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute("SET TimeZone='UTC'")
        for macro in kinds.MACROS:
            self._connection.execute(macro)

    def interrupt(self) -> None:
        """Stop a conversion, from another thread; it raises `duckdb.InterruptException`."""
        self._is_interrupted = True
        self._connection.interrupt()

    _is_interrupted = False

    def close(self) -> None:
        """Release its memory."""
        self._connection.close()

    def convert(
        self, source: Source, path: Path, names_read: Collection[str] | None = None
    ) -> Converted:
        """Write the file with the types that all its values imply. Raises `FileFault`.

        Writes nothing for a file that has neither records nor names of columns. Of a long file of
        delimited text the columns that `names_read` (in lower case) does not name may be left out:
        they are `UNREAD`, and not in what is written.
        """
        with source.open() as (names, batches):
            if not names:
                return Converted((), 0)
            head, rest = split_head(batches)
            columns: list[Column] = []
            try:
                is_whole, rest = is_at_end(rest)
                columns = self._columns(source, names, head, is_whole=is_whole)
                check = not all(column.is_complete for column in columns)
                if check and names_read is not None and not source.is_json:
                    columns = _without(columns, {*names_read, *source.rules})
                if not any(column.kind == UNREAD for column in columns):
                    every = itertools.chain(head, rest)
                    rows = self._write(source, columns, every, path, check=check)
                    return Converted(tuple(columns), rows)
            except MismatchError:
                self._require_rules(source, names)
            except UnknownKeyError:
                columns = []
        if any(column.kind == UNREAD for column in columns):
            return self._convert_some(source, columns, path)
        if not columns:
            source.learn_columns()
        return self.rewrite(source, self.examine(source, columns), path)

    def _convert_some(self, source: Source, columns: list[Column], path: Path) -> Converted:
        """Leave out what is `UNREAD`; all columns once a value contradicts the first rows."""
        chosen = [index for index, column in enumerate(columns) if column.kind != UNREAD]
        with source.open(chosen) as (names, batches):
            try:
                rows = self._write(source, columns, batches, path, check=True)
                return Converted(tuple(columns), rows)
            except MismatchError:
                self._require_rules(source, names)
        return self.rewrite(source, self.examine(source, columns), path)

    def examine(self, source: Source, known: Sequence[Column] = ()) -> list[Column]:
        """The columns with facts of the whole file, and the types that follow."""
        families = {column.name: column.family for column in known}
        with source.open() as (names, batches):
            shapes = [Shape() for _ in names] if source.is_json else []
            facts = self._facts(source, names, _observed(batches, shapes))
        return [
            column_of(source, name, fact, shapes[index] if shapes else None, families.get(name, ""))
            for index, (name, fact) in enumerate(zip(names, facts, strict=True))
        ]

    def rewrite(self, source: Source, columns: Sequence[Column], path: Path) -> Converted:
        """Write the file with these types."""
        with source.open() as (names, batches):
            try:
                rows = self._write(source, columns, batches, path, check=False)
            except MismatchError:
                self._require_rules(source, names)
                raise
        return Converted(tuple(columns), rows)

    def _require_rules(self, source: Source, names: Sequence[str]) -> None:
        """Raises `ValueFault` for the first value that is not of its defined type."""
        for index, name in enumerate(names):
            rule = source.rules.get(name.lower())
            if rule is None:
                continue
            text = "CASE WHEN v[1] = '\"' THEN v[2:] ELSE v END" if source.is_json else "v"
            found = self.find(source, index, f"{text} = '' OR ({rule_sql(text, rule)}) IS NOT NULL")
            if found:
                raise ValueFault(source.file.name, name, index, found[0], found[1], rule.kind)

    def classes(self, texts: Sequence[str]) -> list[str]:
        """The class of each of these texts; empty for an empty one."""
        with self._registered(pa.table({"v": pa.array(list(texts), pa.string())})) as name:
            rows = self._connection.execute(f"SELECT qr_class(v) FROM {name}").fetchall()
        return [str(found or "") for (found,) in rows]

    def find(self, source: Source, index: int, is_fine: str) -> tuple[int, str] | None:
        """The first row, from 0, whose value of column `index` is not fine, and that value.

        `is_fine` is SQL about `v`.
        """
        done = 0
        with source.open() as (_, batches):
            for batch in batches:
                values = pa.table({"v": batch.column(index)})
                with self._registered(values) as name:
                    rows = self._connection.execute(
                        f"SELECT n, v FROM (SELECT row_number() OVER () - 1 AS n, v FROM {name}) "
                        f"WHERE v IS NOT NULL AND NOT coalesce({is_fine}, false) ORDER BY n LIMIT 1"
                    ).fetchall()
                if rows:
                    return done + int(rows[0][0]), str(rows[0][1])
                done += batch.num_rows
        return None

    def _columns(
        self,
        source: Source,
        names: Sequence[str],
        head: Sequence[pa.RecordBatch],
        *,
        is_whole: bool,
    ) -> list[Column]:
        """With facts of the whole file where the first rows are all: then no value needs a test."""
        shapes = [Shape() for _ in names] if source.is_json else []
        sample = head if source.is_json else first_rows(head, SAMPLE_ROWS)
        facts = self._facts(source, names, _observed(iter(sample), shapes))
        is_complete = is_whole and sum(b.num_rows for b in sample) == sum(b.num_rows for b in head)
        first = facts
        if not source.is_json and any(kinds.may_begin_as_family(fact) for fact in facts):
            first = self._facts(source, names, iter(first_rows(head, FAMILY_ROWS)))
        columns = []
        for index, (name, fact, begin) in enumerate(zip(names, facts, first, strict=True)):
            family = "" if source.is_json else kinds.family_of(begin)
            column = column_of(source, name, fact, shapes[index] if shapes else None, family)
            columns.append(replace(column, is_complete=is_complete))
        return columns

    def _facts(self, source: Source, names: Sequence[str], batches: Batches) -> list[Facts]:
        return self.facts(source.is_json, len(names), below(batches))

    def facts(self, is_json: bool, columns: int, values: Batches) -> list[Facts]:
        """The facts of each column; `values` have its number, from 0, as c and a text as v."""
        with self._stream({"c": pa.int32(), "v": pa.string()}, values) as stream:
            rows = self._execute(kinds.facts_sql(stream, is_json=is_json))
        return kinds.read_facts(rows, columns)

    def cast(self, source: Source, columns: Sequence[Column], batches: Batches) -> pa.Table:
        """The rows in the types of the columns, whose facts are of all these rows.

        Raises `MismatchError` for a value that is not of its defined type. Not for nested columns.
        """
        items = ", ".join(
            f"{_item(source, column, index, is_checked=False)} AS c{index}"
            for index, column in enumerate(columns)
        )
        fields = {f"c{index}": pa.string() for index in range(len(columns))}
        with self._stream(fields, batches) as stream, self._faults():
            return self._connection.sql(f"SELECT {items} FROM {stream}").to_arrow_table()

    def _write(
        self,
        source: Source,
        columns: Sequence[Column],
        batches: Batches,
        path: Path,
        *,
        check: bool,
    ) -> int:
        """The rows that were written; the engine writes what `proven` does not know."""
        if source.is_json or any(
            column.kind not in {*TYPES, UNREAD} or column.name.lower() in source.rules
            for column in columns
        ):
            return self._write_tested(source, columns, batches, path, check=check)
        with contextlib.closing(read_ahead(grouped(self._until_interrupted(batches)))) as groups:
            return self._write_proven(source, columns, groups, path, check=check)

    def _write_proven(
        self,
        source: Source,
        columns: Sequence[Column],
        groups: Iterator[list[pa.RecordBatch]],
        path: Path,
        *,
        check: bool,
    ) -> int:
        """Arrow tests and writes whole columns; the engine those that it cannot prove."""
        first = next(groups, [])
        if first and any(values is None for values in _proven(columns, first)):
            every = itertools.chain(first, itertools.chain.from_iterable(groups))
            return self._write_tested(source, columns, every, path, check=check)
        read = [column for column in columns if column.kind != UNREAD]
        schema = pa.schema([(column.name, TYPES[column.kind]) for column in read])
        with CopyWriter(path, schema, first[:1]) as writer:
            for group in itertools.chain([first] if first else [], groups):
                found = _proven(columns, group)
                others = [index for index, values in enumerate(found) if values is None]
                if others:
                    tested = self._tested(source, columns, group, others, check=check)
                    for index, values in zip(others, tested.columns, strict=True):
                        found[index] = values.cast(schema.types[index])
                writer.write([values for values in found if values is not None])
            return writer.rows

    def _until_interrupted(self, batches: Batches) -> Batches:
        for batch in batches:
            if self._is_interrupted:
                raise duckdb.InterruptException
            yield batch

    def _tested(
        self,
        source: Source,
        columns: Sequence[Column],
        group: Sequence[pa.RecordBatch],
        positions: Sequence[int],
        *,
        check: bool,
    ) -> pa.Table:
        """These columns of the batches as the engine casts them, value by value."""
        read = _numbered(columns)
        chosen = [read[position] for position in positions]
        rows = pa.Table.from_batches(group).select(list(positions))
        with self._registered(rows.rename_columns([f"c{index}" for index, _ in chosen])) as name:
            sql = _select(source, chosen, name, check=check)
            with self._faults():
                return self._connection.sql(sql).to_arrow_table()

    def _write_tested(
        self,
        source: Source,
        columns: Sequence[Column],
        batches: Batches,
        path: Path,
        *,
        check: bool,
    ) -> int:
        """The engine reads, tests and writes every value."""
        read = _numbered(columns)
        types = [_arrow_type(column) for column in columns]
        fields = {f"c{index}": types[index] for index, _ in read}
        with self._stream(fields, _typed(batches, columns, types)) as stream:
            rows = self._execute(
                f"COPY ({_select(source, read, stream, check=check)}) "
                f"TO {quoted_text(os.fspath(path))} ({PARQUET_OPTIONS})"
            )
        return int(str(rows[0][0]))

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        with self._faults():
            return self._connection.execute(sql).fetchall()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """A fault of the file that was raised below the engine comes out as itself."""
        try:
            yield
        except duckdb.Error as error:
            if self._fault:
                raise self._fault from error
            if kinds.MISMATCH in str(error):
                raise MismatchError from error
            raise

    _fault: BaseException | None = None

    @contextlib.contextmanager
    def _stream(self, fields: Mapping[str, pa.DataType], batches: Batches) -> Iterator[str]:
        schema = pa.schema(list(fields.items()))
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


class MismatchError(Exception):
    """A value is of another class than the first rows' values, or than the definition says."""


class ValueFault(FileFault):
    """A value that is not of the type that is defined; `row` counts from 0."""

    def __init__(self, file: str, name: str, index: int, row: int, value: str, kind: str) -> None:
        problem = f"has '{cut(value)}', which is no {type_name(kind)}"
        advice = "correct it, or its definition (type, format or nulls) in tables.toml"
        super().__init__(file, problem, advice, column=name)
        self.index, self.row = index, row


def _without(columns: Sequence[Column], names: Collection[str]) -> list[Column]:
    """The columns, those that are not among `names` unread, but one: a row needs a column."""
    is_read = [column.name.lower() in names for column in columns]
    is_read[0] = is_read[0] or not any(is_read)
    return [
        column if read else replace(column, kind=UNREAD)
        for column, read in zip(columns, is_read, strict=True)
    ]


def _numbered(columns: Sequence[Column]) -> list[tuple[int, Column]]:
    """Those that are read, each with its number among all."""
    return [(index, column) for index, column in enumerate(columns) if column.kind != UNREAD]


def _select(
    source: Source, columns: Sequence[tuple[int, Column]], rows: str, *, check: bool
) -> str:
    """SQL that reads the columns, by their numbers, from texts in `rows`."""
    items = ", ".join(
        f"{_item(source, column, index, is_checked=check)} AS {quoted_name(column.name)}"
        for index, column in columns
    )
    tried = "".join(
        f", {cast} AS t{index}"
        for index, column in columns
        if check and (cast := _tried(source, column, index))
    )
    return f"SELECT {items} FROM (SELECT *{tried} FROM {rows})"


def _proven(
    columns: Sequence[Column], group: Sequence[pa.RecordBatch]
) -> list[pa.ChunkedArray | None]:
    """The columns of the batches that are `proven`, and None for each of the others."""
    read = [column for column in columns if column.kind != UNREAD]
    return [_proven_column(column, [b.column(i) for b in group]) for i, column in enumerate(read)]


def _proven_column(column: Column, texts: Sequence[pa.Array]) -> pa.ChunkedArray | None:
    chunks = []
    for text in texts:
        values = proven(text, column.kind, column.facts)
        if values is None:
            return None
        chunks.append(values)
    return pa.chunked_array(chunks, TYPES[column.kind])


def _tried(source: Source, column: Column, index: int) -> str:
    """What `_item` finds as a column `t` of its own; empty for none."""
    if column.name.lower() in source.rules:
        return ""
    return kinds.tried_sql(f"c{index}", column.kind, is_json=source.is_json)


def _item(source: Source, column: Column, index: int, *, is_checked: bool) -> str:
    text = f"c{index}"
    rule = source.rules.get(column.name.lower())
    if rule is None and is_checked:
        tried = f"t{index}" if _tried(source, column, index) else ""
        return kinds.checked_sql(
            text, column.kind, column.facts, is_json=source.is_json, tried=tried
        )
    if rule is None:
        return kinds.value_sql(text, column.kind, is_json=source.is_json)
    value = (
        f"CASE WHEN {text}[1] = '\"' THEN {text}[2:] ELSE {text} END" if source.is_json else text
    )
    read = rule_sql(value, rule)
    if rule.kind == "VARCHAR":
        return read
    return (
        f"CASE WHEN {value} IS NULL OR {value} = '' THEN NULL "
        f"WHEN ({read}) IS NULL THEN error('{kinds.MISMATCH}') ELSE {read} END"
    )


def column_of(source: Source, name: str, facts: Facts, shape: Shape | None, family: str) -> Column:
    """A column with the type that the facts of the whole file imply, or that is defined."""
    rule = source.rules.get(name.lower())
    if rule is not None:
        return Column(name, rule.kind, facts, is_complete=True, is_defined=True)
    kind = kinds.type_of(facts, is_json=source.is_json)
    if kind == "NESTED":
        kind, shape = _nested(shape)
    else:
        shape = None
    return Column(name, kind, facts, is_complete=True, shape=shape, family=family)


def _nested(shape: Shape | None) -> tuple[str, Shape | None]:
    """JSON stays JSON where no type of arrays and rows keeps every value."""
    try:
        if shape and not shape.is_inexact:
            shape.arrow_type()
            return "NESTED", shape
    except InexactError:
        pass
    return "JSON", None


def _arrow_type(column: Column) -> pa.DataType:
    return column.shape.arrow_type() if column.shape else pa.string()


def _observed(batches: Batches, shapes: Sequence[Shape]) -> Batches:
    """The batches as they are; what is nested in them is added to `shapes`."""
    for batch in batches:
        for shape, column in zip(shapes, batch.columns, strict=False):
            shape.observe(column.to_pylist())
        yield batch


def _typed(batches: Batches, columns: Sequence[Column], types: Sequence[pa.DataType]) -> Batches:
    """Nested columns become arrays and rows here; all others stay texts."""
    nested = [index for index, column in enumerate(columns) if column.shape]
    for batch in batches:
        arrays = list(batch.columns)
        for index in nested:
            arrays[index] = _nested_array(arrays[index].to_pylist(), columns[index], types[index])
        yield pa.RecordBatch.from_arrays(arrays, batch.schema.names) if nested else batch


def _nested_array(texts: list[str | None], column: Column, kind: pa.DataType) -> pa.Array:
    """Arrow drops a field that the type does not have, so the shape is compared first."""
    seen = Shape()
    if column.shape:
        seen.merge(column.shape)
    try:
        values = list(decoded(texts))
        for value in values:
            seen.add(value)
        fits = seen.arrow_type() == kind
    except (InexactError, ValueError, RecursionError):
        fits = False
    if not fits:
        raise MismatchError
    return pa.array(values, kind)

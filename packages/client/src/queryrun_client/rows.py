"""Rows of a downloaded file: JSON Lines as typed objects, anything as an Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from queryrun_client.errors import UnexpectedResponse, Unsupported
from queryrun_client.formats import FORMATS
from queryrun_client.model import Column, RunInfo
from queryrun_client.plain import open_plain, optional
from queryrun_client.typed import (
    Type,
    arrow_schema,
    arrow_value,
    decoder_of,
    parse_type,
    python_type,
    row_type,
    with_scale,
)

R = TypeVar("R")
Row = dict[str, Any]
_BATCH_ROWS = 20_000
_CAST = frozenset(
    {"boolean", "tinyint", "smallint", "integer", "bigint", "real", "double", "decimal", "date"}
)


def format_of(info: RunInfo) -> str:
    """The file's format as the server reports it, else the requested one."""
    reported = info.file.content_type if info.file is not None else ""
    return reported or info.content_type or ""


def check_rows(info: RunInfo) -> None:
    """Raise `Unsupported` unless the file is JSON Lines."""
    if format_of(info) not in ("json", "jsonl"):
        raise Unsupported(
            f"rows() reads json; this file is {format_of(info) or 'of unknown format'}: "
            "use to_arrow() or download()"
        )


def read_rows(path: Path, requested: type[R], info: RunInfo) -> Iterator[R]:
    """The rows of a JSON Lines file, one at a time, each as `requested`.

    Plain dictionaries have the columns' own types where the server reports them: decimals keep
    their digits, dates are dates.
    """
    is_plain = requested is Row and info.columns is not None
    kind = row_type(info.columns or ()) if is_plain else requested
    decoder = decoder_of(kind) if is_plain else msgspec.json.Decoder(kind)
    scales = _scales(info.columns or ()) if is_plain else {}
    with open_plain(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row: Any = _decoded(decoder, line, number)
                for name, scaled in scales.items():
                    row[name] = scaled(row[name])
                yield row


def _scales(columns: Sequence[Column]) -> dict[str, Callable[[Any], Any]]:
    """For the columns with decimals in them."""
    found = {one.name: with_scale(parse_type(one.type)) for one in columns}
    return {name: scaled for name, scaled in found.items() if scaled is not None}


def _decoded(decoder: msgspec.json.Decoder[R], line: bytes, number: int) -> R:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnexpectedResponse(f"row {number} does not have the row type: {error}") from error


def read_arrow(path: Path, info: RunInfo) -> Any:
    """The file as a `pyarrow.Table`, entirely in memory.

    Its types are those of the columns. A text format of a server that does not report them is
    read as pyarrow guesses it.
    """
    arrow = optional("pyarrow", "to_arrow() needs the package pyarrow")
    kind = format_of(info)
    if kind in ("json", "jsonl") and info.columns is not None:
        return _typed_json(arrow, read_rows(path, Row, info), info.columns)
    with open_plain(path) as file:
        data = file.read()
    source = arrow.BufferReader(data)
    if kind in ("json", "jsonl"):
        reader = optional("pyarrow.json", "to_arrow() needs pyarrow with JSON")
        return reader.read_json(source) if data.strip() else arrow.table({})
    if kind == "parquet":
        reader = optional("pyarrow.parquet", "to_arrow() needs pyarrow with Parquet")
        return reader.read_table(source)
    if kind == "arrow":
        return arrow.ipc.open_stream(source).read_all()
    return _delimited(arrow, source, _separator(kind, info), info.columns)


def _typed_json(arrow: Any, rows: Iterator[Row], columns: Sequence[Column]) -> Any:
    """Batch by batch: the rows as dictionaries take many times the memory of the table."""
    schema = arrow_schema(arrow, columns)
    kinds = [(one.name, parse_type(one.type)) for one in columns]
    batches = []
    while some := list(islice(rows, _BATCH_ROWS)):
        values = [[arrow_value(kind, row[name]) for row in some] for name, kind in kinds]
        arrays = [arrow.array(*pair) for pair in zip(values, schema.types, strict=True)]
        batches.append(arrow.record_batch(arrays, schema=schema))
    return arrow.Table.from_batches(batches, schema)


def _separator(kind: str, info: RunInfo) -> str:
    known = FORMATS.get(kind)
    needs_separator = known is not None and known.needs_separator
    separator = info.column_separator if needs_separator else known and known.separator
    if separator is None:
        raise Unsupported(f"to_arrow() does not read {kind or 'a file of unknown format'}")
    return separator


def _delimited(arrow: Any, source: Any, separator: str, columns: Sequence[Column] | None) -> Any:
    """With known columns every field is read as text first, an empty one without quotes as NULL."""
    reader = optional("pyarrow.csv", "to_arrow() needs pyarrow with CSV")
    has_one_column = columns is not None and len(columns) == 1
    parsing = reader.ParseOptions(
        delimiter=separator,
        newlines_in_values=True,
        ignore_empty_lines=not has_one_column,  # there, such a line is a row without a value
    )
    if columns is None:
        return reader.read_csv(source, parse_options=parsing)
    converting = reader.ConvertOptions(
        column_types={one.name: arrow.string() for one in columns},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    table = reader.read_csv(source, parse_options=parsing, convert_options=converting)
    kinds = [parse_type(one.type) for one in columns]
    schema = arrow_schema(arrow, columns)
    read = zip(kinds, table.columns, schema.types, strict=True)
    return arrow.table([_converted(arrow, *one) for one in read], schema=schema)


def _converted(arrow: Any, kind: Type, texts: Any, target: Any) -> Any:
    """A column of texts in its own type. Arrow casts what has one spelling; the rest is decoded as
    a value of json is."""
    if (target == arrow.string() and kind.name != "json") or kind.name in _CAST:
        return texts.cast(target)
    decoder, is_json = decoder_of(python_type(kind)), kind.parts or kind.name == "json"
    decoded = (
        None
        if text is None
        else decoder.decode(text.encode() if is_json else msgspec.json.encode(text))
        for text in texts.to_pylist()
    )
    return arrow.array([arrow_value(kind, value) for value in decoded], target)


def pandas_of(table: Any) -> Any:
    """The table as a `pandas.DataFrame`. Integers and booleans beside missing values have pandas'
    own types for that: as floats they would lose digits."""
    pandas = optional("pandas", "to_pandas() needs the package pandas")
    arrow = optional("pyarrow", "to_pandas() needs the package pyarrow")
    frame = table.to_pandas(integer_object_nulls=True)
    for position, column in enumerate(table.columns):
        if column.null_count and (own := _nullable(pandas, arrow, column.type)) is not None:
            frame.isetitem(position, pandas.array(column.to_pylist(), dtype=own))
    return frame


def _nullable(pandas: Any, arrow: Any, kind: Any) -> Any:
    """pandas' type for this type beside missing values, where it has one of its own."""
    types = {
        arrow.bool_(): pandas.BooleanDtype(),
        arrow.int8(): pandas.Int8Dtype(),
        arrow.int16(): pandas.Int16Dtype(),
        arrow.int32(): pandas.Int32Dtype(),
        arrow.int64(): pandas.Int64Dtype(),
    }
    return types.get(kind)


def polars_of(table: Any) -> Any:
    """The table as a `polars.DataFrame`."""
    return optional("polars", "to_polars() needs the package polars").from_arrow(table)

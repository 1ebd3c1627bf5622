"""Rows of a downloaded file: JSON Lines as typed objects, anything as an Arrow table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from queryrun_client.errors import UnexpectedResponse, Unsupported
from queryrun_client.formats import FORMATS
from queryrun_client.model import RunInfo
from queryrun_client.plain import open_plain, optional

R = TypeVar("R")
Row = dict[str, Any]


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


def read_rows(path: Path, row_type: type[R]) -> Iterator[R]:
    """The rows of a JSON Lines file, one at a time, each as a `row_type`."""
    decoder = msgspec.json.Decoder(row_type)
    with open_plain(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _decoded(decoder, line, number)


def _decoded(decoder: msgspec.json.Decoder[R], line: bytes, number: int) -> R:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnexpectedResponse(f"row {number} does not have the row type: {error}") from error


def read_arrow(path: Path, info: RunInfo) -> Any:
    """The file as a `pyarrow.Table`, entirely in memory."""
    arrow = optional("pyarrow", "to_arrow() needs the package pyarrow")
    with open_plain(path) as file:
        data = file.read()
    source = arrow.BufferReader(data)
    kind = format_of(info)
    if kind in ("json", "jsonl"):
        reader = optional("pyarrow.json", "to_arrow() needs pyarrow with JSON")
        return reader.read_json(source) if data.strip() else arrow.table({})
    if kind == "parquet":
        return optional("pyarrow.parquet", "to_arrow() needs pyarrow with Parquet").read_table(
            source
        )
    if kind == "arrow":
        return arrow.ipc.open_stream(source).read_all()
    return _delimited(source, _separator(kind, info))


def _separator(kind: str, info: RunInfo) -> str:
    known = FORMATS.get(kind)
    needs_separator = known is not None and known.needs_separator
    separator = info.column_separator if needs_separator else known and known.separator
    if separator is None:
        raise Unsupported(f"to_arrow() does not read {kind or 'a file of unknown format'}")
    return separator


def _delimited(source: Any, separator: str) -> Any:
    reader = optional("pyarrow.csv", "to_arrow() needs pyarrow with CSV")
    options = reader.ParseOptions(delimiter=separator, newlines_in_values=True)
    return reader.read_csv(source, parse_options=options)


def pandas_of(table: Any) -> Any:
    """The table as a `pandas.DataFrame`."""
    optional("pandas", "to_pandas() needs the package pandas")
    return table.to_pandas()


def polars_of(table: Any) -> Any:
    """The table as a `polars.DataFrame`."""
    return optional("polars", "to_polars() needs the package polars").from_arrow(table)

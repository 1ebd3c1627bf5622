"""The registry of result formats and of their compressions.

One member of `ContentType` adds a format, one member of `ContentEncoding` a compression. The
encoder, row counts, file names, media types, previews, request validation and the OpenAPI document
read these entries (docs/contributing/add-a-format.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from queryrun.results import compress, decompress, preview_rows
from queryrun.results.compress import Chunks
from queryrun.results.count import LineCounter, NoCounter, RecordCounter, RowCounter
from queryrun.results.preview_rows import Preview, RowWindow
from queryrun.results.separator import parse_separator
from queryrun.results.types import Type
from queryrun.results.values import ValueFormatter, object_sql
from queryrun.results.zip import HeadLast, ZipFile

CSV_OPTIONS = "FORMAT csv, HEADER true, DELIMITER {separator}, QUOTE '\"', ESCAPE '\"', COMMENT ''"
"""Without a comment sign, or DuckDB quotes every value that begins with `#`."""
CSV_ROWS_OPTIONS = CSV_OPTIONS.replace("HEADER true", "HEADER false")
LINES_OPTIONS = "FORMAT csv, HEADER false, DELIMITER '', QUOTE '', ESCAPE ''"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFormat:
    """What the service knows about one format of result files."""

    name: str
    """In the API, in the store and in file names."""
    suffix: str
    media_type: str
    copy_options: str | None
    """Options of DuckDB's `COPY`, `{separator}` being the quoted separator. None: the rows are
    written as Arrow record batches."""
    clash_options: str | None = None
    """The same for columns whose names differ by case only, which `COPY` itself would change: a
    delimited file without its header, or one column with the whole row (`row_sql`)."""
    row_sql: Callable[[Sequence[str], Sequence[str]], str] | None = None
    """A whole row as one text, in SQL, of the names of its columns and their values."""
    is_extension: bool = False
    """An addition of this service, not offered by v1."""
    is_text: bool = True
    """Safe to print on a terminal."""
    separator: str | None = None
    """Between the fields of a delimited format."""
    needs_separator: bool = False
    """The caller chooses the separator, and must."""
    is_sequential: bool = False
    """DuckDB writes the file from beginning to end. In other formats a later part may be written
    before an earlier one."""
    value_sql: Callable[[ValueFormatter, Type, str], str | None] | None = None
    """Formats a value as SQL; None: `COPY` writes values as they are."""
    counter: type[RowCounter] = NoCounter
    preview: Callable[[Iterable[bytes], RowWindow], Preview] | None = None
    """Reads the first rows of the plain bytes. None: a reader in `columnar.py`, which runs in a
    separate process."""

    @property
    def is_delimited(self) -> bool:
        """One record per row, fields between separators, values as text."""
        return self.needs_separator or self.separator is not None

    def separator_for(self, requested: str | None) -> str:
        """The separator of a file: the format's own, else the requested one; "" without fields.

        Raises `ValueError` when the caller must choose one and it is not valid.
        """
        if self.needs_separator:
            return parse_separator(requested)
        return self.separator or ""


def delimited(
    name: str, media_type: str, separator: str | None, *, is_extension: bool = False
) -> ResultFormat:
    """A format with a header and one record per row. No separator: the caller chooses it."""
    return ResultFormat(
        name=name,
        suffix=f".{name}",
        media_type=f"{media_type}; charset=utf-8",
        copy_options=CSV_OPTIONS,
        clash_options=CSV_ROWS_OPTIONS,
        is_extension=is_extension,
        separator=separator,
        needs_separator=separator is None,
        value_sql=ValueFormatter.as_text,
        counter=RecordCounter,
        preview=preview_rows.read_delimited,
    )


class ContentType(StrEnum):
    """The registry of formats. A member equals its name; its entry is in `spec`."""

    spec: ResultFormat

    def __new__(cls, entry: Any) -> Self:  # Any: `ContentType("csv")` looks a member up by name
        """A member that equals the name of its entry."""
        member = str.__new__(cls, entry.name)
        member._value_ = entry.name
        member.spec = entry
        return member

    JSON = ResultFormat(
        name="json",
        suffix=".json",
        media_type="application/x-ndjson",
        copy_options="FORMAT json",
        clash_options=LINES_OPTIONS,
        row_sql=object_sql,
        value_sql=ValueFormatter.as_json,
        counter=LineCounter,
        preview=preview_rows.read_json_lines,
    )
    CSV = delimited("csv", "text/csv", ",")
    TSV = delimited("tsv", "text/tab-separated-values", "\t")
    DSV = delimited("dsv", "text/plain", None)
    PARQUET = ResultFormat(
        name="parquet",
        suffix=".parquet",
        media_type="application/vnd.apache.parquet",
        copy_options="FORMAT parquet",
        is_extension=True,
        is_text=False,
        is_sequential=True,
    )
    ARROW = ResultFormat(
        name="arrow",
        suffix=".arrow",
        media_type="application/vnd.apache.arrow.stream",
        copy_options=None,
        is_extension=True,
        is_text=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What the service knows about one compression of result files."""

    name: str
    """In the API and in the store."""
    suffix: str
    media_type: str
    """Of the compressed file. A `Content-Encoding` header instead would make clients decompress
    what they requested compressed (contract A11)."""
    compress: Callable[[Chunks], Chunks] | None
    """None: an archive, see `archive`."""
    archive: Callable[[Chunks, str], HeadLast] | None = None
    """Gets the plain chunks and the name of the file inside."""
    decompress: Callable[[Iterable[bytes]], Iterable[bytes]] | None
    """In chunks of bounded size. None: by a library that only the preview process loads."""
    is_extension: bool = False
    """An addition of this service, not offered by v1."""


class ContentEncoding(StrEnum):
    """The registry of compressions (contract A2). A member equals its name, as in `ContentType`."""

    spec: Compression

    def __new__(cls, entry: Any) -> Self:
        """A member that equals the name of its entry."""
        member = str.__new__(cls, entry.name)
        member._value_ = entry.name
        member.spec = entry
        return member

    NONE = Compression(
        name="none",
        suffix="",
        media_type="",
        compress=lambda chunks: chunks,
        decompress=lambda chunks: chunks,
    )
    GZIP = Compression(
        name="gzip",
        suffix=".gz",
        media_type="application/gzip",
        compress=compress.gzip,
        decompress=decompress.gunzip,
    )
    ZIP = Compression(
        name="zip",
        suffix=".zip",
        media_type="application/zip",
        compress=None,
        archive=ZipFile,
        decompress=decompress.unzip,
    )
    ZSTD = Compression(
        name="zstd",
        suffix=".zst",
        media_type="application/zstd",
        compress=compress.zstd,
        decompress=None,
        is_extension=True,
    )


def format_names(include: Callable[[ResultFormat], bool] = lambda _: True) -> list[str]:
    """The names of the formats for which `include` holds, in the order of the registry."""
    return [member.value for member in ContentType if include(member.spec)]


def names_of(names: Iterable[str]) -> str:
    """The names for a description in Markdown: "`csv`, `tsv` and `dsv`"."""
    *first, last = [f"`{name}`" for name in names]
    return f"{', '.join(first)} and {last}" if first else last

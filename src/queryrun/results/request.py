"""The write of one result file: its request, its progress reports and its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from queryrun.engines.base import Column, RowFilter
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.sql.trino.markers import Value


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One statement and the properties of its file. A limit of 0 is no limit."""

    sql: str = field(repr=False)
    file_key: str
    content_type: ContentType
    content_encoding: ContentEncoding = ContentEncoding.NONE
    column_separator: str | None = None
    encryption_key: str | None = field(default=None, repr=False)
    row_limit: int = 0
    size_limit_bytes: int = 0
    time_zone: str = "UTC"
    row_filter: RowFilter = field(default_factory=RowFilter)
    name: str = ""
    """Identifies the work on a remote engine (`engines.base.work_name`)."""
    values: tuple[Value, ...] = field(default=(), repr=False)
    """Of `?` and `:name` in the statement."""


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """A complete file: its exact row count, and size and SHA-256 of the bytes as stored.

    `sha256` is empty until the file has been read back, if its first bytes were written last.
    """

    rows: int
    size_bytes: int
    sha256: str
    columns: tuple[Column, ...] = ()


class Report(Protocol):
    """Receives the progress of a running statement. Called from two threads; must be quick."""

    def stage(self, stage: str) -> None:
        """The attempt reached `planning`, `executing`, `writing` or `committing`."""
        ...

    def written(self, rows: int, size_bytes: int) -> None:
        """The bytes written so far, and an estimate of the rows.

        The rows of binary formats stay 0 until the end; the last call has the exact number.
        """
        ...

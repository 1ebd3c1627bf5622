"""Our side of the comparison: the suite's tables as files, and a session that speaks Trino."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.errors import Failure, RunFailed
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb.types import from_duckdb
from tests.differential.suite import own_tables

SCALE = "0.01"
"""What Trino's catalogue tpch calls `tiny`."""
_MEMORY_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class OurResult:
    """Our result: rows and their types, or why there are none."""

    names: list[str]
    kinds: list[Type]
    rows: list[tuple[Any, ...]]
    failure: Failure | None = None


def write_tables(directory: Path) -> None:
    """The tables of the suite, one Parquet file each."""
    directory.mkdir(parents=True)
    generator = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run(
        [str(generator), "parquet", "-s", SCALE, "--output-dir", str(directory)],
        check=True,
        capture_output=True,
    )
    empty = directory.parent / "empty"
    empty.mkdir()
    session = open_one(empty, directory.parent / "spill")
    for name, query in own_tables().items():
        write_rows(session, query, directory / f"{name}.parquet")
    session.close()


def write_rows(session: DuckDBSession, query: str, file: Path) -> None:
    """The rows of a query in Trino's SQL as a Parquet file."""
    rows = session.plan(query)
    with duckdb.connect(":memory:") as writer:
        table = rows.connection.sql(f"SELECT * FROM ({rows.relation})").to_arrow_table()
        writer.execute("SET TimeZone='UTC'")
        writer.register("rows_of_it", table)
        writer.execute(f"COPY (FROM rows_of_it) TO '{file}'")


def open_one(
    directory: Path, spill: Path, location: tuple[str, str] = ("memory", "default")
) -> DuckDBSession:
    """A session over a directory, in Trino's dialect. `location`: its catalog and schema."""
    spill.mkdir(parents=True, exist_ok=True)
    limits = EngineLimits(_MEMORY_BYTES, 2, str(spill), _MEMORY_BYTES)
    options = {"data_dir": str(directory), "dialect": "trino"}
    return open_session(options | {"catalog": location[0], "schema": location[1]}, limits)


class DuckDBSide:
    """Runs statements over one directory; a session runs several, as a worker's does."""

    def __init__(
        self, directory: Path, spill: Path, location: tuple[str, str] = ("memory", "default")
    ) -> None:
        self._directory, self._spill, self._location = directory, spill, location
        self._session = open_one(directory, spill, location)

    def run(self, statement: str) -> OurResult:
        """Run one statement to its end."""
        try:
            rows = self._session.plan(statement)
            return self._fetch(rows.connection, rows.relation, rows.columns)
        except RunFailed as failed:
            return OurResult([], [], [], failed.failure)
        finally:
            if not self._session.renew():
                self.close()
                self._session = open_one(self._directory, self._spill, self._location)

    def _fetch(self, connection: Any, relation: str, columns: Any) -> OurResult:
        kinds = []
        for column in columns:
            known = from_duckdb(column.type)
            assert known is not None, f"a result of type {column.type}"
            kinds.append(known[0])
        try:
            found = connection.execute(f"SELECT * FROM (\n{relation}\n)").fetchall()
        except duckdb.Error as error:
            failure = self._session.failure_of(error)
            assert isinstance(failure, RunFailed)
            return OurResult([], [], [], failure.failure)
        self._session.verify_rows()
        return OurResult([column.name for column in columns], kinds, found)

    def close(self) -> None:
        """Close the session."""
        self._session.close()


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBSide]:
    """A session without tables."""
    directory: Path = tmp_path_factory.mktemp("side")
    (directory / "data").mkdir()
    found = DuckDBSide(directory / "data", directory / "spill")
    yield found
    found.close()

"""DuckDB keeps the Engine's contract, over files and over a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from tests.contract.engine import EngineContract, Statements
from tests.contract.parameters import ParameterContract


@pytest.fixture
def statements() -> Statements:
    """DuckDB's words."""
    return Statements(
        endless="SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range < b.range",
        bad_cast="SELECT id,\n CAST('v' || id AS INTEGER) FROM account",
    )


@pytest.fixture
def limits(tmp_path: Path) -> EngineLimits:
    """Enough for small statements."""
    spill = tmp_path / "spill"
    spill.mkdir()
    return EngineLimits(256 * 1024**2, 2, str(spill), 64 * 1024**2)


class TestDuckDBOverFiles(EngineContract):
    """A directory of one Parquet file."""

    @pytest.fixture
    def session(self, tmp_path: Path, limits: EngineLimits) -> Iterator[DuckDBSession]:
        (tmp_path / "data").mkdir()
        with duckdb.connect() as connection:
            target = tmp_path / "data" / "account.parquet"
            connection.execute(f"COPY (SELECT unnest([1, 2, 3]) AS id) TO '{target}'")
        session = open_session({"data_dir": str(tmp_path / "data")}, limits)
        yield session
        session.close()


class TestDuckDBOverADatabase(EngineContract):
    """A .duckdb file."""

    @pytest.fixture
    def session(self, tmp_path: Path, limits: EngineLimits) -> Iterator[DuckDBSession]:
        path = tmp_path / "entity.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE account AS SELECT unnest([1, 2, 3]) AS id")
        session = open_session({"database": str(path)}, limits)
        yield session
        session.close()


class TestDuckDBInTrinosSql(ParameterContract):
    """What a source speaks unless it is set otherwise."""

    @pytest.fixture
    def session(self, tmp_path: Path, limits: EngineLimits) -> Iterator[DuckDBSession]:
        (tmp_path / "data").mkdir()
        with duckdb.connect() as connection:
            target = tmp_path / "data" / "account.parquet"
            connection.execute(f"COPY (SELECT unnest([1, 2, 3]) AS id) TO '{target}'")
        options = {"data_dir": str(tmp_path / "data"), "dialect": "trino"}
        session = open_session(options, limits)
        yield session
        session.close()

"""DuckDB keeps the Engine's contract, over files and over a database."""

from __future__ import annotations

import subprocess
import sys
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


_NOT_PERMITTED = """
import os, sys
from tests.faults.commands.in_process import without_capabilities
from queryrun.processes.sandbox import SandboxPolicy, apply_sandbox
from queryrun.engines.base import EngineLimits
from queryrun.engines.duckdb.session import open_session
from queryrun.errors import RunFailed
data, spill, closed = sys.argv[1:]
os.chmod(closed, 0)
without_capabilities()
apply_sandbox(SandboxPolicy(read=(data,), read_write=(spill,)))
try:
    open_session({"data_dir": data}, EngineLimits(256 * 1024**2, 1, spill, 0))
except RunFailed as failed:
    print(failed.failure.code.value, failed.failure.message)
"""


@pytest.mark.parametrize("closed", ["data", "data/main"])
def test_data_that_this_user_may_not_read_is_named_as_that(tmp_path: Path, closed: str) -> None:
    """In the sandbox of a worker, which has to be set up first, also without a rule for it."""
    for name in ("data", "data/main", "spill"):
        (tmp_path / name).mkdir()
    paths = [str(tmp_path / name) for name in ("data/main", "spill", closed)]
    command = [sys.executable, "-c", _NOT_PERMITTED, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / closed).chmod(0o700)
    expected = "data_unreadable The source's data cannot be read: no permission\n"
    assert (done.stdout, done.stderr) == (expected, "")

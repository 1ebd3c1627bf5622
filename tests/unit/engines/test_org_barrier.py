"""A client of orgs gets the answer, and the failure, of a database that holds only its rows."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from queryrun.engines.base import EngineLimits, RowFilter
from queryrun.engines.duckdb.session import DuckDBSession, open_session
from queryrun.engines.source_spec import ORGS
from queryrun.errors import FailureCode, RunFailed
from tests.org_attacks import ATTACKS, NATIVE_ATTACKS, PLAIN, ROWS
from tests.org_differential import differences
from tests.unit.engines.conftest import Open

NORTH = RowFilter(org_column="org", org_ids=("north",))


def _files(directory: Path, condition: str, kind: str) -> dict[str, str]:
    directory.mkdir()
    with duckdb.connect() as connection:
        for name, rows in (("account", f"FROM ({ROWS}) WHERE {condition}"), ("plain", PLAIN)):
            connection.execute(f"COPY ({rows}) TO '{directory / name}.{kind}'")
    return {"data_dir": str(directory)}


def _database(directory: Path, condition: str, _kind: str) -> dict[str, str]:
    path = directory.with_suffix(".duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE account AS FROM ({ROWS}) WHERE {condition}")
        connection.execute(f"CREATE TABLE plain AS {PLAIN}")
    return {"database": str(path)}


Make = Callable[[Path, str, str], dict[str, str]]
SOURCES: dict[str, tuple[Make, str]] = {
    "parquet": (_files, "parquet"),
    "csv": (_files, "csv"),
    "json": (_files, "json"),
    "database": (_database, ""),
}


@dataclass(slots=True)
class Twins:
    """A source with everybody's rows, and one with one org's alone, asked the same."""

    options: tuple[dict[str, str], dict[str, str]]
    spill: Path
    is_quick: bool
    """Text files are converted first: what follows is the same as for Parquet."""
    dialect: str = "trino"
    sessions: list[DuckDBSession] = field(default_factory=list)

    def outcomes(self, statement: str) -> list[Any]:
        """What either source's client is told."""
        if not self.sessions:
            self.sessions = [self._opened(one) for one in self.options]
        found = [outcome(session, statement) for session in self.sessions]
        are_renewed = [session.renew() for session in self.sessions]
        if not all(are_renewed):
            self.close()
        return found

    def close(self) -> None:
        """Close the sessions; others are opened when they are needed."""
        while self.sessions:
            self.sessions.pop().close()

    def _opened(self, options: dict[str, str]) -> DuckDBSession:
        spill = Path(tempfile.mkdtemp(dir=self.spill))
        limits = EngineLimits(256 * 1024**2, 1, str(spill), 64 * 1024**2)
        return open_session({**options, "dialect": self.dialect}, limits)


@pytest.fixture(scope="module", params=SOURCES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """The files of both, made once."""
    make, kind = SOURCES[request.param]
    directory = tmp_path_factory.mktemp("twins")
    spill = directory / "spill"
    spill.mkdir()
    everything = make(directory / "all", "true", kind)
    own = make(directory / "own", "org = 'north'", kind)
    return Twins((everything, own), spill, is_quick=kind in {"parquet", ""})


@pytest.fixture(params=["trino", "native"])
def twins(request: pytest.FixtureRequest, made: Twins) -> Iterator[Twins]:
    """In both dialects."""
    made.dialect = request.param
    yield made
    made.close()


def outcome(session: DuckDBSession, statement: str) -> Any:
    """The rows, or how it fails: what the caller is told."""
    try:
        planned = session.plan(statement, NORTH)
        return planned.connection.execute(f"SELECT * FROM (\n{planned.relation})").fetchall()
    except RunFailed as failed:
        return failed.failure
    except duckdb.Error as error:
        failure = session.failure_of(error)
        assert isinstance(failure, RunFailed)
        return failure.failure


def test_hidden_rows_change_neither_answer_nor_failure(twins: Twins) -> None:
    for statement in ATTACKS if twins.is_quick else ATTACKS[:4]:
        everything, own = twins.outcomes(statement)
        assert everything == own, statement


@pytest.mark.parametrize("twins", ["native"], indirect=True)
def test_nor_do_they_in_the_engines_own_dialect(twins: Twins) -> None:
    for statement in NATIVE_ATTACKS if twins.is_quick else NATIVE_ATTACKS[:2]:
        everything, own = twins.outcomes(statement)
        assert everything == own, statement


@pytest.mark.parametrize("twins", ["trino"], indirect=True)
def test_a_plan_tells_nothing_of_them(twins: Twins) -> None:
    everything, own = twins.outcomes("EXPLAIN SELECT note FROM account WHERE id > 7")
    assert everything == own


def test_behind_the_barrier_the_data_is_out_of_reach(twins: Twins) -> None:
    """Even SQL that no check has seen does not come to the hidden rows."""
    twins.outcomes("SELECT 1")
    session = twins.sessions[0]
    connection = session.plan("SELECT count(*) FROM account, plain", NORTH).connection
    assert connection.execute("SELECT count(*) FROM account").fetchall() == [(999,)]
    location = next(iter(twins.options[0].values()))
    ways = [f"'/proc/self/fd/{number}'" for number in range(3, 40)]
    ways += [f"'{location}/account.parquet'", f"'{location}/*'", f"'{location}'"]
    for way in [*(f"FROM read_blob({way})" for way in ways), "FROM data.main.account"]:
        with pytest.raises(duckdb.Error):
            connection.execute(way)
    with pytest.raises(duckdb.Error):
        connection.execute("SET threads = 1")


def test_a_fault_in_a_hidden_row_is_not_told(tmp_path: Path, open_engine: Open) -> None:
    lines = ["id,org", *(f"{n},north" for n in range(30_000)), "'top secret',south"]
    (tmp_path / "account.csv").write_text("\n".join(lines))
    failure = outcome(
        open_engine(data_dir=str(tmp_path), dialect="trino"), "SELECT sum(id) FROM account"
    )
    assert "secret" not in json.dumps(repr(failure))


@pytest.mark.parametrize(("kind", "ids"), [("BIGINT", ("7", "07", "x")), ("VARCHAR", ("7",))])
def test_a_numeric_org_is_compared_as_a_number_and_prunes_files(
    tmp_path: Path, open_engine: Open, kind: str, ids: tuple[str, ...]
) -> None:
    with duckdb.connect() as connection:
        rows = "SELECT i // 10000 AS org_number, i FROM range(100000) t(i)"
        connection.execute(
            f"COPY (SELECT CAST(org_number AS {kind}) AS org, i FROM ({rows})) "
            f"TO '{tmp_path / 'account.parquet'}' (ROW_GROUP_SIZE 10000)"
        )
    session = open_engine(data_dir=str(tmp_path), dialect="trino")
    row_filter = RowFilter(org_column="org", org_ids=ids)
    planned = session.plan("SELECT count(*), min(i) FROM account", row_filter)
    assert planned.connection.execute(planned.relation).fetchall() == [(10_000, 70_000)]


def test_the_copy_counts_against_the_limits(tmp_path: Path, limits: EngineLimits) -> None:
    """It takes memory and spill for the columns that the statement can mean."""
    directory = tmp_path / "data"
    directory.mkdir()
    with duckdb.connect() as connection:
        rows = "SELECT 'north' AS org, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS payload"
        connection.execute(
            f"COPY ({rows} FROM range(3000000) t(i)) TO '{directory / 'account.parquet'}'"
        )
    small = replace(limits, memory_bytes=64 * 1024**2, spill_bytes=16 * 1024**2)
    session = open_session({"data_dir": str(directory), "dialect": "trino"}, small)
    try:
        assert outcome(session, "SELECT count(*) FROM account") == [(3_000_000,)]
        assert session.renew()
        failure = outcome(session, "SELECT max(payload) FROM account")
        assert failure.code is FailureCode.MEMORY_LIMIT_EXCEEDED
    finally:
        session.close()


def test_generated_statements_tell_hidden_rows_from_none_in_nothing() -> None:
    """`make org-differential` asks 10,000."""
    assert differences(30, seed=7) == []


def test_a_run_of_orgs_reads_the_copies_that_all_read_and_none_else(tmp_path: Path) -> None:
    """What is converted is the file, whoever reads it."""
    copies = tmp_path / "copies"
    copies.mkdir()
    options = _files(tmp_path / "data", "true", "csv") | {"copies_dir": str(copies)}
    of_orgs = options | {ORGS: '["north"]'}

    def ids(options: dict[str, str], rows: RowFilter) -> int:
        limits = EngineLimits(256 * 1024**2, 1, str(tmp_path / "spill"), 64 * 1024**2)
        shutil.rmtree(limits.spill_dir, ignore_errors=True)
        Path(limits.spill_dir).mkdir()
        session = open_session(options, limits)
        if ORGS in options:
            session.set_copies(lambda _: None)
        planned = session.plan("SELECT id FROM account", rows)
        found = planned.connection.execute(f"SELECT * FROM (\n{planned.relation})").fetchall()
        session.close()
        return len(found)

    before = ids(of_orgs, NORTH)
    assert not list(copies.iterdir())
    assert ids(options, RowFilter()) > before
    written = {path: path.read_bytes() for path in copies.iterdir()}
    assert written
    assert ids(of_orgs, NORTH) == before
    assert {path: path.read_bytes() for path in copies.iterdir()} == written

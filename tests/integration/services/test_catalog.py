"""Tables are listed by a process that can read only its entity's data, and cached briefly."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import duckdb
import pytest

from queryrun.engines.base import ColumnInfo, TableFacts
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode, RunFailed, Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.services.catalog.client import CatalogClient, CatalogOptions
from queryrun.services.catalog.process import run_catalog
from tests.faults.node_harness import until
from tests.integration.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio


class FaultyCatalog:
    """A catalog that reports its pid and what it can read, and fails as its options say."""

    def __init__(self, source: SourceSpec) -> None:
        self._options = source.options

    def tables(self) -> list[str]:
        """One table, named by the pid of its process."""
        failure = self._options.get("failure")
        if failure == "dies":
            os._exit(9)
        if failure == "hangs":
            threading.Event().wait()
        if failure == "says":
            raise RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, "The engine is not there")
        if "bad" in self._options:
            return ["a", "b", "c", "d"]
        return [str(os.getpid())]

    def columns(self, name: str) -> list[ColumnInfo] | None:
        """Whether it can read what it should not; a table may hang, or kill the process."""
        if name in self._options.get("bad", ""):
            if self._options.get("how") == "dies":
                os._exit(9)
            threading.Event().wait()
        other = self._options.get("other")
        if other is None:
            return []
        try:
            Path(other).read_text(encoding="utf-8")
        except PermissionError:
            return [ColumnInfo(name, "walled")]
        return [ColumnInfo(name, "open")]

    def facts(self, name: str) -> TableFacts:
        """Nothing."""
        return TableFacts()

    def close(self) -> None:
        """Nothing to release."""


def broken_main(control: socket.socket) -> NoReturn:
    """The entry point of a faulty catalog process."""
    run_catalog(control, FaultyCatalog)


BROKEN = {**SCRIPTED, "catalog": "tests.integration.services.test_catalog:broken_main"}


class EntityData:
    """The data of two entities, and clients that list their tables."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.options: dict[str, str] = {}
        for entity in ("e1", "e2"):
            (root / entity).mkdir()

    def client_for(self, client: ForkClient, **options: float) -> CatalogClient:
        """A client whose sources are directories named like the entity."""
        return CatalogClient(client, self.spec, CatalogOptions(**options))

    async def spec(self, _source: str, entity_id: str) -> SourceSpec:
        """Which directory an entity has."""
        return SourceSpec("duckdb", {"data_dir": str(self.root / entity_id), **self.options})

    def write(self, entity: str, table: str, query: str) -> None:
        """A table of an entity, as a Parquet file."""
        duckdb.sql(f"COPY ({query}) TO '{self.root / entity / table}.parquet'")


@pytest.fixture
def data(tmp_path: Path) -> EntityData:
    return EntityData(tmp_path)


@pytest.fixture
async def real() -> AsyncIterator[ForkClient]:
    """Forks the real catalog; leaves no process behind."""
    client = ForkClient(SCRIPTED)
    yield client
    await client.close()
    assert children() == set()


@pytest.fixture
async def broken() -> AsyncIterator[ForkClient]:
    """Forks faulty catalogs; leaves no process behind."""
    client = ForkClient(BROKEN)
    yield client
    await client.close()
    assert children() == set()


async def test_tables_have_columns_in_trinos_words(data: EntityData, real: ForkClient) -> None:
    data.write("e1", "Account", "SELECT 'a' AS Id, 1::DECIMAL(18,6) AS balance, now() AS at")
    (found,) = await data.client_for(real).tables("live", "e1")
    assert found.columns == (
        ColumnInfo("id", "varchar"),
        ColumnInfo("balance", "decimal(18,6)"),
        ColumnInfo("at", "timestamp with time zone"),
    )
    facts = found.facts
    assert (found.name, facts.format, facts.files, facts.rows) == ("account", "parquet", 1, 1)
    assert facts.size_bytes == (data.root / "e1" / "Account.parquet").stat().st_size


async def test_an_entity_sees_its_own_tables_alone(data: EntityData, real: ForkClient) -> None:
    data.write("e1", "mine", "SELECT 1 AS a")
    client_for = data.client_for(real)
    assert await client_for.tables("live", "e2") == ()
    assert await client_for.table("live", "e2", "mine") is None
    assert await client_for.table("live", "e1", "MINE") is not None


async def test_a_table_that_cannot_be_read_keeps_its_name(
    data: EntityData, real: ForkClient
) -> None:
    data.write("e1", "good", "SELECT 1 AS a")
    (data.root / "e1" / "bad.parquet").write_text("no parquet")
    bad, good = await data.client_for(real).tables("live", "e1")
    assert (bad.name, bad.columns) == ("bad", None)
    assert good.columns == (ColumnInfo("a", "integer"),)


async def test_a_list_is_cached_until_the_files_change(
    data: EntityData, broken: ForkClient
) -> None:
    client_for = data.client_for(broken)
    first = await client_for.tables("live", "e1")
    assert await client_for.tables("live", "e1") == first
    (data.root / "e1" / "new.csv").write_text("a\n1\n")
    assert await client_for.tables("live", "e1") != first


async def test_a_cached_list_expires(data: EntityData, broken: ForkClient) -> None:
    client_for = data.client_for(broken, lifetime_s=0)
    first = await client_for.tables("live", "e1")
    assert await client_for.tables("live", "e1") != first


async def test_concurrent_requests_for_the_same_tables_share_a_process(
    data: EntityData, broken: ForkClient
) -> None:
    client_for = data.client_for(broken)
    results = await asyncio.gather(*(client_for.tables("live", "e1") for _ in range(5)))
    assert len({tables[0].name for tables in results}) == 1


async def test_its_process_cannot_read_what_is_not_its_entitys(
    data: EntityData, broken: ForkClient
) -> None:
    secret = data.root / "e2" / "secret"
    secret.write_text("x")
    data.options["other"] = str(secret)
    (found,) = await data.client_for(broken).tables("live", "e1")
    assert found.columns is not None
    assert found.columns[0].type == "walled"


@pytest.mark.parametrize("failure", ["dies", "hangs", "says"])
async def test_a_failing_catalog_makes_the_source_unavailable(
    data: EntityData, broken: ForkClient, failure: str
) -> None:
    """And the failure is not cached."""
    data.options["failure"] = failure
    client_for = data.client_for(broken, timeout_s=2.0 if failure == "hangs" else 20.0)
    with pytest.raises(Unavailable, match="live"):
        await client_for.tables("live", "e1")
    del data.options["failure"]
    assert len(await client_for.tables("live", "e1")) == 1


async def test_a_table_that_kills_the_process_takes_no_other_away(
    data: EntityData, broken: ForkClient
) -> None:
    data.options |= {"bad": "bc", "how": "dies"}
    found = await data.client_for(broken, timeout_s=20.0).tables("live", "e1")
    assert [(table.name, table.columns) for table in found] == [
        *(("a", ()), ("b", None), ("c", None), ("d", ())),
    ]
    assert "fail" in found[1].problem


async def test_a_slow_table_takes_no_other_away(data: EntityData, broken: ForkClient) -> None:
    """Those before it are there at once, those behind it when the list is asked for again."""
    await data.client_for(broken, timeout_s=20.0).tables("live", "e1")  # the fork server is up
    data.options |= {"bad": "b", "how": "hangs"}
    client = data.client_for(broken, timeout_s=3.0)
    first = await client.tables("live", "e1")
    assert [table.columns for table in first] == [(), None, None, None]
    assert "within 3 s" in first[1].problem
    assert "ask again" in first[2].problem
    assert [table.columns for table in await client.tables("live", "e1")] == [(), None, (), ()]
    with pytest.raises(Unavailable, match="table 'b'"):
        await data.client_for(broken, timeout_s=0.5).table("live", "e1", "b")


async def test_missing_data_is_unavailable(data: EntityData, real: ForkClient) -> None:
    (data.root / "e1").rmdir()
    with pytest.raises(Unavailable, match="data is not there"):
        await data.client_for(real).tables("live", "e1")


async def test_closing_leaves_no_process(data: EntityData, broken: ForkClient) -> None:
    data.options["failure"] = "hangs"
    client_for = data.client_for(broken)
    pending = asyncio.ensure_future(client_for.tables("live", "e1"))
    await until(lambda: len(children()) == 2, "the fork server and its catalog process")
    await client_for.close()
    with pytest.raises(asyncio.CancelledError):
        await pending

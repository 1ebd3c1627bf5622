"""Tables are listed by a process that can read only its entity's data, and cached briefly."""

from __future__ import annotations

import asyncio
import os
import signal
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
from queryrun.services.catalog.client import CatalogClient, CatalogOptions, _Listing
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
            return sorted({*"abcd", *self._options["bad"]})
        return [str(os.getpid())]

    def columns(self, name: str) -> list[ColumnInfo] | None:
        """Whether it can read what it should not; a table may hang, or kill the process."""
        if name in self._options.get("bad", ""):
            if self._options.get("how") == "dies":
                os._exit(9)
            if self._options.get("how") == "says":
                raise RunFailed.of(
                    FailureCode.MEMORY_LIMIT_EXCEEDED, f"table {name} needs more memory"
                )
            if self._options.get("how") == "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
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


CLIENT = "queryrun.services.catalog.client"
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


Servers = tuple[ForkClient, ForkClient]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all tests of this file, which its fork servers belong to."""
    return "asyncio"


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    """Of the real catalog and of faulty ones. To start one takes longer than most tests."""
    found = ForkClient(SCRIPTED), ForkClient(BROKEN)
    for client in found:
        client.start()
    yield found
    for client in found:
        await client.close()
    assert children() == set()


async def _require_end_of_catalogs(servers: Servers) -> None:
    pids = {client.pid for client in servers}
    await until(lambda: children() <= pids, "the end of every catalog process")


@pytest.fixture
async def real(servers: Servers) -> AsyncIterator[ForkClient]:
    """Forks the real catalog; leaves no process behind but the servers."""
    yield servers[0]
    await _require_end_of_catalogs(servers)


@pytest.fixture
async def broken(servers: Servers) -> AsyncIterator[ForkClient]:
    """Forks faulty catalogs; leaves no process behind but the servers."""
    yield servers[1]
    await _require_end_of_catalogs(servers)


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
    assert "tables check" in found[1].problem


@pytest.mark.parametrize("how", ["dies", "is killed", "says"])
async def test_a_table_that_fails_is_named_with_its_own_fault_alone_too(
    data: EntityData, broken: ForkClient, how: str
) -> None:
    """And others can be asked for meanwhile, and no list is read again for it."""
    data.options |= {"bad": "b", "how": how}
    client = data.client_for(broken, timeout_s=20.0)
    found = await client.table("live", "e1", "B")
    assert found is not None
    assert (found.name, found.columns) == ("b", None)
    assert ("more memory" if how == "says" else "ended") in found.problem
    other = await client.table("live", "e1", "a")
    assert other is not None
    assert (other.columns, other.problem) == ((), "")
    listed = await client.tables("live", "e1")
    assert [bool(table.problem) for table in listed] == [False, True, False, False]
    data.options["how"] = "hangs"
    assert await client.tables("live", "e1") == listed


async def test_a_slow_table_takes_no_other_away(
    data: EntityData, broken: ForkClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those behind it are there at once too; alone it has all of the time."""
    monkeypatch.setattr(f"{CLIENT}._Listing.share_s", lambda self, _: _share_of_b(self.unread()))
    data.options |= {"bad": "b", "how": "hangs"}
    client = data.client_for(broken, timeout_s=60.0)
    first = await client.tables("live", "e1")
    assert [table.columns for table in first] == [(), None, (), ()]
    assert "others waited" in first[1].problem
    assert await client.tables("live", "e1") == first
    del data.options["bad"]
    alone = await client.table("live", "e1", "b")
    assert alone is not None
    assert not alone.problem
    data.options["bad"] = "b"
    with pytest.raises(Unavailable, match="table 'b'"):
        await data.client_for(broken, timeout_s=0.5).table("live", "e1", "b")


def _share_of_b(unread: list[str]) -> float | None:
    """The table that hangs is given up on soon; others may take long on a busy machine."""
    return 0.3 if unread[:1] == ["b"] and len(unread) > 1 else None


def test_a_table_leaves_half_of_the_time_to_those_behind_it() -> None:
    listing = _Listing({}, ("a", "b"))
    assert listing.share_s(8.0) == 4.0
    listing.give_up_on("a", "slow")
    assert listing.share_s(8.0) is None


async def test_what_a_list_could_not_come_to_is_there_when_it_is_asked_for_again(
    data: EntityData, broken: ForkClient
) -> None:
    data.options |= {"bad": "abcde", "how": "dies"}
    client = data.client_for(broken, timeout_s=60.0)
    first = await client.tables("live", "e1")
    assert ["ask again" in table.problem for table in first] == [False] * 4 + [True]
    second = await client.tables("live", "e1")
    assert ["ended" in table.problem for table in second] == [True] * 5


async def test_missing_data_is_unavailable(data: EntityData, real: ForkClient) -> None:
    (data.root / "e1").rmdir()
    with pytest.raises(Unavailable, match="data is not there"):
        await data.client_for(real).tables("live", "e1")


async def test_closing_leaves_no_process(data: EntityData, broken: ForkClient) -> None:
    data.options["failure"] = "hangs"
    before = children()
    client_for = data.client_for(broken)
    pending = asyncio.ensure_future(client_for.tables("live", "e1"))
    await until(lambda: len(children() - before) == 1, "its catalog process")
    await client_for.close()
    with pytest.raises(asyncio.CancelledError):
        await pending
    await until(lambda: children() == before, "the end of its catalog process")

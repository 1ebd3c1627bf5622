"""Tables are listed by a process that can see its entity's data alone, and remembered briefly."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import duckdb
import pytest

from queryrun.engines.base import ColumnInfo
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import FailureCode, RunFailed, Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.services.catalog.client import CatalogClient, CatalogOptions
from queryrun.services.catalog.frames import TableShape
from queryrun.services.catalog.process import run_catalog
from tests.faults.node import until
from tests.unit.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio


class HalfBroken:
    """A catalog that says who it is, what it can see, and breaks as its source's options tell."""

    def __init__(self, source: SourceSpec) -> None:
        self._options = source.options

    def tables(self) -> list[str]:
        """One table for each process that was ever asked: its name is the pid."""
        trouble = self._options.get("trouble")
        if trouble == "dies":
            os._exit(9)
        if trouble == "hangs":
            os.read(os.pipe()[0], 1)
        if trouble == "says":
            raise RunFailed.of(FailureCode.ENGINE_UNAVAILABLE, "The engine is not there")
        return [str(os.getpid())]

    def columns(self, name: str) -> list[ColumnInfo] | None:
        """Whether it can read what it should not."""
        other = self._options.get("other")
        if other is None:
            return []
        try:
            Path(other).read_text(encoding="utf-8")
        except PermissionError:
            return [ColumnInfo(name, "walled")]
        return [ColumnInfo(name, "open")]

    def close(self) -> None:
        """Nothing to give back."""


def broken_main(control: socket.socket) -> NoReturn:
    """The entry point of a catalog process that is half broken."""
    run_catalog(control, HalfBroken)


BROKEN = {**SCRIPTED, "catalog": "tests.unit.worker.test_catalog:broken_main"}


class Rooms:
    """The data of two entities, and readers of their tables."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.options: dict[str, str] = {}
        for entity in ("e1", "e2"):
            (place / entity).mkdir()

    def reader(self, client: ForkClient, **options: float) -> CatalogClient:
        """A reader whose sources are directories named like the entity."""
        return CatalogClient(client, self.spec, CatalogOptions(**options))  # type: ignore[arg-type] # numbers of either kind

    async def spec(self, _source: str, entity_id: str) -> SourceSpec:
        """Which directory an entity has."""
        return SourceSpec("duckdb", {"data_dir": str(self.place / entity_id), **self.options})

    def write(self, entity: str, table: str, query: str) -> None:
        """A table of an entity, as a Parquet file."""
        duckdb.sql(f"COPY ({query}) TO '{self.place / entity / table}.parquet'")


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path)


@pytest.fixture
async def real() -> AsyncIterator[ForkClient]:
    """Forks what runs in production; nothing is left behind."""
    client = ForkClient(SCRIPTED)
    yield client
    await client.close()
    assert children() == set()


@pytest.fixture
async def broken() -> AsyncIterator[ForkClient]:
    """Forks catalogs that do as they are told; nothing is left behind."""
    client = ForkClient(BROKEN)
    yield client
    await client.close()
    assert children() == set()


async def test_tables_have_columns_in_trinos_words(rooms: Rooms, real: ForkClient) -> None:
    rooms.write("e1", "Account", "SELECT 'a' AS Id, 1::DECIMAL(18,6) AS balance, now() AS at")
    (found,) = await rooms.reader(real).tables("live", "e1")
    assert found == TableShape(
        "account",
        (
            ColumnInfo("id", "varchar"),
            ColumnInfo("balance", "decimal(18,6)"),
            ColumnInfo("at", "timestamp with time zone"),
        ),
    )


async def test_an_entity_sees_its_own_tables_alone(rooms: Rooms, real: ForkClient) -> None:
    rooms.write("e1", "mine", "SELECT 1 AS a")
    reader = rooms.reader(real)
    assert await reader.tables("live", "e2") == ()
    assert await reader.table("live", "e2", "mine") is None
    assert await reader.table("live", "e1", "MINE") is not None


async def test_a_table_that_cannot_be_read_keeps_its_name(rooms: Rooms, real: ForkClient) -> None:
    rooms.write("e1", "good", "SELECT 1 AS a")
    (rooms.place / "e1" / "bad.parquet").write_text("no parquet")
    bad, good = await rooms.reader(real).tables("live", "e1")
    assert (bad.name, bad.columns) == ("bad", None)
    assert good.columns == (ColumnInfo("a", "integer"),)


async def test_an_answer_is_remembered_until_the_files_change(
    rooms: Rooms, broken: ForkClient
) -> None:
    reader = rooms.reader(broken)
    first = await reader.tables("live", "e1")
    assert await reader.tables("live", "e1") == first
    (rooms.place / "e1" / "new.csv").write_text("a\n1\n")
    assert await reader.tables("live", "e1") != first


async def test_an_answer_grows_old(rooms: Rooms, broken: ForkClient) -> None:
    reader = rooms.reader(broken, lifetime_s=0)
    first = await reader.tables("live", "e1")
    assert await reader.tables("live", "e1") != first


async def test_who_asks_the_same_at_once_shares_an_answer(rooms: Rooms, broken: ForkClient) -> None:
    reader = rooms.reader(broken)
    answers = await asyncio.gather(*(reader.tables("live", "e1") for _ in range(5)))
    assert len({tables[0].name for tables in answers}) == 1


async def test_its_process_cannot_read_what_is_not_its_entitys(
    rooms: Rooms, broken: ForkClient
) -> None:
    secret = rooms.place / "e2" / "secret"
    secret.write_text("x")
    rooms.options["other"] = str(secret)
    (found,) = await rooms.reader(broken).tables("live", "e1")
    assert found.columns is not None
    assert found.columns[0].type == "walled"


@pytest.mark.parametrize("trouble", ["dies", "hangs", "says"])
async def test_a_catalog_in_trouble_is_a_source_that_cannot_say(
    rooms: Rooms, broken: ForkClient, trouble: str
) -> None:
    """And the next question is asked again."""
    rooms.options["trouble"] = trouble
    reader = rooms.reader(broken, timeout_s=0.5 if trouble == "hangs" else 20.0)
    with pytest.raises(Unavailable, match="live"):
        await reader.tables("live", "e1")
    del rooms.options["trouble"]
    assert len(await reader.tables("live", "e1")) == 1


async def test_data_that_is_not_there_is_unavailable(rooms: Rooms, real: ForkClient) -> None:
    (rooms.place / "e1").rmdir()
    with pytest.raises(Unavailable, match="data is not there"):
        await rooms.reader(real).tables("live", "e1")


async def test_closing_leaves_no_process(rooms: Rooms, broken: ForkClient) -> None:
    rooms.options["trouble"] = "hangs"
    reader = rooms.reader(broken)
    asking = asyncio.ensure_future(reader.tables("live", "e1"))
    await until(lambda: len(children()) == 2, "the fork-server and its catalog process")
    await reader.close()
    with pytest.raises(asyncio.CancelledError):
        await asking

"""Work in remote engines is stopped by its name, and orphaned work is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from queryrun.engines.base import work_name
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import ConfigurationError, Unavailable
from queryrun.runs.leader import LeaderTask
from queryrun.runs.model import AttemptRef
from queryrun.runs.reap import Reaper, ReapOptions
from queryrun.runs.remote import RemoteWork
from queryrun.runs.sources import SourceHealth
from queryrun.runs.store import ClaimLimits
from tests.conftest import Clock
from tests.contract.run_store_fixtures import request

pytestmark = pytest.mark.anyio


class Engine:
    """A remote engine, as the remote-stop service presents it."""

    def __init__(self, *names: str) -> None:
        self.work = list(names)
        self.is_down = False

    async def stop(self, source: SourceSpec, name: str) -> None:
        """Remove the work."""
        self._respond()
        if name in self.work:
            self.work.remove(name)

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """The names of the work."""
        self._respond()
        return tuple(self.work)

    async def check(self, source: SourceSpec) -> None:
        """Whether the engine responds."""
        self._respond()

    def _respond(self) -> None:
        if self.is_down:
            raise Unavailable("away")


async def resolve(source: str, entity_id: str | None) -> SourceSpec:
    """Resolve every source to the same engine."""
    return SourceSpec("trino", {"entity": entity_id or ""})


@pytest.fixture
async def database(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteDatabase]:
    """An empty database."""
    database = open_sqlite(tmp_path / "store.db", clock)
    yield database
    database.close()


async def test_the_work_of_an_attempt_is_stopped_by_its_name() -> None:
    ref = AttemptRef("0d0bd9a6-3b0c-4d37-a0a0-36d6a1a1a1a1", 2)
    engine = Engine(work_name(ref.run_id, 1), work_name(ref.run_id, 2))
    await RemoteWork(["warehouse"], engine, resolve).stop(ref, "warehouse", "e1")
    assert engine.work == [work_name(ref.run_id, 1)]


async def test_only_work_without_a_lease_holder_is_an_orphan(database: SqliteDatabase) -> None:
    """Kept: a held attempt. Stopped: another attempt of its run, and a run without an attempt."""
    run = await database.runs.accept(request(), run_id=RUN)
    source = run.run.request.source
    await database.runs.claim("n1", lease_s=60, limits=ClaimLimits([source], 1, {}))
    await database.runs.accept(request(), run_id=OTHER)
    held = work_name(RUN, 1)
    engine = Engine(held, work_name(RUN, 7), work_name(OTHER, 1), "queryrun-", "somebody-elses")
    stopped = await RemoteWork(["warehouse"], engine, resolve).stop_orphans(database.runs)
    assert (stopped, engine.work) == (2, [held, "queryrun-", "somebody-elses"])


async def test_work_of_a_run_that_is_unknown_here_is_left_alone(database: SqliteDatabase) -> None:
    """The run belongs to another service with its own database, on the same engine."""
    engine = Engine(work_name(OTHER, 1))
    assert await RemoteWork(["warehouse"], engine, resolve).stop_orphans(database.runs) == 0
    assert engine.work


async def test_orphans_in_an_engine_that_is_down_are_stopped_later(
    database: SqliteDatabase,
) -> None:
    await database.runs.accept(request(), run_id=OTHER)
    engine = Engine(work_name(OTHER, 1))
    work = RemoteWork(["warehouse"], engine, resolve)
    engine.is_down = True
    assert await work.stop_orphans(database.runs) == 0
    engine.is_down = False
    assert await work.stop_orphans(database.runs) == 1


class FakeLeader:
    """Holds the lease when the test sets it, and counts the renewals."""

    def __init__(self) -> None:
        self.is_leader = False
        self.renewals = 0

    async def held(self, task: LeaderTask, /) -> bool:
        """Whether the test made this node the leader."""
        assert task is LeaderTask.ORPHANS
        self.renewals += 1
        return self.is_leader


def reaper_with(work: RemoteWork, database: SqliteDatabase, leader: FakeLeader) -> Reaper:
    """A reaper that can only stop orphans."""
    context: Any = SimpleNamespace(store=database.runs, remote=work)
    unused: Any = None
    return Reaper(context, ReapOptions(), unused, leader)


async def test_a_reaper_stops_orphans_only_while_its_node_is_the_leader(
    database: SqliteDatabase,
) -> None:
    await database.runs.accept(request(), run_id=OTHER)
    engine, leader = Engine(work_name(OTHER, 1)), FakeLeader()
    reaper = reaper_with(RemoteWork(["warehouse"], engine, resolve), database, leader)
    assert await reaper.stop_orphans() == 0
    assert engine.work
    leader.is_leader = True
    assert await reaper.stop_orphans() == 1


async def test_without_remote_engines_no_leader_lease_is_acquired(
    database: SqliteDatabase,
) -> None:
    leader = FakeLeader()
    reaper = reaper_with(RemoteWork([], Engine(), resolve), database, leader)
    assert await reaper.stop_orphans() == 0
    assert leader.renewals == 0


async def test_a_source_that_is_down_is_unavailable_until_it_recovers() -> None:
    engine, recoveries = Engine(), []
    health = SourceHealth(["live", "warehouse"], ["warehouse"], engine, resolve)
    health.on_recovery(lambda: recoveries.append(True))
    assert health.available() == ["live"], "not checked yet"
    engine.is_down = True
    assert not await health.check("warehouse")
    assert await health.check("live")
    assert (health.available(), health.unavailable_reason("warehouse")) == (["live"], "away")
    engine.is_down = False
    assert await health.check("warehouse")
    assert (health.available(), health.unavailable_reason("warehouse")) == (
        ["live", "warehouse"],
        None,
    )
    assert recoveries == [True]


async def test_a_source_whose_secret_is_gone_is_down_and_its_work_is_stopped_later() -> None:
    """The file of a secret may be replaced while the node serves."""

    async def gone(source: str, entity_id: str | None) -> SourceSpec:
        raise ConfigurationError(f"sources.{source}.secret_file: it could not be read")

    health = SourceHealth(["warehouse"], ["warehouse"], Engine(), gone)
    assert not await health.check("warehouse")
    assert health.unavailable_reason("warehouse") == (
        "sources.warehouse.secret_file: it could not be read"
    )
    work = RemoteWork(["warehouse"], Engine(), gone)
    with pytest.raises(Unavailable, match="secret_file"):
        await work.stop(AttemptRef(RUN, 1), "warehouse", "e")


RUN = "7f3f9e5c-1111-4222-8333-944445555666"
OTHER = "7f3f9e5c-1111-4222-8333-944445555667"

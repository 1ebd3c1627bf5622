"""Work in engines elsewhere is ended by its name, and work that nobody holds is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from queryrun.db.sqlite.database import SqliteDatabase, open_sqlite
from queryrun.engines.base import work_name
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Unavailable
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
    """An engine elsewhere, as the stopper shows it."""

    def __init__(self, *names: str) -> None:
        self.work = list(names)
        self.is_away = False

    async def stop(self, source: SourceSpec, name: str) -> None:
        """End the work."""
        self._answer()
        if name in self.work:
            self.work.remove(name)

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """What there is."""
        self._answer()
        return tuple(self.work)

    async def check(self, source: SourceSpec) -> None:
        """Up or away."""
        self._answer()

    def _answer(self) -> None:
        if self.is_away:
            raise Unavailable("away")


async def place(source: str, entity_id: str | None) -> SourceSpec:
    """Every source is at the same place."""
    return SourceSpec("trino", {"entity": entity_id or ""})


@pytest.fixture
async def database(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteDatabase]:
    """An empty database."""
    database = open_sqlite(tmp_path / "store.db", clock)
    yield database
    database.close()


async def test_an_attempts_work_is_ended_by_its_name() -> None:
    ref = AttemptRef("0d0bd9a6-3b0c-4d37-a0a0-36d6a1a1a1a1", 2)
    engine = Engine(work_name(ref.run_id, 1), work_name(ref.run_id, 2))
    await RemoteWork(["warehouse"], engine, place).end(ref, "warehouse", "e1")
    assert engine.work == [work_name(ref.run_id, 1)]


async def test_only_work_that_nobody_holds_is_an_orphan(database: SqliteDatabase) -> None:
    """Kept: an attempt that is held. Ended: another attempt of it, a run that nobody works on."""
    run = await database.runs.accept(request(), run_id=RUN, queue_limit=0)
    source = run.run.request.source
    await database.runs.claim("n1", lease_s=60, limits=ClaimLimits([source], 1, {}))
    await database.runs.accept(request(), run_id=OTHER, queue_limit=0)
    held = work_name(RUN, 1)
    engine = Engine(held, work_name(RUN, 7), work_name(OTHER, 1), "queryrun-", "somebody-elses")
    ended = await RemoteWork(["warehouse"], engine, place).end_orphans(database.runs)
    assert (ended, engine.work) == (2, [held, "queryrun-", "somebody-elses"])


async def test_work_of_a_run_that_is_unknown_here_is_left_alone(database: SqliteDatabase) -> None:
    """It is a run of another service, with a database of its own, on the same engine."""
    engine = Engine(work_name(OTHER, 1))
    assert await RemoteWork(["warehouse"], engine, place).end_orphans(database.runs) == 0
    assert engine.work


async def test_an_engine_that_is_away_is_looked_at_another_time(
    database: SqliteDatabase,
) -> None:
    await database.runs.accept(request(), run_id=OTHER, queue_limit=0)
    engine = Engine(work_name(OTHER, 1))
    work = RemoteWork(["warehouse"], engine, place)
    engine.is_away = True
    assert await work.end_orphans(database.runs) == 0
    engine.is_away = False
    assert await work.end_orphans(database.runs) == 1


class Told:
    """Chores that are this node's when the test says so."""

    def __init__(self) -> None:
        self.is_mine = False
        self.asked = 0

    async def held(self, task: LeaderTask, /) -> bool:
        """What the test says."""
        assert task is LeaderTask.ORPHANS
        self.asked += 1
        return self.is_mine


def reaper_with(work: RemoteWork, database: SqliteDatabase, leader: Told) -> Reaper:
    """A reaper that only looks for orphans."""
    context: Any = SimpleNamespace(store=database.runs, remote=work)
    unused: Any = None
    return Reaper(context, ReapOptions(), unused, unused, leader)


async def test_a_reaper_ends_orphans_when_that_is_its_nodes_to_do(
    database: SqliteDatabase,
) -> None:
    await database.runs.accept(request(), run_id=OTHER, queue_limit=0)
    engine, leader = Engine(work_name(OTHER, 1)), Told()
    reaper = reaper_with(RemoteWork(["warehouse"], engine, place), database, leader)
    assert await reaper.end_orphans() == 0
    assert engine.work
    leader.is_mine = True
    assert await reaper.end_orphans() == 1


async def test_without_engines_elsewhere_nobody_is_asked_who_looks_for_orphans(
    database: SqliteDatabase,
) -> None:
    leader = Told()
    assert await reaper_with(RemoteWork([], Engine(), place), database, leader).end_orphans() == 0
    assert leader.asked == 0


async def test_a_source_that_is_down_is_not_usable_until_it_is_back() -> None:
    engine, back = Engine(), []
    health = SourceHealth(["live", "warehouse"], ["warehouse"], engine, place)
    health.on_back(lambda: back.append(True))
    assert health.usable() == ["live"], "nobody has looked yet"
    engine.is_away = True
    assert not await health.look("warehouse")
    assert await health.look("live")
    assert (health.usable(), health.unavailable_reason("warehouse")) == (["live"], "away")
    engine.is_away = False
    assert await health.look("warehouse")
    assert (health.usable(), health.unavailable_reason("warehouse")) == (
        ["live", "warehouse"],
        None,
    )
    assert back == [True]


RUN = "7f3f9e5c-1111-4222-8333-944445555666"
OTHER = "7f3f9e5c-1111-4222-8333-944445555667"

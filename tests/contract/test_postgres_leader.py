"""One of the nodes on a database does a task; another takes over when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from queryrun.db.postgres.connect import conninfo_of
from queryrun.db.postgres.database import PostgresDatabase, open_postgres
from queryrun.db.postgres.leader import PostgresLeaderLease
from queryrun.runs.leader import LeaderTask
from tests.contract.postgres_database import OnPostgres, Opened
from tests.postgres_server import SMALL

pytestmark = pytest.mark.anyio

HOLDERS = (
    "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
END = f"SELECT pg_terminate_backend(pid, 10000) FROM ({HOLDERS}) h"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.mark.usefixtures("postgres_server")
class TestLeaderLease(OnPostgres):
    """Each node has its own connections."""

    @pytest.fixture
    def nodes(self, opened: Opened) -> Iterator[list[PostgresDatabase]]:
        """Two of them."""
        with ExitStack() as stack:
            databases = [open_postgres(opened[2], SMALL) for _ in range(2)]
            for database in databases:
                stack.callback(database.close)
            yield databases

    async def test_one_node_does_a_task_for_as_long_as_it_renews(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        first, second = (node.leader for node in nodes)
        for _ in range(3):
            assert await first.held(LeaderTask.SWEEP)
            assert not await second.held(LeaderTask.SWEEP)

    async def test_tasks_may_be_divided(self, nodes: list[PostgresDatabase]) -> None:
        first, second = (node.leader for node in nodes)
        assert await first.held(LeaderTask.SWEEP)
        assert await second.held(LeaderTask.ORPHANS)
        assert not await first.held(LeaderTask.ORPHANS)
        assert not await second.held(LeaderTask.SWEEP)

    async def test_a_task_moves_to_another_node_when_the_connection_of_its_node_fails(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        first, second = (node.leader for node in nodes)
        assert await first.held(LeaderTask.SWEEP)
        assert not await second.held(LeaderTask.SWEEP)
        dead = await opened[0].connections.read(lambda db: db.execute(END).fetchall())
        assert dead == [(True,)]
        assert await second.held(LeaderTask.SWEEP)
        assert not await first.held(LeaderTask.SWEEP), (
            "it has to notice that it is not its any more"
        )
        assert not await first.held(LeaderTask.SWEEP)

    async def test_a_task_returns_to_a_node_that_had_lost_its_connection(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        assert await nodes[0].leader.held(LeaderTask.SWEEP)
        await opened[0].connections.read(lambda db: db.execute(END).fetchall())
        assert await nodes[0].leader.held(LeaderTask.SWEEP)
        assert not await nodes[1].leader.held(LeaderTask.SWEEP)

    async def test_a_node_that_closes_releases_its_tasks_to_others(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        first, second = (node.leader for node in nodes)
        assert await first.held(LeaderTask.SWEEP)
        nodes[0].close()
        await until(lambda: second.held(LeaderTask.SWEEP))

    async def test_a_node_that_stops_renewing_loses_its_tasks(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        """A frozen node does not, and its kernel keeps its connections."""
        conninfo = conninfo_of(opened[2])
        with closing(
            PostgresLeaderLease(conninfo, nodes[0].connections, idle_timeout_s=0.2)
        ) as frozen:
            assert await frozen.held(LeaderTask.SWEEP)
            await until(lambda: nodes[1].leader.held(LeaderTask.SWEEP))
            assert not await frozen.held(LeaderTask.SWEEP)

    async def test_only_the_node_that_does_something_has_a_connection_for_it(
        self, nodes: list[PostgresDatabase], opened: Opened
    ) -> None:
        for task in LeaderTask:
            assert await nodes[0].leader.held(task)
        before = await opened[0].connections.read(lambda db: db.execute(SESSIONS).fetchone())
        for task in LeaderTask:
            assert not await nodes[1].leader.held(task)
        after = await opened[0].connections.read(lambda db: db.execute(SESSIONS).fetchone())
        assert before is not None
        assert after == (before[0] + 1,), "the one that it reads with"

    async def test_a_node_that_cannot_reach_the_database_does_the_task_anyway(
        self, nodes: list[PostgresDatabase]
    ) -> None:
        """For example, no connection is left: then no node would do it until one is."""
        with closing(PostgresLeaderLease(conninfo_of(NOWHERE), nodes[0].connections)) as lost:
            assert await lost.held(LeaderTask.SWEEP)
            assert await nodes[1].leader.held(LeaderTask.SWEEP)
            assert not await lost.held(LeaderTask.SWEEP), "it sees that somebody else has it"


async def until(holds: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Poll: the server closes sessions asynchronously."""
    async with asyncio.timeout(20):
        while not await holds():
            pass

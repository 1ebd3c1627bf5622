"""What a caller gets when the server restarts, disconnects, freezes or does not exist."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connection_threads import ConnectionThreads
from queryrun.db.postgres.connections import ConnectionCounts
from queryrun.db.postgres.database import PostgresDatabase, open_postgres
from queryrun.errors import Unavailable
from queryrun.results.formats import ContentType
from queryrun.runs.model import (
    Output,
    RunRequest,
)
from queryrun.runs.store import ClaimLimits
from tests.postgres_server import SMALL, PostgresServer, new_open_database, running

pytestmark = pytest.mark.anyio

REQUEST = RunRequest("t", "e", "c", "live", "SELECT 1", Output(ContentType.CSV))
HASTY = replace(
    SMALL, sizes=ConnectionCounts(durable=1, relaxed=1, reads=1), response_timeout_s=1.0
)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that tests may stop and freeze."""
    with running() as server:
        yield server


@pytest.fixture
def database(own_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with new_open_database(own_server, HASTY) as (database, _, _):
        yield database


async def accepted(database: PostgresDatabase) -> str:
    run_id = str(uuid4())
    await database.runs.accept(REQUEST, run_id=run_id)
    return run_id


async def claimed(database: PostgresDatabase) -> int:
    limits = ClaimLimits(("live",), 10, {})
    return len(await database.runs.claim("n", lease_s=30, limits=limits))


def backends(server: PostgresServer) -> list[int]:
    rows = server.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'queryrun' AND pid <> "
        "pg_backend_pid() AND backend_type = 'client backend'"
    )
    return [pid for (pid,) in rows]


async def test_connections_recover_after_a_server_restart(own_server: PostgresServer) -> None:
    """Idle connections are noticed to be dead before anything is sent over them."""
    name = own_server.take_database()
    database = open_postgres(own_server.url(name), HASTY)
    run_id = await accepted(database)
    assert await claimed(database) == 1
    own_server.stop()
    with pytest.raises(Unavailable):
        await database.runs.get(run_id)
    with pytest.raises(Unavailable):
        await accepted(database)
    assert not await database.runs.healthy()
    own_server.start()
    await until_healthy(database)
    assert await database.runs.get(run_id) is not None
    assert await claimed(database) == 0
    await accepted(database)
    database.close()
    own_server.give_back(name)


async def test_broken_connections_are_replaced_transparently(
    own_server: PostgresServer, database: PostgresDatabase
) -> None:
    run_id = await accepted(database)
    await database.runs.get(run_id)
    await claimed(database)
    own_server.execute(
        f"SELECT pg_terminate_backend(p, 10000) FROM unnest(ARRAY{backends(own_server)}) p"
    )
    await accepted(database)
    assert await claimed(database) == 1
    assert await database.runs.get(run_id) is not None


async def test_a_crash_of_the_server_is_unavailable_not_an_error(
    own_server: PostgresServer, database: PostgresDatabase
) -> None:
    await accepted(database)
    writes = [asyncio.create_task(accepted(database)) for _ in range(20)]
    own_server.stop(signal.SIGQUIT)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(outcome, str | Unavailable) for outcome in outcomes)
    own_server.start()
    await until_healthy(database)
    for outcome in outcomes:
        if isinstance(outcome, str):
            assert await database.runs.get(outcome) is not None


async def test_a_frozen_server_blocks_no_caller(
    own_server: PostgresServer, database: PostgresDatabase
) -> None:
    """Its sockets are open and swallow what is sent: only our own time limit helps."""
    run_id = await accepted(database)
    assert await database.runs.get(run_id) is not None
    own_server.freeze()
    try:
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await database.runs.get(run_id)
            with pytest.raises(Unavailable):
                await accepted(database)
        assert time.monotonic() - began < 30
    finally:
        own_server.thaw()
    await until_healthy(database)
    assert await database.runs.get(run_id) is not None


async def test_closing_does_not_wait_for_a_frozen_server(own_server: PostgresServer) -> None:
    name = own_server.take_database()
    database = open_postgres(own_server.url(name), HASTY)
    await accepted(database)
    own_server.freeze()
    try:
        waiting = asyncio.create_task(accepted(database))
        with pytest.raises(Unavailable):
            await waiting
        await asyncio.to_thread(database.close)
    finally:
        own_server.thaw()
    own_server.give_back(name)


async def test_an_unreachable_server_is_unavailable(own_server: PostgresServer) -> None:
    with pytest.raises(Unavailable) as refused:
        open_postgres("postgresql://someone:s3cret@127.0.0.1:1/none")
    assert "s3cret" not in f"{refused.value} {refused.value.__cause__}"


async def test_a_closed_database_is_unavailable(own_server: PostgresServer) -> None:
    with new_open_database(own_server, HASTY) as (database, _, _):
        await accepted(database)
        database.close()
        database.close()
        with pytest.raises(Unavailable):
            await accepted(database)
        assert not await database.runs.healthy()


async def test_what_is_queued_is_finished_before_closing(database: PostgresDatabase) -> None:
    writes = [asyncio.create_task(accepted(database)) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.to_thread(database.close)
    assert len({await write for write in writes}) == 10


async def test_a_unit_that_fails_leaves_nothing_and_keeps_its_connection(
    own_server: PostgresServer, database: PostgresDatabase
) -> None:
    def unit(connection: Connection) -> None:
        with connection.transaction():
            connection.execute("INSERT INTO tenants VALUES ('t', 'T')")
            raise LookupError

    def count(connection: Connection) -> int:
        [(number,)] = connection.execute("SELECT count(*) FROM tenants").fetchall()
        return int(number)

    await accepted(database)
    before = backends(own_server)
    with pytest.raises(LookupError):
        await database.connections.write(unit, durable=True)
    assert await database.connections.write(count, durable=True) == 0
    assert set(before) <= set(backends(own_server))


async def test_a_deadlock_is_resolved_by_running_its_victim_again(
    own_server: PostgresServer,
) -> None:
    """Both lock the same two rows in opposite order, and both get through."""
    with new_open_database(own_server, replace(SMALL, sizes=ConnectionCounts(2, 1, 1))) as (
        database,
        _,
        _,
    ):
        for name in "ab":
            await database.auth.add_tenant(name, "0")
        meet = [asyncio.Event(), asyncio.Event()]
        loop = asyncio.get_running_loop()

        def swap(me: int) -> None:
            loop.call_soon_threadsafe(meet[me].set)
            asyncio.run_coroutine_threadsafe(meet[1 - me].wait(), loop).result(10)

        def unit(me: int) -> object:
            first, second = "ab" if me == 0 else "ba"

            def work(connection: Connection) -> None:
                with connection.transaction():
                    connection.execute(
                        "UPDATE tenants SET name = name || '1' WHERE id = %s", (first,)
                    )
                    swap(me)
                    connection.execute(
                        "UPDATE tenants SET name = name || '1' WHERE id = %s", (second,)
                    )

            return work

        await asyncio.gather(
            *(database.connections.write(unit(me), durable=True) for me in (0, 1))  # type: ignore[arg-type]  # a unit, whatever it returns
        )
        names = await database.connections.read(
            lambda db: db.execute("SELECT name FROM tenants").fetchall()
        )
        assert names == [("011",), ("011",)]


async def test_a_write_on_a_demoted_server_is_unavailable(database: PostgresDatabase) -> None:
    def unit(connection: Connection) -> None:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("INSERT INTO tenants VALUES ('t', 'T')")

    with pytest.raises(Unavailable):
        await database.connections.write(unit, durable=True)


async def test_an_internal_error_is_not_reported_as_unavailable(database: PostgresDatabase) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        await database.connections.read(lambda db: db.execute("SELECT 1 FROM no_such_table"))


async def test_after_a_failed_connect_callers_fail_immediately() -> None:
    attempts = []

    def refuse() -> Connection:
        attempts.append(1)
        raise psycopg.OperationalError("refused")

    threads = ConnectionThreads(refuse, 1, "test")
    for _ in range(20):
        with pytest.raises(Unavailable):
            await threads.run(lambda _: None)
    assert len(attempts) < 20
    threads.close()


async def until_healthy(database: PostgresDatabase) -> None:
    async with asyncio.timeout(20):
        while not await database.runs.healthy():  # noqa: ASYNC110 - a server in another process
            await asyncio.sleep(0.05)

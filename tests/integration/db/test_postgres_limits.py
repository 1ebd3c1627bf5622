"""Connections are shared and waited for; what goes wrong at start is a sentence."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from queryrun.db.postgres.connect import Connection
from queryrun.db.postgres.connection_threads import ConnectionThreads
from queryrun.db.postgres.connections import ConnectionCounts
from queryrun.db.postgres.database import open_postgres
from queryrun.errors import Unavailable
from tests.ports import free_port
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio


async def test_units_wait_for_a_connection_when_the_server_has_no_more(
    postgres_server: PostgresServer,
) -> None:
    """Ten nodes' threads and two connections: every unit is done, none is refused."""
    postgres_server.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 2")
    url = postgres_server.url().replace("postgres@", "few@")

    def connect() -> Connection:
        return psycopg.connect(url, autocommit=True)

    pools = [ConnectionThreads(connect, 3, f"few-{n}", response_timeout_s=60) for n in range(2)]
    try:
        units = [
            pool.run(lambda db: db.execute("SELECT pg_sleep(0.001)").fetchone())
            for _ in range(20)
            for pool in pools[:1]
        ]
        assert len(await asyncio.gather(*units)) == 20
        waiting = asyncio.ensure_future(pools[1].run(lambda db: db.execute("SELECT 7").fetchone()))
        await asyncio.sleep(0)
        pools[0].close()
        assert await waiting == (7,)
    finally:
        for pool in pools:
            pool.close()
        postgres_server.execute("DROP ROLE few")


@pytest.mark.parametrize("connections", [6, 7, 13, 40])
def test_a_node_stays_within_the_connections_it_may_open(connections: int) -> None:
    counts = ConnectionCounts.within(connections)
    assert min(counts.durable, counts.relaxed, counts.reads) >= 1
    assert counts.durable + counts.relaxed + counts.reads + 3 == connections


def refusal(url: str) -> str:
    """Why a database cannot be opened."""
    with pytest.raises(Unavailable) as refused:
        open_postgres(url)
    return str(refused.value)


def test_a_missing_database_is_named_with_what_to_do(postgres_server: PostgresServer) -> None:
    text = refusal(postgres_server.url("no_such_database"))
    assert "no_such_database" in text
    assert "createdb" in text


def test_a_missing_role_is_named_with_what_to_do(postgres_server: PostgresServer) -> None:
    text = refusal(postgres_server.url().replace("postgres@", "nobody_known@"))
    assert "nobody_known" in text
    assert "create the role" in text


def test_a_server_that_refuses_is_named_with_what_to_do() -> None:
    text = refusal(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
    assert "start PostgreSQL" in text


def test_a_role_without_the_right_to_create_is_told_what_it_needs(
    postgres_server: PostgresServer,
) -> None:
    name = postgres_server.new_database()
    postgres_server.execute("CREATE ROLE reader LOGIN")
    try:
        text = refusal(postgres_server.url(name).replace("postgres@", "reader@"))
        assert "grant the role CREATE" in text
    finally:
        postgres_server.drop_database(name)
        postgres_server.execute("DROP ROLE reader")

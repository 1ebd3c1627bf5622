"""Hints travel between nodes, are collected, and come back after the connection was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from queryrun.db.postgres import node_notifier as module
from queryrun.db.postgres.connect import conninfo_of
from queryrun.db.postgres.node_notifier import CHANNEL, PAYLOAD_BYTES, Hint, PostgresNodeNotifier
from queryrun.runs.state import RunState
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio
TIMEOUT_S = 20


class Ear:
    """A node that listens, and what it received."""

    def __init__(self, conninfo: str, **options: float) -> None:
        self.hints = PostgresNodeNotifier(conninfo, **options)
        self.received: asyncio.Queue[Sequence[Hint] | None] = asyncio.Queue()

    async def next(self) -> Sequence[Hint] | None:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.received.get()

    async def until(self, hint: Hint) -> None:
        """Wait for one hint among whatever else is received."""
        while hint not in (await self.next() or ()):
            pass


@asynccontextmanager
async def listening(server: PostgresServer, **options: float) -> AsyncIterator[Ear]:
    ear = Ear(conninfo_of(server.url()), **options)
    ear.hints.start(ear.received.put_nowait)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not (ear.hints.healthy and await connections(server) >= 2):  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.01)
        yield ear
    finally:
        await ear.hints.close()


async def connections(server: PostgresServer) -> int:
    return len(await asyncio.to_thread(backends, server))


def backends(server: PostgresServer) -> list[tuple[Any, ...]]:
    return server.execute(
        "SELECT pid FROM pg_stat_activity"
        f" WHERE query LIKE 'LISTEN {CHANNEL}%' OR query LIKE 'SELECT pg_notify%'"
    )


async def test_other_nodes_are_notified_and_the_sender_is_not(
    postgres_server: PostgresServer,
) -> None:
    async with listening(postgres_server) as here, listening(postgres_server) as there:
        here.hints.publish("run-1", RunState.CANCELING)
        assert await there.next() == [("run-1", RunState.CANCELING)]
        there.hints.publish("run-2", RunState.ACCEPTED)
        assert await here.next() == [("run-2", RunState.ACCEPTED)]


async def test_hints_of_a_moment_travel_together_and_the_last_of_a_run_counts(
    postgres_server: PostgresServer,
) -> None:
    async with listening(postgres_server) as here, listening(postgres_server) as there:
        for n in range(20):
            here.hints.publish(f"run-{n}", RunState.ACCEPTED)
        here.hints.publish("run-0", RunState.IN_PROGRESS)
        received = await there.next()
        assert received is not None
        assert dict(received) == {
            "run-0": RunState.IN_PROGRESS,
            **{f"run-{n}": RunState.ACCEPTED for n in range(1, 20)},
        }


async def test_a_flood_of_hints_is_split_into_messages_that_fit(
    postgres_server: PostgresServer,
) -> None:
    ids = [f"{n:036d}" for n in range(1000)]
    async with listening(postgres_server) as here, listening(postgres_server) as there:
        for run_id in ids:
            here.hints.publish(run_id, RunState.IN_PROGRESS)
        received: list[Hint] = []
        while len(received) < len(ids):
            some = await there.next()
            assert some is not None
            assert len(msgspec.json.encode(some)) < PAYLOAD_BYTES
            received += some
        assert [run_id for run_id, _ in received] == ids


async def test_what_cannot_be_understood_is_passed_over(postgres_server: PostgresServer) -> None:
    async with listening(postgres_server) as here, listening(postgres_server) as there:
        for payload in ("", "?", '["node", [["run-1", "levitating"]]]', '["node", 7]'):
            await asyncio.to_thread(
                postgres_server.execute, f"SELECT pg_notify('{CHANNEL}', '{payload}')"
            )
        here.hints.publish("run-1", RunState.COMPLETE)
        assert await there.next() == [("run-1", RunState.COMPLETE)]


async def test_a_disconnected_listener_reports_it_and_reconnects(
    postgres_server: PostgresServer,
) -> None:
    async with listening(postgres_server) as here, listening(postgres_server) as there:
        for (pid,) in await asyncio.to_thread(backends, postgres_server):
            await asyncio.to_thread(postgres_server.execute, f"SELECT pg_terminate_backend({pid})")
        assert await there.next() is None
        assert await here.next() is None
        # A hint while the sender has no connection yet is dropped, so it is given again.
        again = asyncio.create_task(there.until(("run-1", RunState.ACCEPTED)))
        while not again.done():
            here.hints.publish("run-1", RunState.ACCEPTED)
            await asyncio.wait({again}, timeout=0.1)
        await again


async def test_a_silent_connection_is_given_up(postgres_server: PostgresServer) -> None:
    """Nothing is wrong with the socket, but the node does not receive its own probes."""
    async with listening(postgres_server, probe_every_s=0.3) as ear:
        [(pid,)] = await asyncio.to_thread(
            postgres_server.execute,
            f"SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN {CHANNEL}%'",
        )
        ear.hints._me = "somebody else"  # its probes now come from a stranger
        ear.hints._payloads = lambda: iter(())  # type: ignore[method-assign]  # and it sends none
        assert await ear.next() is None
        gone = await asyncio.to_thread(
            postgres_server.execute, f"SELECT pid FROM pg_stat_activity WHERE pid = {pid}"
        )
        assert gone == []


async def test_hints_without_a_database_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING_LIMIT", 10)
    hints = PostgresNodeNotifier(conninfo_of("postgresql://127.0.0.1:1/none"))
    hints.start(lambda _: None)
    for n in range(100):
        hints.publish(f"run-{n}", RunState.ACCEPTED)
    await asyncio.sleep(0)
    assert not hints.healthy
    assert len(hints._pending) <= 10
    await hints.close()
    await hints.close()

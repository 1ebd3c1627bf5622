"""What all services share: no process is ever lost, and the cache of results is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from queryrun.errors import Unavailable
from queryrun.processes.errors import ForkServerLost
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.services.base import RecentResults, ServiceProcesses
from queryrun.services.guard.client import ROLE
from queryrun.services.guard.frames import CheckRequest, CheckResponse
from tests.integration.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fork_client() -> AsyncIterator[ForkClient]:
    """Forks scripted guards; leaves no process behind."""
    client = ForkClient(SCRIPTED)
    yield client
    await client.close()
    assert children() == set()


@pytest.fixture
async def guards(fork_client: ForkClient) -> AsyncIterator[ServiceProcesses[CheckResponse]]:
    """Guard processes; closed afterwards."""
    decode = msgspec.msgpack.Decoder(CheckResponse).decode
    guards = ServiceProcesses(fork_client, ROLE, decode, "no guards")
    yield guards
    await guards.close()


async def test_a_process_of_one_conversation_is_reaped_after_it(
    guards: ServiceProcesses[CheckResponse], fork_client: ForkClient
) -> None:
    async with guards.one() as process:
        response = await process.request(encode(CheckRequest("SELECT 1")))
        assert response is not None
        assert response.verdict.accepted
        assert children() == {fork_client.pid, process.child.pid}
    assert children() == {fork_client.pid}


async def test_a_process_that_dies_gives_no_response(
    guards: ServiceProcesses[CheckResponse],
) -> None:
    async with guards.one() as process:
        assert await process.request(encode(CheckRequest("crash"))) is None
        assert await process.request(encode(CheckRequest("SELECT 1"))) is None


async def test_a_cancelled_start_leaves_no_process(
    guards: ServiceProcesses[CheckResponse], fork_client: ForkClient
) -> None:
    starting = asyncio.ensure_future(guards.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await guards.close()
    assert children() == {fork_client.pid}


async def test_close_reaps_what_runs_and_starts_no_more(
    guards: ServiceProcesses[CheckResponse], fork_client: ForkClient
) -> None:
    await guards.start()
    await guards.close()
    assert children() == {fork_client.pid}
    with pytest.raises(Unavailable, match="closing"):
        await guards.start()


async def test_an_unknown_role_is_refused_and_the_fork_server_continues(
    guards: ServiceProcesses[CheckResponse], fork_client: ForkClient
) -> None:
    with pytest.raises(ForkServerLost, match="no role 'nothing'"):
        await fork_client.fork("nothing")
    await guards.end(await guards.start())


def test_the_least_recently_used_result_is_evicted() -> None:
    results: RecentResults[str, int] = RecentResults(2)
    results.put("a", 1)
    results.put("b", 2)
    assert results.get("a") == 1
    results.put("c", 3)
    assert [key in results for key in "abc"] == [True, False, True]


def test_a_result_replaces_the_earlier_one_of_its_key() -> None:
    results: RecentResults[str, int] = RecentResults(2)
    for value in range(3):
        results.put("a", value)
    assert results.get("a") == 2
    assert results.get("b") is None

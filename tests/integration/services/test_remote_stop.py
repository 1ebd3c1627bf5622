"""Remote engines are called by a process; whatever becomes of one call, the next one works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from queryrun.engines.source_spec import Secret, SourceSpec
from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.services.remote_stop import client
from queryrun.services.remote_stop.client import RemoteStopClient
from tests.integration.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio

ROLES = {**SCRIPTED, "remote_stop": "tests.integration.worker.remote_engine:main"}


@pytest.fixture
async def remote_stop() -> AsyncIterator[RemoteStopClient]:
    """A client on a moody engine; leaves no process behind."""
    fork_client = ForkClient(ROLES)
    remote_stop = RemoteStopClient(fork_client)
    yield remote_stop
    await remote_stop.close()
    await fork_client.close()
    assert children() == set()


def source(mood: str = "well") -> SourceSpec:
    """The engine in a mood."""
    return SourceSpec("trino", {"mood": mood, "work": "a,b"}, Secret("open sesame"))


async def test_names_of_work_are_listed_and_the_secret_arrives(
    remote_stop: RemoteStopClient,
) -> None:
    assert await remote_stop.names(source()) == ("a", "b", "open sesame")


async def test_an_unreachable_engine_is_unavailable_with_a_reason(
    remote_stop: RemoteStopClient,
) -> None:
    with pytest.raises(Unavailable, match="it is away"):
        await remote_stop.stop(source("away"), "queryrun-1-1")


async def test_an_internal_error_reports_only_its_type(remote_stop: RemoteStopClient) -> None:
    with pytest.raises(Unavailable, match="ValueError") as raised:
        await remote_stop.check(source("broken"))
    assert "secret" not in str(raised.value)


async def test_a_process_that_dies_fails_its_calls_and_is_replaced(
    remote_stop: RemoteStopClient,
) -> None:
    silent = asyncio.ensure_future(remote_stop.check(source("silent")))
    await remote_stop.check(source())
    with pytest.raises(Unavailable):
        await remote_stop.check(source("dying"))
    with pytest.raises(Unavailable):
        await silent
    await remote_stop.check(source())


async def test_a_silent_engine_delays_no_other_call(remote_stop: RemoteStopClient) -> None:
    silent = asyncio.ensure_future(remote_stop.check(source("silent")))
    await asyncio.gather(*(remote_stop.check(source()) for _ in range(10)))
    assert not silent.done()
    silent.cancel()


async def test_a_call_without_a_response_fails_with_its_process(
    remote_stop: RemoteStopClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RESPONSE_TIMEOUT_S", 0.2)
    with pytest.raises(Unavailable, match="in time"):
        await remote_stop.check(source("silent"))
    monkeypatch.undo()
    await remote_stop.check(source())


async def test_calls_after_close_fail(remote_stop: RemoteStopClient) -> None:
    await remote_stop.check(source())
    await remote_stop.close()
    with pytest.raises(Unavailable):
        await remote_stop.check(source())


def test_a_secret_shows_in_no_repr() -> None:
    assert "sesame" not in repr(SourceSpec("trino", {}, Secret("open sesame")))

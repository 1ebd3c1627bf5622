"""The stopper asks engines elsewhere; whatever becomes of one call, the next one is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from queryrun.engines.source_spec import Secret, SourceSpec
from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.services.remote_stop import client
from queryrun.services.remote_stop.client import RemoteStopClient
from tests.unit.worker.pool_harness import SCRIPTED, children

pytestmark = pytest.mark.anyio

ROLES = {**SCRIPTED, "remote_stop": "tests.unit.worker.remote_engine:main"}


@pytest.fixture
async def stopper() -> AsyncIterator[RemoteStopClient]:
    """A stopper on a moody engine; leaves no process behind."""
    fork_client = ForkClient(ROLES)
    stopper = RemoteStopClient(fork_client)
    yield stopper
    await stopper.close()
    await fork_client.close()
    assert children() == set()


def source(mood: str = "well") -> SourceSpec:
    """The engine in a mood."""
    return SourceSpec("trino", {"mood": mood, "work": "a,b"}, Secret("open sesame"))


async def test_names_of_work_are_told_and_the_secret_arrives(stopper: RemoteStopClient) -> None:
    assert await stopper.names(source()) == ("a", "b", "open sesame")


async def test_an_engine_that_is_away_is_unavailable_and_says_why(
    stopper: RemoteStopClient,
) -> None:
    with pytest.raises(Unavailable, match="it is away"):
        await stopper.stop(source("away"), "queryrun-1-1")


async def test_an_error_of_ours_tells_its_type_and_no_more(stopper: RemoteStopClient) -> None:
    with pytest.raises(Unavailable, match="ValueError") as raised:
        await stopper.check(source("broken"))
    assert "secret" not in str(raised.value)


async def test_a_process_that_dies_fails_its_calls_and_is_replaced(
    stopper: RemoteStopClient,
) -> None:
    silent = asyncio.ensure_future(stopper.check(source("silent")))
    await stopper.check(source())
    with pytest.raises(Unavailable):
        await stopper.check(source("dying"))
    with pytest.raises(Unavailable):
        await silent
    await stopper.check(source())


async def test_a_silent_engine_keeps_nobody_else_waiting(stopper: RemoteStopClient) -> None:
    silent = asyncio.ensure_future(stopper.check(source("silent")))
    await asyncio.gather(*(stopper.check(source()) for _ in range(10)))
    assert not silent.done()
    silent.cancel()


async def test_a_call_without_an_answer_ends_with_its_process(
    stopper: RemoteStopClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RESPONSE_TIMEOUT_S", 0.2)
    with pytest.raises(Unavailable, match="in time"):
        await stopper.check(source("silent"))
    monkeypatch.undo()
    await stopper.check(source())


async def test_after_close_nothing_is_asked(stopper: RemoteStopClient) -> None:
    await stopper.check(source())
    await stopper.close()
    with pytest.raises(Unavailable):
        await stopper.check(source())


def test_a_secret_shows_in_no_repr() -> None:
    assert "sesame" not in repr(SourceSpec("trino", {}, Secret("open sesame")))

"""`Prefer: wait=N` and `respond-async` (RFC 7240)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from queryrun.http.parts import HttpSettings
from queryrun.runs.model import Run
from tests.conftest import Clock
from tests.http.house import NO_RATES, SELECT, House, open_house

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


async def test_a_get_answers_as_soon_as_the_run_ends(house: House) -> None:
    run = await house.create()
    waiting = asyncio.create_task(
        house.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=30"})
    )
    await house.changes.waited_for.wait()
    await house.complete(run["id"])
    answer = await waiting
    assert answer.json()["state"] == "complete"
    assert answer.headers["preference-applied"] == "wait=30"


async def test_a_create_answers_201_with_the_ended_run(house: House) -> None:
    def complete_soon(run: Run) -> None:
        if run.state.value == "accepted":
            tasks.append(asyncio.ensure_future(house.complete(run.id)))

    tasks: list[asyncio.Future[Run]] = []
    house.parts.runs.notifier.add_listener(complete_soon)
    answer = await house.call("POST", RUNS, json=SELECT, headers={"prefer": "wait=30"})
    assert answer.status_code == 201
    assert answer.json()["state"] == "complete"


async def test_a_wait_of_nothing_answers_at_once(house: House) -> None:
    run = await house.create()
    answer = await house.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=0"})
    assert answer.json()["state"] == "accepted"


async def test_a_longer_wait_is_lowered_to_sixty(house: House) -> None:
    run = await house.create()
    await house.complete(run["id"])
    answer = await house.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=900"})
    assert answer.headers["preference-applied"] == "wait=60"


@pytest.mark.parametrize("text", ["wait=soon", "wait", "return=minimal", "wait=-1", "", ",,"])
async def test_what_is_not_understood_is_ignored(house: House, text: str) -> None:
    run = await house.create()
    answer = await house.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": text})
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


async def test_a_wait_comes_on_top_of_the_request_timeout(tmp_path: Path, clock: Clock) -> None:
    """The caller asked for it, so it is no time-out."""
    settings = HttpSettings(request_timeout_s=0.05, api_rates=NO_RATES)
    async with open_house(tmp_path, clock, settings) as house:
        run = await house.create()
        waiting = asyncio.create_task(
            house.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=30"})
        )
        await house.changes.waited_for.wait()
        timed_out, _ = await asyncio.wait({waiting}, timeout=0.1)
        await house.complete(run["id"])
        answer = await waiting
    assert not timed_out
    assert answer.json()["state"] == "complete"


async def test_a_wait_is_cut_short_when_the_node_drains(house: House) -> None:
    """A client that asked for a minute must not hold up the node's end; it asks another node."""
    run = await house.create()
    waiting = asyncio.create_task(
        house.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=60"})
    )
    await house.changes.waited_for.wait()
    house.knobs.accepting = False
    house.changes.notify_all()
    async with asyncio.timeout(30):
        answer = await waiting
    assert answer.json()["state"] == "accepted"


async def test_a_cancel_is_still_proven_while_the_node_drains(house: House) -> None:
    run = await house.create()
    house.free_on_cancel(await house.claim(run["id"]))
    house.knobs.accepting = False
    answer = await house.call("POST", f"{RUNS}/{run['id']}/cancel")
    assert answer.json()["state"] == "canceled"

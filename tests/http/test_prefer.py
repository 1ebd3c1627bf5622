"""`Prefer: wait=N` and `respond-async` (RFC 7240)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from queryrun.runs.model import Run
from tests.conftest import Clock
from tests.http.app_harness import DEFAULT_SETTINGS, NO_RATES, SELECT, AppHarness, open_app_harness

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


async def test_a_get_responds_as_soon_as_the_run_is_terminal(harness: AppHarness) -> None:
    run = await harness.create()
    waiting = asyncio.create_task(
        harness.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=30"})
    )
    await harness.changes.waited_for.wait()
    await harness.complete(run["id"])
    response = await waiting
    assert response.json()["state"] == "complete"
    assert response.headers["preference-applied"] == "wait=30"


async def test_a_create_responds_201_with_the_terminal_run(harness: AppHarness) -> None:
    def complete_soon(run: Run) -> None:
        if run.state.value == "accepted":
            tasks.append(asyncio.ensure_future(harness.complete(run.id)))

    tasks: list[asyncio.Future[Run]] = []
    harness.app.runs.notifier.add_listener(complete_soon)
    response = await harness.call("POST", RUNS, json=SELECT, headers={"prefer": "wait=30"})
    assert response.status_code == 201
    assert response.json()["state"] == "complete"


async def test_a_wait_of_zero_responds_immediately(harness: AppHarness) -> None:
    run = await harness.create()
    response = await harness.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=0"})
    assert response.json()["state"] == "accepted"


async def test_a_longer_wait_is_lowered_to_sixty(harness: AppHarness) -> None:
    run = await harness.create()
    await harness.complete(run["id"])
    response = await harness.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=900"})
    assert response.headers["preference-applied"] == "wait=60"


@pytest.mark.parametrize("text", ["wait=soon", "wait", "return=minimal", "wait=-1", "", ",,"])
async def test_unknown_preferences_are_ignored(harness: AppHarness, text: str) -> None:
    run = await harness.create()
    response = await harness.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": text})
    assert response.status_code == 200
    assert "preference-applied" not in response.headers


async def test_a_wait_does_not_count_toward_the_request_timeout(
    tmp_path: Path, clock: Clock
) -> None:
    """The caller requested the wait, so it is no timeout."""
    settings = replace(DEFAULT_SETTINGS, request_timeout_s=1.0, api_rates=NO_RATES)
    async with open_app_harness(tmp_path, clock, settings) as harness:
        run = await harness.create()
        waiting = asyncio.create_task(
            harness.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=30"})
        )
        await harness.changes.waited_for.wait()
        timed_out, _ = await asyncio.wait({waiting}, timeout=1.2)
        await harness.complete(run["id"])
        response = await waiting
    assert not timed_out
    assert response.json()["state"] == "complete"


async def test_a_wait_is_cut_short_when_the_node_drains(harness: AppHarness) -> None:
    """A client that waits a minute must not delay the node's stop; it can wait on another node."""
    run = await harness.create()
    waiting = asyncio.create_task(
        harness.call("GET", f"{RUNS}/{run['id']}", headers={"prefer": "wait=60"})
    )
    await harness.changes.waited_for.wait()
    harness.knobs.accepting = False
    harness.changes.notify_all()
    async with asyncio.timeout(30):
        response = await waiting
    assert response.json()["state"] == "accepted"


async def test_a_cancel_is_still_confirmed_while_the_node_drains(harness: AppHarness) -> None:
    run = await harness.create()
    harness.free_on_cancel(await harness.claim(run["id"]))
    harness.knobs.accepting = False
    response = await harness.call("POST", f"{RUNS}/{run['id']}/cancel")
    assert response.json()["state"] == "canceled"

"""Idempotency keys (contract C11): one effect and one response, whatever happens in between."""

from __future__ import annotations

import asyncio
import gzip

import httpx2
import pytest

from queryrun.errors import Failure, FailureCode
from queryrun.runs.store import RunQuery
from tests.http.app_harness import ACME, GLOBEX, SELECT, TENANT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

KEY = {"idempotency-key": "1f6b7b0e-6f0e-4d0c-9b52-3f4f6a0f8f11"}
RUNS = "/v2/query_runs"


async def runs_of(harness: AppHarness) -> int:
    """How many runs there are."""
    return len((await harness.app.runs.store.find(RunQuery(TENANT, limit=99))).runs)


async def create(harness: AppHarness, **headers: str) -> httpx2.Response:
    """The same create each time."""
    return await harness.call("POST", RUNS, json=SELECT, headers={**KEY, **headers})


async def test_fifty_parallel_duplicates_make_one_run(harness: AppHarness) -> None:
    responses = await asyncio.gather(*(create(harness) for _ in range(50)))
    assert await runs_of(harness) == 1
    made = [response for response in responses if "idempotency-replayed" not in response.headers]
    assert len([response for response in made if response.status_code == 201]) == 1
    assert {response.status_code for response in responses} <= {201, 409}
    bodies = {response.content for response in responses if response.status_code == 201}
    assert len(bodies) == 1


async def test_fifty_parallel_async_duplicates_make_one_run(harness: AppHarness) -> None:
    responses = await asyncio.gather(*(create(harness, **{"async": "true"}) for _ in range(50)))
    assert await runs_of(harness) == 1
    assert len({response.content for response in responses if response.status_code == 202}) == 1


async def test_a_replay_is_the_first_response_with_fresh_ids(
    harness: AppHarness,
) -> None:
    first = await create(harness, **{"zuora-track-id": "first"})
    await harness.complete(first.json()["id"])
    again = await create(harness, **{"zuora-track-id": "second"})
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["zuora-track-id"] == "second"
    assert again.headers["zuora-request-id"] != first.headers["zuora-request-id"]
    assert "idempotency-replayed" not in first.headers


async def test_a_replay_of_a_create_has_the_run_as_it_was_accepted(harness: AppHarness) -> None:
    fields = {"fields[]": "id,state,queue_position,attempts"}
    first = await harness.call("POST", RUNS, json=SELECT, headers=KEY, params=fields)
    assert first.json()["queue_position"] == 0
    await harness.complete(first.json()["id"])
    again = await harness.call("POST", RUNS, json=SELECT, headers=KEY, params=fields)
    assert again.json() == {"id": first.json()["id"], "state": "accepted", "attempts": []}


async def test_a_body_counts_by_content_not_by_spelling(harness: AppHarness) -> None:
    first = await create(harness)
    body = b'{ "content_type": "csv",\n "sql": "SELECT 1 AS one" }'
    headers = {**KEY, "content-type": "application/json", "content-encoding": "gzip"}
    again = await harness.call("POST", RUNS, content=gzip.compress(body), headers=headers)
    assert again.json()["id"] == first.json()["id"]


async def test_another_body_is_422(harness: AppHarness) -> None:
    await create(harness)
    other = await harness.call("POST", RUNS, json={**SELECT, "content_type": "tsv"}, headers=KEY)
    assert_problem(other, 422, "idempotency-key", code="idempotency_key_mismatch")


async def test_another_path_is_422(harness: AppHarness) -> None:
    first = await create(harness)
    other = await harness.call("POST", f"{RUNS}/{first.json()['id']}/cancel", headers=KEY)
    assert_problem(other, 422)
    run = await harness.call("GET", f"{RUNS}/{first.json()['id']}")
    assert run.json()["state"] == "accepted"


async def test_another_entity_of_the_same_client_has_its_own_keys(harness: AppHarness) -> None:
    token = await harness.new_token(ACME, GLOBEX)
    responses = [
        await harness.call(
            "POST",
            RUNS,
            json=SELECT,
            token=token,
            headers={**KEY, "zuora-entity-ids": entity.id},
        )
        for entity in (ACME, GLOBEX)
    ]
    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].json()["id"] != responses[1].json()["id"]


async def test_another_client_of_the_tenant_does_not_get_the_response(harness: AppHarness) -> None:
    """Keys are per entity, but another client's run does not exist for this one (contract H11)."""
    await create(harness)
    token = await harness.new_token(ACME)
    other = await harness.call("POST", RUNS, json=SELECT, headers=KEY, token=token)
    assert_problem(other, 422)


async def test_a_refusal_is_stored(harness: AppHarness) -> None:
    body = {"content_type": "xml"}
    first = await harness.call("POST", RUNS, json=body, headers=KEY)
    again = await harness.call("POST", RUNS, json=body, headers=KEY)
    assert_problem(again, 400, "sql")
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_full_queue_is_not_stored(harness: AppHarness) -> None:
    """A retry is meant to get past it."""
    harness.knobs.accepting = False
    assert_problem(await create(harness), 503)
    harness.knobs.accepting = True
    assert (await create(harness)).status_code == 201


async def test_a_missing_scope_is_not_stored(harness: AppHarness) -> None:
    bad = await harness.call("POST", RUNS, json=SELECT, headers=KEY, token="bad")
    assert_problem(bad, 401)
    assert (await create(harness)).status_code == 201


async def test_a_repeated_cancel_replays_its_200(harness: AppHarness) -> None:
    run = await harness.create()
    path = f"{RUNS}/{run['id']}/cancel"
    first = await harness.call("POST", path, headers=KEY)
    again = await harness.call("POST", path, headers=KEY, content=b"{}")
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    without = await harness.call("POST", path)
    assert_problem(without, 400, "query_run_id", code="run_already_canceled")


async def test_a_cancel_that_came_too_late_stays_too_late(harness: AppHarness) -> None:
    run = await harness.create()
    await harness.fail(run["id"], Failure(FailureCode.SYNTAX_ERROR, "no"))
    path = f"{RUNS}/{run['id']}/cancel"
    first = await harness.call("POST", path, headers=KEY)
    again = await harness.call("POST", path, headers=KEY)
    assert_problem(again, 400, "query_run_id", code="run_already_failed")
    assert again.content == first.content


async def test_parallel_duplicate_cancels_agree(harness: AppHarness) -> None:
    run = await harness.create()
    harness.free_on_cancel(await harness.claim(run["id"]))
    path = f"{RUNS}/{run['id']}/cancel"
    responses = await asyncio.gather(*(harness.call("POST", path, headers=KEY) for _ in range(20)))
    assert {response.status_code for response in responses} <= {200, 409}
    assert {response.json()["state"] for response in responses if response.status_code == 200} == {
        "canceled"
    }


async def test_a_key_is_removed_after_24_hours(harness: AppHarness) -> None:
    first = await create(harness)
    harness.clock.move(24 * 3600 + 1)
    harness.token = await harness.new_token(ACME)
    second = await create(harness)
    assert second.json()["id"] != first.json()["id"]

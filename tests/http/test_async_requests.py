"""`async: true` and `GET /v2/requests/{request_id}` (contract C8)."""

from __future__ import annotations

import pytest

from queryrun.auth.model import Scope
from tests.http.app_harness import ACME, SELECT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

LATER = {"async": "true"}
RUNS = "/v2/query_runs"


async def outcome(
    harness: AppHarness, request_id: str, token: str | None = None
) -> dict[str, object]:
    """The request as it is now."""
    response = await harness.call("GET", f"/v2/requests/{request_id}", token=token)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_a_run_exists_before_the_202_leaves(harness: AppHarness) -> None:
    response = await harness.call("POST", RUNS, json=SELECT, headers=LATER)
    assert response.status_code == 202
    run = await harness.call("GET", response.headers["location"])
    assert run.json()["state"] == "accepted"
    request = await outcome(harness, response.json()["request_id"])
    assert request["state"] == "succeeded"
    assert request["status"] == 201
    assert request["data"] == {"id": run.json()["id"]}
    assert request["body"] == run.json()


async def test_a_refused_statement_is_an_outcome(harness: AppHarness) -> None:
    body = {**SELECT, "sql": "DROP TABLE account"}
    response = await harness.call("POST", RUNS, json=body, headers=LATER)
    request = await outcome(harness, response.json()["request_id"])
    assert request["state"] == "failed"
    assert request["status"] == 400
    assert request["body"]["errors"][0]["parameter"] == "sql"  # type: ignore[index]
    assert_problem(await harness.call("GET", response.headers["location"]), 404)


async def test_a_cancel_is_settled_once_the_engine_is_free(harness: AppHarness) -> None:
    run = await harness.create()
    ref = await harness.claim(run["id"])
    response = await harness.call("POST", f"{RUNS}/{run['id']}/cancel", headers=LATER)
    request_id = response.json()["request_id"]
    assert (await outcome(harness, request_id))["state"] == "in_progress"
    await harness.free(ref)
    settled = await outcome(harness, request_id)
    assert settled["state"] == "succeeded"
    assert settled["body"]["state"] == "canceled"  # type: ignore[index]
    assert await outcome(harness, request_id) == settled


async def test_a_cancel_of_a_waiting_run_succeeds_immediately(harness: AppHarness) -> None:
    run = await harness.create()
    response = await harness.call("POST", f"{RUNS}/{run['id']}/cancel", headers=LATER)
    assert (await outcome(harness, response.json()["request_id"]))["state"] == "succeeded"


async def test_a_cancel_that_came_too_late_is_an_outcome(harness: AppHarness) -> None:
    run = await harness.create()
    await harness.complete(run["id"])
    response = await harness.call("POST", f"{RUNS}/{run['id']}/cancel", headers=LATER)
    request = await outcome(harness, response.json()["request_id"])
    assert request["status"] == 400
    assert request["body"]["errors"][0]["code"] == "run_already_complete"  # type: ignore[index]


async def test_an_unknown_run_is_an_outcome(harness: AppHarness) -> None:
    response = await harness.call("POST", f"{RUNS}/nonsense/cancel", headers=LATER)
    assert (await outcome(harness, response.json()["request_id"]))["status"] == 404


async def test_a_request_is_found_by_its_client_and_by_admins_alone(harness: AppHarness) -> None:
    response = await harness.call("POST", RUNS, json=SELECT, headers=LATER)
    request_id = response.json()["request_id"]
    other = await harness.new_token(ACME)
    admin = await harness.new_token(ACME, scopes=frozenset({Scope.ADMIN}))
    missing = await harness.call("GET", f"/v2/requests/{request_id}", token=other)
    assert_problem(missing, 404, "request_id", code="resource_not_found")
    assert (await outcome(harness, request_id, admin))["state"] == "succeeded"


async def test_an_unknown_request_is_404(harness: AppHarness) -> None:
    response = await harness.call("GET", "/v2/requests/nonsense")
    assert_problem(response, 404, "request_id", code="resource_not_found")


async def test_while_draining_nothing_is_recorded(harness: AppHarness) -> None:
    harness.knobs.accepting = False
    assert_problem(await harness.call("POST", RUNS, json=SELECT, headers=LATER), 503)


async def test_a_replay_names_the_first_request(harness: AppHarness) -> None:
    headers = {**LATER, "idempotency-key": "k"}
    first = await harness.call("POST", RUNS, json=SELECT, headers=headers)
    again = await harness.call("POST", RUNS, json=SELECT, headers=headers)
    assert again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_replayed_refusal_is_a_202_too(harness: AppHarness) -> None:
    headers = {**LATER, "idempotency-key": "k"}
    body = {**SELECT, "sql": "DROP TABLE account"}
    first = await harness.call("POST", RUNS, json=body, headers=headers)
    again = await harness.call("POST", RUNS, json=body, headers=headers)
    assert again.status_code == 202
    assert again.json() == first.json()

"""Entities, orgs and clients: who sees and does what (contract C9, C10, H11)."""

from __future__ import annotations

import asyncio

import pytest

from queryrun.auth.model import Scope
from queryrun.runs.store import RunQuery
from tests.http.app_harness import ACME, FOREIGN, GLOBEX, SELECT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


def acting_in(entity_id: str) -> dict[str, str]:
    """The header that chooses an entity."""
    return {"zuora-entity-ids": entity_id}


async def test_a_run_of_one_entity_does_not_exist_in_another(harness: AppHarness) -> None:
    """Even for the client that made it."""
    token = await harness.new_token(ACME, GLOBEX)
    created = await harness.call(
        "POST", RUNS, json=SELECT, token=token, headers=acting_in(GLOBEX.id)
    )
    path = f"{RUNS}/{created.json()['id']}"
    there = await harness.call("GET", path, token=token, headers=acting_in(GLOBEX.id))
    here = await harness.call("GET", path, token=token, headers=acting_in(ACME.id))
    assert there.status_code == 200
    assert_problem(here, 404, "query_run_id", code="resource_not_found")
    cancel = await harness.call("POST", path + "/cancel", token=token, headers=acting_in(ACME.id))
    assert_problem(cancel, 404)


async def test_the_response_for_a_foreign_run_is_that_for_an_unknown_one(
    harness: AppHarness,
) -> None:
    run = await harness.create()
    other = await harness.new_token(ACME)
    foreign = await harness.call("GET", f"{RUNS}/{run['id']}", token=other)
    unknown_id = "0" + run["id"][1:] if run["id"][0] != "0" else "1" + run["id"][1:]
    unknown = await harness.call("GET", f"{RUNS}/{unknown_id}", token=other)
    assert foreign.json() == {
        **unknown.json(),
        "errors": [
            {
                **unknown.json()["errors"][0],
                "message": unknown.json()["errors"][0]["message"].replace(unknown_id, run["id"]),
            }
        ],
    }


async def test_an_admin_sees_and_cancels_every_run_of_its_entity_and_no_other(
    harness: AppHarness,
) -> None:
    admin = await harness.new_token(ACME, scopes=frozenset({Scope.ADMIN}))
    run = await harness.create()
    path = f"{RUNS}/{run['id']}"
    for entity in (GLOBEX, FOREIGN):
        outsider = await harness.new_token(entity, scopes=frozenset({Scope.ADMIN}))
        assert_problem(await harness.call("GET", path, token=outsider), 404)
        assert_problem(await harness.call("POST", f"{path}/cancel", token=outsider), 404)
        assert (await harness.call("GET", RUNS, token=outsider)).json()["data"] == []
    canceled = await harness.call(
        "POST", f"{path}/cancel", token=admin, params={"fields[]": "state,cancellation"}
    )
    assert canceled.json()["state"] == "canceled"
    assert canceled.json()["cancellation"]["reason"] == "admin"
    assert canceled.json()["cancellation"]["canceled_by"] != harness.client_id


async def test_an_admin_of_the_tenant_sees_every_entity_of_it_and_no_other_tenant(
    harness: AppHarness,
) -> None:
    admin = await harness.new_token(GLOBEX, scopes=frozenset({Scope.TENANT_ADMIN}))
    outsider = await harness.new_token(FOREIGN, scopes=frozenset({Scope.TENANT_ADMIN}))
    run = await harness.create()
    path = f"{RUNS}/{run['id']}"
    assert_problem(await harness.call("GET", path, token=outsider), 404)
    listed = (await harness.call("GET", RUNS, token=admin)).json()["data"]
    assert [one["id"] for one in listed] == [run["id"]]
    assert (await harness.call("POST", f"{path}/cancel", token=admin)).status_code == 200


@pytest.mark.parametrize("named", ["", "?fields[]=state,file,error,progress,attempts"])
async def test_a_client_without_read_is_told_the_state_of_its_run_and_nothing_of_its_result(
    harness: AppHarness, named: str
) -> None:
    token = await harness.new_token(ACME, scopes=frozenset({Scope.SUBMIT, Scope.CANCEL}))
    wait = {"prefer": "wait=5"}
    pending = asyncio.ensure_future(
        harness.call("POST", RUNS + named, json=SELECT, token=token, headers=wait)
    )
    await harness.changes.waited_for.wait()
    [waiting] = (await harness.app.runs.store.find(RunQuery("tenant-1"))).runs
    await harness.complete(waiting.id)
    shown = (await pending).json()
    assert shown["state"] == "complete"
    assert not {"file", "number_of_rows", "error", "progress", "attempts"} & set(shown)


async def test_a_token_that_is_revoked_while_its_request_waits_gets_no_response(
    harness: AppHarness,
) -> None:
    pending = asyncio.ensure_future(
        harness.call("POST", RUNS, json=SELECT, headers={"prefer": "wait=5"})
    )
    await harness.changes.waited_for.wait()
    [waiting] = (await harness.app.runs.store.find(RunQuery("tenant-1"))).runs
    await harness.database.auth.revoke_client(harness.client_id, harness.clock())
    await harness.complete(waiting.id)
    assert_problem(await pending, 401)


async def test_orgs_of_the_header_or_all_of_the_client_restrict_the_run(
    harness: AppHarness,
) -> None:
    token = await harness.new_token(ACME, org_ids=("emea", "apac"))
    for header, expected in (
        ({"zuora-org-ids": "apac"}, ("apac",)),
        ({"zuora-org-ids": " apac , emea,apac"}, ("apac", "emea")),
        ({}, ("emea", "apac")),
    ):
        created = await harness.call("POST", RUNS, json=SELECT, token=token, headers=header)
        run = await harness.app.runs.store.get(created.json()["id"])
        assert run is not None
        assert run.request.org_ids == expected


async def test_two_entity_headers_must_agree(harness: AppHarness) -> None:
    both = {"zuora-entity-ids": ACME.id, "zuora-entity-id": GLOBEX.id}
    assert_problem(await harness.call("GET", f"{RUNS}/x", headers=both), 400, "zuora-entity-id")

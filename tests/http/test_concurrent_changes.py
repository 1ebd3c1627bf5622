"""Changes of one thing at the same time: none is lost. And ids in capital letters."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from queryrun.auth.model import Scope
from queryrun.webhooks.message import secrets_of
from tests.http.app_harness import ACME, AppHarness

pytestmark = pytest.mark.anyio

HOOK = {"url": "https://receiver.example/hooks"}
END = "2030-01-01T00:00:00.000Z"


async def all_at_once(
    harness: AppHarness, method: str, path: str, *bodies: dict[str, Any], token: str | None = None
) -> list[dict[str, Any]]:
    """The same request with each body, all at the same time."""
    options: dict[str, Any] = {} if token is None else {"token": token}
    responses = await asyncio.gather(
        *(harness.call(method, path, json=body, **options) for body in bodies)
    )
    assert [one.status_code for one in responses] == [200] * len(bodies)
    return [one.json() for one in responses]


async def test_changes_of_a_client_are_all_made(harness: AppHarness) -> None:
    """A client that is restricted while somebody else sets its end stays restricted."""
    admin = await harness.new_token(scopes=frozenset({Scope.ADMIN_WRITE}))
    path = f"/admin/v1/clients/{harness.client_id}"
    await all_at_once(
        harness, "POST", f"{path}/change", {"scopes": ["read", "submit"]}, token=admin
    )
    bodies = ({"scopes": ["read"]}, {"org_ids": ["emea"]}, {"expires_time": END})
    await all_at_once(harness, "POST", f"{path}/change", *bodies, token=admin)
    found = (await harness.call("GET", path, token=admin)).json()
    assert (found["scopes"], found["org_ids"], found["expires_time"]) == (["read"], ["emea"], END)


async def test_changes_of_a_webhook_are_all_made(harness: AppHarness) -> None:
    made = (await harness.call("POST", "/v2/webhooks", json=HOOK)).json()
    path = f"/v2/webhooks/{made['id']}"
    await all_at_once(
        harness, "PUT", path, {"paused": True}, {"description": "new"}, {"events": ["run.failed"]}
    )
    found = (await harness.call("GET", path)).json()
    assert (found["paused"], found["description"]) == (True, "new")
    assert found["events"] == ["run.failed"]


async def test_every_secret_of_rotations_at_once_signs(harness: AppHarness) -> None:
    made = (await harness.call("POST", "/v2/webhooks", json=HOOK)).json()
    path = f"/v2/webhooks/{made['id']}/rotate"
    rotated = await all_at_once(harness, "POST", path, {}, {}, {})
    webhook = await harness.database.webhooks.webhook(made["id"])
    assert webhook is not None
    signing = set(secrets_of(webhook, harness.app.webhooks.sealer, harness.clock()))
    assert signing == {one["secret"] for one in (made, *rotated)}


async def test_an_id_is_found_in_capital_letters_too(harness: AppHarness) -> None:
    """As `uuidgen` of some systems prints it."""
    admin = await harness.new_token(scopes=frozenset({Scope.ADMIN_WRITE}))
    client_id, run = harness.client_id.upper(), await harness.create()
    hook = {**HOOK, "id": str(uuid4()).upper()}
    assert (await harness.call("POST", "/v2/webhooks", json=hook)).is_success
    assert (await harness.call("GET", f"/v2/webhooks/{hook['id']}")).is_success
    limit = {"level": "client", "subject": client_id, "name": "rows", "value": 9}
    assert (await harness.call("POST", "/admin/v1/limits", token=admin, json=limit)).is_success
    for path in (f"clients/{client_id}", f"runs?client_id={client_id}&entity_id={ACME.id.upper()}"):
        response = await harness.call("GET", f"/admin/v1/{path}", token=admin)
        assert harness.client_id in response.text, path
    for path in (f"/v2/query_runs/{run['id'].upper()}", f"/query/jobs/{run['id'].upper()}"):
        assert run["id"] in (await harness.call("GET", path)).text, path
    stop = f"/admin/v1/runs/{run['id'].upper()}/stop"
    assert (await harness.call("POST", stop, token=admin)).json()["state"] == "canceled"

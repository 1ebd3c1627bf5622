"""`/admin/v1`: what it does, and that nobody without its scopes or of another tenant does it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from queryrun.audit.model import AuditEntry, AuditEvent
from queryrun.auth.model import ADMINISTRATION, Scope
from queryrun.auth.tokens import issue_token
from queryrun.errors import Unauthenticated
from queryrun.http.admin.routes import ADMIN_TABLE
from queryrun.http.operations import Operation
from tests.http.app_harness import ACME, FOREIGN, GLOBEX, NODES, SELECT, TENANT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

READ = frozenset({Scope.ADMIN_READ})
WRITE = frozenset({Scope.ADMIN_WRITE})
ALL = frozenset({Scope.ADMIN_WRITE, Scope.ADMIN_ALL})
OTHERS = frozenset(Scope) - ADMINISTRATION

BODIES: dict[str, dict[str, object]] = {
    "createTenant": {"name": "new"},
    "createEntity": {"name": "new"},
    "createClient": {"name": "new", "entities": [ACME.id]},
    "rotateClient": {},
    "changeClient": {"scopes": ["read"]},
    "setLimit": {"level": "entity", "subject": ACME.id, "name": "cpu_s", "value": 9},
    "revokeLogin": {"subject": "ann"},
    "allowLogin": {"subject": "ann"},
}
OF_LOGINS = {"revokeLogin", "allowLogin"}
"""There are none in an installation without another issuer (`test_external_logins`)."""


async def call(
    harness: AppHarness, token: str, method: str, path: str, **options: Any
) -> httpx2.Response:
    """A request to `/admin/v1`."""
    return await harness.call(method, f"/admin/v1/{path}", token=token, **options)


async def send(
    harness: AppHarness, operation: Operation, token: str, ids: dict[str, str]
) -> httpx2.Response:
    """A valid request of this operation."""
    path, body = operation.path.format(**ids), BODIES.get(operation.name)
    if body is None:
        return await harness.call(operation.method, path, token=token)
    return await harness.call(operation.method, path, token=token, json=body)


async def works(harness: AppHarness, client_id: str, secret: str) -> bool:
    """Whether the client gets a token."""
    try:
        await issue_token(harness.database.auth, client_id, secret, harness.clock)
    except Unauthenticated:
        return False
    return True


@pytest.fixture
def ids(harness: AppHarness) -> dict[str, str]:
    """What the paths are about: the harness's own client."""
    return {"client_id": harness.client_id, "query_run_id": str(uuid4())}


@pytest.mark.parametrize("operation", ADMIN_TABLE, ids=lambda one: one.name)
async def test_no_other_scope_administers(
    harness: AppHarness, operation: Operation, ids: dict[str, str]
) -> None:
    ids["query_run_id"] = (await harness.create())["id"]
    token = await harness.new_token(scopes=OTHERS)
    assert (await send(harness, operation, token, ids)).status_code == 403
    assert (await send(harness, operation, "", ids)).status_code == 401
    only_all = await harness.new_token(scopes=frozenset({Scope.ADMIN_ALL}))
    assert (await send(harness, operation, only_all, ids)).status_code == 403


@pytest.mark.parametrize("operation", ADMIN_TABLE, ids=lambda one: one.name)
async def test_a_reader_changes_nothing_and_a_writer_may_do_all(
    harness: AppHarness, operation: Operation, ids: dict[str, str]
) -> None:
    ids["query_run_id"] = (await harness.create())["id"]
    reader, writer = await harness.new_token(scopes=READ), await harness.new_token(scopes=ALL)
    is_read = operation.method == "GET"
    assert (await send(harness, operation, reader, ids)).status_code == (200 if is_read else 403)
    allowed = (404,) if operation.name in OF_LOGINS else (200, 201)
    assert (await send(harness, operation, writer, ids)).status_code in allowed


async def test_another_tenant_does_not_exist_without_the_scope_for_all(
    harness: AppHarness,
) -> None:
    theirs, _ = await harness.new_client(FOREIGN)
    foreign_token = await harness.new_token(FOREIGN)
    run = await harness.call("POST", "/v2/query_runs", json=SELECT, token=foreign_token)
    run_id = run.json()["id"]
    own, every = await harness.new_token(scopes=WRITE), await harness.new_token(scopes=ALL)
    for method, path in (
        ("GET", f"clients/{theirs}"),
        ("POST", f"clients/{theirs}/rotate"),
        ("POST", f"clients/{theirs}/revoke"),
        ("POST", f"runs/{run_id}/stop"),
    ):
        assert (await call(harness, own, method, path)).status_code == 404
    for path in ("entities", "clients", "runs"):
        named = {"tenant_id": FOREIGN.tenant_id}
        refused = await call(harness, own, "GET", path, params=named)
        assert refused.status_code == 403
        unknown = await call(harness, own, "GET", path, params={"tenant_id": "nobody"})
        assert unknown.json()["errors"][0]["message"] == refused.json()["errors"][0]["message"]
        found = (await call(harness, every, "GET", path, params=named)).json()["data"]
        assert found
        own_ids = [one["id"] for one in (await call(harness, own, "GET", path)).json()["data"]]
        assert not {one["id"] for one in found} & set(own_ids)
    tenants = (await call(harness, own, "GET", "tenants")).json()["data"]
    assert [one["id"] for one in tenants] == [TENANT]
    assert len((await call(harness, every, "GET", "tenants")).json()["data"]) == 2
    body = {"name": "x", "entities": [FOREIGN.id]}
    assert_problem(await call(harness, own, "POST", "clients", json=body), 400, "entities")
    stopped = await call(harness, every, "POST", f"runs/{run_id}/stop")
    assert stopped.json()["state"] == "canceled"


async def test_the_scope_for_all_cannot_be_gained(harness: AppHarness) -> None:
    powerful, _ = await harness.new_client(scopes=ALL)
    token = await harness.new_token(scopes=WRITE)
    body = {"name": "x", "entities": [ACME.name], "scopes": ["admin:all"]}
    assert (await call(harness, token, "POST", "clients", json=body)).status_code == 403
    assert (await call(harness, token, "POST", f"clients/{powerful}/rotate")).status_code == 403
    assert (await call(harness, token, "POST", f"clients/{powerful}/revoke")).status_code == 403
    assert (await call(harness, token, "POST", "tenants", json={"name": "x"})).status_code == 403


async def test_a_client_is_made_used_rotated_and_revoked(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=WRITE)
    body = {"name": "reports", "entities": [ACME.name, GLOBEX.id], "org_ids": ["emea"]}
    created = await call(harness, token, "POST", "clients", json=body)
    assert created.status_code == 201
    assert created.headers["cache-control"] == "no-store"
    client = created.json()
    first = client.pop("secret")
    assert client["scopes"] == ["cancel", "read", "submit"]
    assert (await call(harness, token, "GET", f"clients/{client['id']}")).json() == client
    assert await works(harness, client["id"], first)
    path = f"clients/{client['id']}"
    rotated = await call(harness, token, "POST", f"{path}/rotate", json={"grace_s": 60})
    second = rotated.json()["secret"]
    assert second != first
    assert await works(harness, client["id"], first)
    harness.clock.move(61)
    assert not await works(harness, client["id"], first)
    assert await works(harness, client["id"], second)
    revoked = await call(harness, token, "POST", f"{path}/revoke")
    assert revoked.json()["revoked_time"] is not None
    assert (await call(harness, token, "POST", f"{path}/revoke")).json() == revoked.json()
    assert not await works(harness, client["id"], second)
    assert (await call(harness, token, "POST", f"{path}/rotate")).status_code == 404


async def test_repeats_of_creations_change_nothing(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=ALL)
    client = {"name": "x", "entities": [ACME.name], "id": str(uuid4())}
    for path, body in (
        ("tenants", {"name": "initech"}),
        ("entities", {"name": "sales"}),
        ("clients", client),
    ):
        first = await call(harness, token, "POST", path, json=body)
        again = await call(harness, token, "POST", path, json=body)
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == {k: v for k, v in first.json().items() if k != "secret"}


async def test_a_repeat_that_means_another_client_is_refused(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=WRITE)
    body = {"name": "x", "entities": [ACME.name], "id": str(uuid4())}
    await call(harness, token, "POST", "clients", json=body)
    for other in ({"name": "y"}, {"entities": [GLOBEX.id]}):
        refused = await call(harness, token, "POST", "clients", json={**body, **other})
        assert_problem(refused, 400, "id")


async def test_a_creation_that_comes_many_times_at_once_makes_one_client(
    harness: AppHarness,
) -> None:
    token = await harness.new_token(scopes=WRITE)
    client_id = str(uuid4())
    body = {"name": "x", "entities": [ACME.name], "id": client_id}
    came = await asyncio.gather(
        *(call(harness, token, "POST", "clients", json=body) for _ in range(8))
    )
    assert sorted(one.status_code for one in came) == [200] * 7 + [201]
    [secret] = [one.json()["secret"] for one in came if one.status_code == 201]
    assert await works(harness, client_id, secret)


async def test_a_rotation_that_is_sent_twice_ends_no_secret_that_is_in_use(
    harness: AppHarness,
) -> None:
    token = await harness.new_token(scopes=WRITE)
    client_id, in_use = await harness.new_client()
    for _ in range(2):
        await call(harness, token, "POST", f"clients/{client_id}/rotate", json={"grace_s": 60})
    assert await works(harness, client_id, in_use)
    await call(harness, token, "POST", f"clients/{client_id}/rotate", json={"grace_s": 0})
    assert not await works(harness, client_id, in_use)


async def test_a_client_can_be_created_with_an_end(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=WRITE)
    until = harness.clock() + timedelta(minutes=5)
    body = {"name": "x", "entities": [ACME.name], "expires_time": until.isoformat()}
    made = (await call(harness, token, "POST", "clients", json=body)).json()
    assert made["expires_time"] is not None
    assert await works(harness, made["id"], made["secret"])
    harness.clock.move(301)
    assert not await works(harness, made["id"], made["secret"])


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59.999999-23:59",
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "2027-01-01T00:00:00",
        "2027-02-30T00:00:00Z",
        "never",
    ],
)
async def test_an_end_that_no_calendar_has_is_refused_and_changes_nothing(
    harness: AppHarness, text: str
) -> None:
    token = await harness.new_token(scopes=WRITE)
    path, body = f"clients/{harness.client_id}/change", {"expires_time": text}
    assert (await call(harness, token, "POST", path, json=body)).status_code == 400
    made = {"name": "x", "entities": [ACME.name], **body}
    assert (await call(harness, token, "POST", "clients", json=made)).status_code == 400
    listed = (await call(harness, token, "GET", "clients")).json()["data"]
    assert {one["expires_time"] for one in listed} == {None}


async def test_an_end_in_another_zone_is_shown_in_utc(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=WRITE)
    body = {"expires_time": "2030-01-01T01:00:00.5+14:00"}
    path = f"clients/{harness.client_id}/change"
    changed = (await call(harness, token, "POST", path, json=body)).json()
    assert changed["expires_time"] == "2029-12-31T11:00:00.500Z"


async def test_a_tenant_that_does_not_exist_is_a_404_and_no_empty_list(
    harness: AppHarness,
) -> None:
    token = await harness.new_token(scopes=ALL)
    for path in ("entities", "clients", "audit", "limits", "runs"):
        response = await call(harness, token, "GET", path, params={"tenant_id": "nobody"})
        assert_problem(response, 404, "tenant_id", code="resource_not_found")


async def test_pages_go_on_when_what_ended_them_is_gone(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=ALL)
    names = ("cpu_s", "read_bytes", "rows", "time_s")
    for name in names:
        body = {"level": "entity", "subject": ACME.id, "name": name, "value": 9}
        await call(harness, token, "POST", "limits", json=body)
    for _ in range(4):
        await harness.create()
    for path, key in (("limits", "name"), ("runs", "id")):
        whole = (await call(harness, token, "GET", path)).json()["data"]
        first = (await call(harness, token, "GET", path, params={"page_size": 2})).json()
        gone = first["data"][-1]
        if path == "limits":
            body = {"level": "entity", "subject": ACME.id, "name": gone["name"]}
            await call(harness, token, "POST", "limits", json=body)
        else:
            await call(harness, token, "POST", f"runs/{gone['id']}/stop")
        params = {"page_size": 2, "cursor": first["next_page"]}
        second = (await call(harness, token, "GET", path, params=params)).json()["data"]
        assert [one[key] for one in second] == [one[key] for one in whole[2:4]], path


async def test_an_entity_cannot_share_a_directory_with_another_tenants(
    harness: AppHarness,
) -> None:
    token = await harness.new_token(scopes=ALL)
    body = {"name": FOREIGN.name.upper()}
    assert_problem(await call(harness, token, "POST", "entities", json=body), 400, "name")
    for name in ("../x", "", ".", "a/b", "a" * 64):
        refused = await call(harness, token, "POST", "entities", json={"name": name})
        assert_problem(refused, 400, "name")


async def test_of_tenants_that_want_one_directory_at_once_one_gets_it(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=ALL)
    bodies = [{"name": "race", "tenant_id": one} for one in (TENANT, "tenant-2") * 4]
    responses = await asyncio.gather(
        *(call(harness, token, "POST", "entities", json=body) for body in bodies)
    )
    owners = {one.json()["tenant_id"] for one in responses if one.is_success}
    assert len(owners) == 1
    for body, response in zip(bodies, responses, strict=True):
        assert response.is_success is (body["tenant_id"] in owners)
    found = [one for one in await harness.database.auth.entities() if one.name == "race"]
    assert len(found) == 1


async def test_an_admin_stops_a_run_and_it_says_so(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=WRITE)
    run_id = (await harness.create())["id"]
    [listed] = (await call(harness, token, "GET", "runs")).json()["data"]
    assert (listed["id"], listed["state"]) == (run_id, "accepted")
    assert "sql" not in listed
    stopped = (await call(harness, token, "POST", f"runs/{run_id}/stop")).json()
    assert stopped["state"] == "canceled"
    assert (await call(harness, token, "POST", f"runs/{run_id}/stop")).json() == stopped
    read = await harness.call("GET", f"/v2/query_runs/{run_id}?fields[]=cancellation")
    assert read.json()["cancellation"]["reason"] == "admin"
    assert (await call(harness, token, "GET", "runs")).json()["data"] == []


async def test_pages_have_every_client_once(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=READ)
    for _ in range(5):
        await harness.new_client()
    whole = (await call(harness, token, "GET", "clients")).json()["data"]
    found, params = [], {"page_size": "2"}
    while True:
        page = (await call(harness, token, "GET", "clients", params=params)).json()
        found += page["data"]
        if page["next_page"] is None:
            break
        params["cursor"] = page["next_page"]
    assert found == whole
    wrong = await call(harness, token, "GET", "entities", params=params)
    assert_problem(wrong, 400, "cursor")


async def test_the_audit_log_is_read_newest_first_by_tenant_and_event(
    harness: AppHarness,
) -> None:
    admin_id, secret = await harness.new_client(scopes=WRITE)
    token = (await issue_token(harness.database.auth, admin_id, secret, harness.clock)).token
    made = []
    for number in range(5):
        body = {"name": f"x{number}", "entities": [ACME.name]}
        made.append((await call(harness, token, "POST", "clients", json=body)).json()["id"])
    await harness.create()
    await harness.database.audit.append(AuditEntry(AuditEvent.CLIENT_CREATED, FOREIGN.tenant_id))
    await harness.database.audit.append(AuditEntry(AuditEvent.NODE_STARTED))
    await harness.database.audit.seal()
    found, params = [], {"page_size": "2", "event": "client_created"}
    for _ in range(10):
        page = (await call(harness, token, "GET", "audit", params=params)).json()
        assert len(page["data"]) <= 2
        found += page["data"]
        if page["next_page"] is None:
            break
        params["cursor"] = page["next_page"]
    assert [one["subject"] for one in found] == made[::-1]
    assert {one["client_id"] for one in found} == {admin_id}
    assert {one["tenant_id"] for one in found} == {TENANT}
    one = (await call(harness, token, "GET", "audit", params={"subject": made[2]})).json()["data"]
    assert [entry["subject"] for entry in one] == [made[2]]
    own = (await call(harness, token, "GET", "audit")).json()["data"]
    assert own[0]["event"] == "run_submitted"
    everything = await harness.new_token(scopes=ALL)
    newest = (await call(harness, everything, "GET", "audit")).json()["data"][0]
    assert newest["event"] == "node_started"
    wrong = await call(harness, token, "GET", "audit", params={"event": "everything"})
    assert_problem(wrong, 400, "event")
    foreign = {"tenant_id": FOREIGN.tenant_id}
    assert (await call(harness, token, "GET", "audit", params=foreign)).status_code == 403


async def test_nodes_are_listed_this_one_first(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=READ)
    nodes = (await call(harness, token, "GET", "nodes")).json()["data"]
    assert [(one["name"], one["is_self"]) for one in nodes] == [
        (one.node, one is NODES[0]) for one in NODES
    ]


async def test_sources_are_listed_with_their_limits(harness: AppHarness) -> None:
    token = await harness.new_token(scopes=READ)
    sources = (await call(harness, token, "GET", "sources")).json()["data"]
    assert [one["name"] for one in sources] == ["live", "warehouse"]
    assert all(one["available"] for one in sources)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "entities": []},
        {"name": "x", "entities": ["nowhere"]},
        {"name": "x", "entities": [ACME.name], "scopes": ["root"]},
        {"name": "x", "entities": [ACME.name], "scopes": []},
        {"name": "x", "entities": [ACME.name], "org_ids": ["a,b"]},
        {"name": "x", "entities": [ACME.name], "id": "me"},
        {"name": "", "entities": [ACME.name]},
        {"name": "x", "entities": [ACME.name], "secret": "mine"},
        [],
    ],
)
async def test_a_wrong_body_is_refused_and_makes_no_client(
    harness: AppHarness, body: object
) -> None:
    token = await harness.new_token(scopes=WRITE)
    before = len(await harness.database.auth.clients())
    refused = await call(harness, token, "POST", "clients", json=body)
    assert refused.status_code == 400
    assert len(await harness.database.auth.clients()) == before


async def test_changes_are_in_the_audit_log_without_secrets(harness: AppHarness) -> None:
    admin_id, secret = await harness.new_client(scopes=WRITE)
    issued = await issue_token(harness.database.auth, admin_id, secret, harness.clock)
    body = {"name": "x", "entities": [ACME.name]}
    created = (await call(harness, issued.token, "POST", "clients", json=body)).json()
    path = f"clients/{created['id']}"
    rotated = (await call(harness, issued.token, "POST", f"{path}/rotate")).json()
    await call(harness, issued.token, "POST", f"{path}/revoke")
    await harness.database.audit.seal()
    entries = await harness.database.audit.entries(after=0, limit=100)
    assert [one.fields["event"] for one in entries] == [
        *("client_created", "client_secret_rotated", "client_revoked")
    ]
    assert {one.fields["client_id"] for one in entries} == {admin_id}
    text = "".join(one.content for one in entries)
    assert created["secret"] not in text
    assert rotated["secret"] not in text


async def test_scopes_orgs_and_expiry_of_a_client_change_at_once(harness: AppHarness) -> None:
    admin = await harness.new_token(scopes=frozenset({Scope.ADMIN_WRITE}))
    path = f"/admin/v1/clients/{harness.client_id}/change"

    async def change(**body: object) -> dict[str, Any]:
        response = await harness.call("POST", path, token=admin, json=body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    assert (await change(scopes=["read"]))["scopes"] == ["read"]
    refused = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert refused.status_code == 403
    assert (await change(org_ids=["emea"]))["org_ids"] == ["emea"]
    assert (await change())["scopes"] == ["read"]
    until = harness.clock().replace(microsecond=0) + timedelta(minutes=5)
    assert (await change(expires_time=until.isoformat()))["expires_time"] is not None
    assert (await harness.call("GET", "/v2/query_runs")).status_code == 200
    harness.clock.move(301)
    assert (await harness.call("GET", "/v2/query_runs")).status_code == 401
    assert (await change(expires_time=None))["expires_time"] is None
    assert (await harness.call("GET", "/v2/query_runs")).status_code == 200
    response = await harness.call(
        "POST", path, token=admin, json={"expires_time": "2030-01-01T00:00:00"}
    )
    assert_problem(response, 400, "expires_time")
    response = await harness.call("POST", path, token=admin, json={"scopes": ["admin:all"]})
    assert_problem(response, 403)
    response = await harness.call("POST", path, token=admin, json={"scopes": ["admin"]})
    assert_problem(response, 400, "scopes")

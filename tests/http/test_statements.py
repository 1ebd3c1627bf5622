"""`/v2/statements`: who sees, changes and deletes what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from queryrun.auth.model import Scope
from tests.http.app_harness import ACME, GLOBEX, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

PATH = "/v2/statements"
BODY: dict[str, Any] = {"name": "Open invoices", "folder": "finance / month end", "sql": "SELECT 1"}


async def save(harness: AppHarness, **changes: Any) -> dict[str, Any]:
    """A saved statement."""
    response = await harness.call("POST", PATH, json={**BODY, **changes})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    assert response.headers["location"] == f"{PATH}/{found['id']}"
    return found


async def test_a_statement_is_saved_read_changed_and_deleted(harness: AppHarness) -> None:
    found = await save(harness)
    assert found["folder"] == "finance/month end"
    assert found["created_by_id"] == harness.client_id
    one = f"{PATH}/{found['id']}"
    assert (await harness.call("GET", one)).json() == found
    changed = (await harness.call("PUT", one, json={**BODY, "name": "New"})).json()
    assert (changed["name"], changed["created_time"]) == ("New", found["created_time"])
    assert [item["name"] for item in (await harness.call("GET", PATH)).json()["data"]] == ["New"]
    assert (await harness.call("DELETE", one)).status_code == 204
    assert (await harness.call("GET", one)).status_code == 404


async def test_ones_own_do_not_exist_for_others(harness: AppHarness) -> None:
    found = await save(harness)
    other = await harness.new_token(ACME)
    for method in ("GET", "PUT", "DELETE"):
        body = BODY if method == "PUT" else None
        response = await harness.call(method, f"{PATH}/{found['id']}", token=other, json=body)
        assert response.status_code == 404
    assert (await harness.call("GET", PATH, token=other)).json()["data"] == []


async def test_what_is_shared_is_read_by_the_entity_and_changed_by_its_author(
    harness: AppHarness,
) -> None:
    found = await save(harness, shared=True)
    one = f"{PATH}/{found['id']}"
    other = await harness.new_token(ACME)
    assert (await harness.call("GET", one, token=other)).json() == found
    assert (await harness.call("PUT", one, token=other, json=BODY)).status_code == 403
    assert (await harness.call("DELETE", one, token=other)).status_code == 403
    admin = await harness.new_token(ACME, scopes=frozenset({Scope.ADMIN}))
    assert (await harness.call("DELETE", one, token=admin)).status_code == 204


async def test_what_is_shared_stays_in_its_entity(harness: AppHarness) -> None:
    found = await save(harness, shared=True)
    other = await harness.new_token(GLOBEX)
    response = await harness.call("GET", f"{PATH}/{found['id']}", token=other)
    assert response.status_code == 404


async def test_saving_needs_the_scope_submit(harness: AppHarness) -> None:
    reader = await harness.new_token(ACME, scopes=frozenset({Scope.READ}))
    assert (await harness.call("POST", PATH, token=reader, json=BODY)).status_code == 403
    assert (await harness.call("GET", PATH, token=reader)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"folder": "x" * 201}, "folder"),
        ({"sql": ""}, "sql"),
        ({"sql": "x" * 100_001}, "sql"),
        ({"sql": "SELECT '\0'"}, "sql"),
        ({"source": "nowhere"}, "source"),
        ({"shared": "yes"}, "body"),
        ({"more": 1}, "body"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    harness: AppHarness, changes: dict[str, Any], parameter: str
) -> None:
    response = await harness.call("POST", PATH, json={**BODY, **changes})
    assert_problem(response, 400, parameter)
    assert (await harness.call("GET", PATH)).json()["data"] == []


async def test_a_client_may_keep_so_many_and_no_more(
    harness: AppHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queryrun.runs.statements.MAX_PER_CLIENT", 2)
    await save(harness)
    await save(harness)
    response = await harness.call("POST", PATH, json=BODY)
    assert_problem(response, 400, "name")
    assert "delete one" in response.text

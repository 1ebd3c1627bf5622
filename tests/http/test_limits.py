"""Limits: set over HTTP, shown with what is left, and refused with which, how much and when."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from queryrun.auth.model import Scope
from queryrun.auth.tokens import issue_token
from queryrun.runs.usage import AttemptUsage
from tests.http.app_harness import ACME, FOREIGN, GLOBEX, SELECT, TENANT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

LIMITS, ADMIN_LIMITS = "/v2/limits", "/admin/v1/limits"
USED = AttemptUsage(2500, 4096, read_bytes=600, read_rows=5, spilled_bytes=0)
OPERATOR = frozenset({Scope.ADMIN_WRITE, Scope.ADMIN_ALL})
TENANT_WRITE = frozenset({Scope.ADMIN_WRITE})


async def set_limit(
    harness: AppHarness, level: str, subject: str, name: str, value: float | None, **more: Any
) -> httpx2.Response:
    """As an operator, or with another token."""
    token = more.get("token") or await harness.new_token(scopes=OPERATOR)
    body = {"level": level, "subject": subject, "name": name, "value": value}
    return await harness.call("POST", ADMIN_LIMITS, token=token, json=body)


async def limit_of(harness: AppHarness, name: str, level: str) -> dict[str, Any]:
    """One of the caller's limits."""
    data = (await harness.call("GET", LIMITS)).json()["data"]
    (found,) = [one for one in data if (one["name"], one["level"]) == (name, level)]
    return dict(found)


async def completed(harness: AppHarness) -> None:
    """A run that has used something."""
    run = await harness.create()
    await harness.complete(run["id"], usage=USED)


async def new_day(harness: AppHarness, days: float = 1) -> None:
    """Time passes, and the client gets a new token."""
    harness.clock.move(days * 86400)
    issued = await issue_token(
        harness.database.auth, harness.client_id, harness.secret, harness.clock
    )
    harness.token = issued.token


@pytest.mark.parametrize(
    ("level", "name", "used", "days"),
    [
        ("tenant", "read_bytes_per_day", 1200, 1),
        ("entity", "read_bytes_per_month", 1200, 31),
        ("client", "cpu_s_per_day", 5, 1),
        ("source", "written_bytes_per_day", 12, 1),
    ],
)
async def test_what_is_used_up_is_refused_until_it_begins_anew(
    harness: AppHarness, level: str, name: str, used: int, days: int
) -> None:
    subject = {
        "tenant": TENANT,
        "entity": ACME.id,
        "client": harness.client_id,
        "source": "live",
    }[level]
    assert (await set_limit(harness, level, subject, name, used)).status_code == 200
    for _ in range(2):
        await completed(harness)
    limit = await limit_of(harness, name, level)
    assert (limit["limit"], limit["used"], limit["left"]) == (used, used, 0)
    assert limit["resets_time"].endswith("T00:00:00.000Z")
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    (entry,) = response.json()["errors"]
    assert entry["code"] == "limit_reached"
    assert f"'{name}'" in entry["message"]
    assert str(used) in entry["message"]
    after_s = int(response.headers["retry-after"])
    assert 0 < after_s <= days * 86400
    dry = await harness.call("POST", "/v2/query_runs?dry_run=true", json=SELECT)
    assert dry.json()["refused_by"]["name"] == name
    await new_day(harness, days)
    assert (await limit_of(harness, name, level))["used"] == 0
    await harness.create()


async def test_another_entity_and_another_tenant_are_not_refused(harness: AppHarness) -> None:
    await set_limit(harness, "entity", ACME.id, "read_bytes_per_day", 1)
    await completed(harness)
    assert (await harness.call("POST", "/v2/query_runs", json=SELECT)).status_code == 429
    for entity in (GLOBEX, FOREIGN):
        token = await harness.new_token(entity)
        response = await harness.call("POST", "/v2/query_runs", json=SELECT, token=token)
        assert response.status_code == 201


async def test_submits_in_a_minute_are_counted_and_refused_ones_are_not(
    harness: AppHarness,
) -> None:
    await set_limit(harness, "client", harness.client_id, "submits_per_minute", 2)
    for _ in range(2):
        await harness.create()
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    assert 1 <= int(response.headers["retry-after"]) <= 61
    assert (await limit_of(harness, "submits_per_minute", "client"))["used"] == 2


async def test_a_lower_queue_is_the_queue(harness: AppHarness) -> None:
    await set_limit(harness, "entity", ACME.id, "queued", 1)
    await harness.create()
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    assert response.json()["errors"][0]["code"] == "queue_full"
    queued = [
        one for one in (await harness.call("GET", LIMITS)).json()["data"] if one["name"] == "queued"
    ]
    assert 1 in [one["limit"] for one in queued]


async def test_the_entities_of_a_tenant_share_its_queue(harness: AppHarness) -> None:
    await set_limit(harness, "tenant", TENANT, "queued", 2)
    await harness.create()
    token = await harness.new_token(GLOBEX)
    other = await harness.call("POST", "/v2/query_runs", json=SELECT, token=token)
    assert other.status_code == 201
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    (entry,) = response.json()["errors"]
    assert (entry["code"], "your tenant has 2" in entry["message"]) == ("queue_full", True)
    assert (await limit_of(harness, "queued", "tenant"))["limit"] == 2


async def test_a_tenants_stored_bytes_are_those_of_all_its_entities(harness: AppHarness) -> None:
    await set_limit(harness, "tenant", TENANT, "stored_bytes", 1000)
    for _ in range(2):
        await completed(harness)
    limit = await limit_of(harness, "stored_bytes", "tenant")
    assert (limit["limit"], limit["used"], limit["left"]) == (1000, 12, 988)


async def test_runs_of_a_day_are_those_that_ended(harness: AppHarness) -> None:
    await set_limit(harness, "entity", ACME.id, "runs_per_day", 2)
    for _ in range(2):
        await completed(harness)
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    assert "'runs_per_day'" in response.json()["errors"][0]["message"]
    await new_day(harness)
    await harness.create()


@pytest.mark.parametrize(("value", "status"), [(0, 400), (1, 200), (None, 200)])
async def test_what_runs_on_a_source_is_at_least_one(
    harness: AppHarness, value: int | None, status: int
) -> None:
    assert (await set_limit(harness, "source", "live", "running", value)).status_code == status


@pytest.mark.parametrize("level", ["tenant", "entity", "client", "source"])
@pytest.mark.parametrize("name", ["running", "queued"])
async def test_how_many_run_and_wait_is_shown_as_the_smaller_of_both_limits(
    harness: AppHarness, level: str, name: str
) -> None:
    subjects = {"tenant": TENANT, "entity": ACME.id, "client": harness.client_id, "source": "live"}
    assert (await set_limit(harness, level, subjects[level], name, 2)).status_code == 200
    await harness.create()
    listed_level = "tenant" if level == "source" else level
    listed = await limit_of(harness, name, listed_level)
    assert (listed["limit"], listed["period"]) == (2, "now")
    used = None if listed_level == "tenant" else {"running": 0, "queued": 1}[name]
    assert listed["used"] == used


async def test_a_limit_that_is_removed_is_gone(harness: AppHarness) -> None:
    await set_limit(harness, "entity", ACME.id, "read_bytes_per_day", 1)
    await completed(harness)
    await set_limit(harness, "entity", ACME.id, "read_bytes_per_day", None)
    await harness.create()


async def test_nobody_raises_their_own_tenant_and_sees_another(harness: AppHarness) -> None:
    own = await harness.new_token(scopes=TENANT_WRITE)
    for level, subject in (("tenant", TENANT), ("source", "live")):
        response = await set_limit(harness, level, subject, "cpu_s", 9, token=own)
        assert_problem(response, 403)
    response = await set_limit(harness, "entity", FOREIGN.id, "cpu_s", 9, token=own)
    assert_problem(response, 404)
    response = await set_limit(harness, "entity", ACME.id, "cpu_s", 9, token=own)
    assert response.status_code == 200
    assert (await set_limit(harness, "entity", FOREIGN.id, "cpu_s", 8)).status_code == 200
    listed = (await harness.call("GET", ADMIN_LIMITS, token=own)).json()["data"]
    assert [(one["subject"], one["value"]) for one in listed] == [(ACME.id, 9)]
    reader = await harness.new_token(scopes=frozenset({Scope.ADMIN_READ}))
    response = await set_limit(harness, "entity", ACME.id, "cpu_s", 1, token=reader)
    assert_problem(response, 403)


@pytest.mark.parametrize(
    ("level", "name", "value"),
    [
        ("tenant", "nothing", 1),
        ("tenant", "running", 0),
        ("source", "stored_bytes", 1),
        ("planet", "cpu_s", 1),
        ("tenant", "cpu_s", -1),
        ("tenant", "cpu_s", 2**53),
        ("tenant", "cpu_s", 1.5),
        ("tenant", "cpu_s", 1e300),
        ("tenant", "cpu_s", "1"),
    ],
)
async def test_what_is_no_limit_is_a_400(
    harness: AppHarness, level: str, name: str, value: Any
) -> None:
    assert_problem(await set_limit(harness, level, TENANT, name, value), 400)


async def test_a_whole_number_may_be_written_with_a_point(harness: AppHarness) -> None:
    response = await set_limit(harness, "tenant", TENANT, "cpu_s", float(5))
    assert response.json()["value"] == 5
    assert "5.0" not in response.text


async def test_a_change_is_in_the_audit_log(harness: AppHarness) -> None:
    await set_limit(harness, "entity", ACME.id, "cpu_s", 9)
    entries = await harness.database.audit.entries(after=0, limit=100)
    (entry,) = [one.fields for one in entries if one.fields["event"] == "limit_changed"]
    assert entry["subject"] == ACME.id
    assert (entry["detail"]["name"], entry["detail"]["value"]) == ("cpu_s", 9)


async def test_a_source_that_does_not_exist_is_a_400(harness: AppHarness) -> None:
    assert_problem(await harness.call("GET", f"{LIMITS}?source=none"), 400, "source")


async def test_limits_of_the_source_are_shown_with_what_runs(harness: AppHarness) -> None:
    await harness.create()
    data = (await harness.call("GET", LIMITS)).json()["data"]
    assert {one["name"] for one in data} >= {"rows", "time_s"}
    for one in data:
        assert set(one) == {
            *("name", "level", "unit", "period", "limit", "used", "left", "resets_time")
        }

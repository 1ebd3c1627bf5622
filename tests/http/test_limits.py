"""Limits: set over HTTP, shown with what is left, and refused with which, how much and when."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from queryrun.auth.model import Scope
from queryrun.auth.tokens import issue_token
from queryrun.runs.limits import LIMITS, Level, LimitKind, Period
from queryrun.runs.usage import AttemptUsage
from tests.http.app_harness import ACME, FOREIGN, GLOBEX, SELECT, TENANT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

OWN_LIMITS, ADMIN_LIMITS = "/v2/limits", "/admin/v1/limits"
USED = AttemptUsage(2500, 4096, read_bytes=600, read_rows=5, spilled_bytes=40)
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
    data = (await harness.call("GET", OWN_LIMITS)).json()["data"]
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


def subject_of(harness: AppHarness, level: Level) -> str:
    """Whose limits of this level the caller is under."""
    return {
        Level.TENANT: TENANT,
        Level.ENTITY: ACME.id,
        Level.CLIENT: harness.client_id,
        Level.SOURCE: "live",
    }[level]


def levels_of(*periods: Period) -> list[Any]:
    """Each limit of these periods, at each of its levels."""
    return [
        pytest.param(kind, level, id=f"{kind.name} of a {level}")
        for kind in LIMITS.values()
        if kind.period in periods
        for level in kind.levels
    ]


OF_TWO_RUNS = {
    "read_bytes": 1200, "cpu_s": 5, "time_s": 8, "rows": 2, "written_bytes": 12,
    "spill_bytes": 80, "downloaded_bytes": 12, "runs": 2,
}  # fmt: skip
"""What two runs of `used_run` have used, by the beginning of a limit's name."""


async def used_run(harness: AppHarness) -> None:
    """A run that has used something of every kind, and whose file was downloaded."""
    run = await harness.create()
    done = await harness.complete(run["id"], usage=USED, duration_s=4.01)
    assert done.file is not None
    url = (await harness.call("GET", f"/v2/query_runs/{run['id']}")).json()["file"]["url"]
    assert (await harness.http.get(url)).status_code == 200


@pytest.mark.parametrize(("kind", "level"), levels_of(Period.DAY, Period.MONTH))
async def test_what_is_used_up_is_refused_until_it_begins_anew(
    harness: AppHarness, kind: LimitKind, level: Level
) -> None:
    name, days = kind.name, 1 if kind.period is Period.DAY else 31
    used = OF_TWO_RUNS[name.partition("_per_")[0]]
    response = await set_limit(harness, level, subject_of(harness, level), name, used)
    assert response.status_code == 200
    for _ in range(2):
        await used_run(harness)
    limit = await limit_of(harness, name, level)
    assert (limit["limit"], limit["used"], limit["left"]) == (used, used, 0)
    assert limit["resets_time"].endswith("T00:00:00.000Z")
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    (entry,) = response.json()["errors"]
    assert entry["code"] == "limit_reached"
    whose = "this source" if level is Level.SOURCE else f"your {level}"
    assert f"limit '{name}' of {whose}: {used} {kind.unit}; {used} are used" in entry["message"]
    assert "again from" in entry["message"]
    after_s = int(response.headers["retry-after"])
    assert 0 < after_s <= days * 86400
    dry = await harness.call("POST", "/v2/query_runs?dry_run=true", json=SELECT)
    assert dry.json()["refused_by"]["name"] == name
    await new_day(harness, days)
    assert (await limit_of(harness, name, level))["used"] == 0
    await harness.create()


@pytest.mark.parametrize(("kind", "level"), levels_of(Period.MINUTE))
async def test_what_a_minute_allows_is_shown_and_refused_with_when_again(
    harness: AppHarness, kind: LimitKind, level: Level
) -> None:
    await set_limit(harness, level, subject_of(harness, level), kind.name, 2)
    for left in (2, 1):
        assert (await limit_of(harness, kind.name, level))["left"] == left
        await harness.create()
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    assert f"limit '{kind.name}' of" in response.json()["errors"][0]["message"]
    assert 1 <= int(response.headers["retry-after"]) <= 61
    assert (await limit_of(harness, kind.name, level))["used"] == 2, "a refused one does not count"


@pytest.mark.parametrize("level", list(Level))
async def test_a_full_queue_says_whose_it_is_and_when_to_come_again(
    harness: AppHarness, level: Level
) -> None:
    await set_limit(harness, level, subject_of(harness, level), "queued", 2)
    for _ in range(2):
        await harness.create()
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    (entry,) = response.json()["errors"]
    assert entry["code"] == "queue_full"
    whose = Level.TENANT if level is Level.SOURCE else level
    assert f"your {whose} has 2" in entry["message"]
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(("kind", "level"), [
    one for one in levels_of(Period.NOW) if one.values[0].name == "stored_bytes"
])  # fmt: skip
async def test_what_is_kept_is_shown_with_what_is_left_and_refused_when_nothing_is(
    harness: AppHarness, kind: LimitKind, level: Level
) -> None:
    await set_limit(harness, level, subject_of(harness, level), kind.name, 18)
    for left in (12, 6, 0):
        await completed(harness)
        limit = await limit_of(harness, kind.name, level)
        assert (limit["limit"], limit["left"]) == (18, left)
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    assert_problem(response, 429)
    (entry,) = response.json()["errors"]
    assert entry["code"] == "limit_reached"
    message = f"limit 'stored_bytes' of your {level}: 18 bytes; 18 are used"
    assert message in entry["message"]


async def test_another_entity_and_another_tenant_are_not_refused(harness: AppHarness) -> None:
    await set_limit(harness, "entity", ACME.id, "read_bytes_per_day", 1)
    await completed(harness)
    assert (await harness.call("POST", "/v2/query_runs", json=SELECT)).status_code == 429
    for entity in (GLOBEX, FOREIGN):
        token = await harness.new_token(entity)
        response = await harness.call("POST", "/v2/query_runs", json=SELECT, token=token)
        assert response.status_code == 201


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
    assert_problem(await harness.call("GET", f"{OWN_LIMITS}?source=none"), 400, "source")


async def test_limits_of_the_source_are_shown_with_what_runs(harness: AppHarness) -> None:
    await harness.create()
    data = (await harness.call("GET", OWN_LIMITS)).json()["data"]
    assert {one["name"] for one in data} >= {"rows", "time_s"}
    for one in data:
        assert set(one) == {
            *("name", "level", "unit", "period", "limit", "used", "left", "resets_time")
        }

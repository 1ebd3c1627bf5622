"""`GET /v2/query_runs`: pages, conditions, and what a client may see (contract C3, C4, C6, H13)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from queryrun.auth.model import Scope
from tests.conftest import Clock
from tests.http.app_harness import (
    ACME,
    DEFAULT_SETTINGS,
    NO_RATES,
    SELECT,
    AppHarness,
    open_app_harness,
)
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


async def page(
    harness: AppHarness, *params: tuple[str, str], token: str | None = None
) -> dict[str, Any]:
    """One page of the list."""
    response = await harness.call("GET", RUNS, params=list(params), token=token)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def ids(harness: AppHarness, *params: tuple[str, str], token: str | None = None) -> list[str]:
    """The ids on one page."""
    return [run["id"] for run in (await page(harness, *params, token=token))["data"]]


async def made(harness: AppHarness, count: int) -> list[str]:
    """Ids of new runs, newest first, a second apart."""
    created = []
    for _ in range(count):
        created.append((await harness.create())["id"])
        harness.clock.move(1)
    return created[::-1]


async def test_runs_are_listed_newest_first_thirty_per_page(harness: AppHarness) -> None:
    newest_first = await made(harness, 31)
    first = await page(harness)
    assert [run["id"] for run in first["data"]] == newest_first[:30]
    second = await page(harness, ("cursor", first["next_page"]))
    assert [run["id"] for run in second["data"]] == newest_first[30:]
    assert second["next_page"] is None


async def test_pages_are_stable_while_runs_are_created(harness: AppHarness) -> None:
    newest_first = await made(harness, 5)
    seen: list[str] = []
    cursor: tuple[tuple[str, str], ...] = ()
    for _ in range(3):
        found = await page(harness, ("page_size", "2"), *cursor)
        seen += [run["id"] for run in found["data"]]
        cursor = (("cursor", str(found["next_page"])),)
        await harness.create()
    assert seen == newest_first


async def test_oldest_first_on_request(harness: AppHarness) -> None:
    newest_first = await made(harness, 3)
    for text in ("created_time.asc", "created_time.ASC"):
        assert await ids(harness, ("sort[]", text)) == newest_first[::-1]
    assert await ids(harness, ("sort[]", "created_time.desc")) == newest_first


@pytest.mark.parametrize("text", ["state.asc", "created_time", "created_time.up", ""])
async def test_other_sorts_are_refused(harness: AppHarness, text: str) -> None:
    assert_problem(await harness.call("GET", RUNS, params=[("sort[]", text)]), 400, "sort[]")


async def test_states_filter_in_either_spelling(harness: AppHarness) -> None:
    waiting, canceled, running = await made(harness, 3)
    await harness.call("POST", f"{RUNS}/{canceled}/cancel")
    ref = await harness.claim(running)
    assert ref
    conditions = [("filter[]", f"state.EQ:{word}") for word in ("canceled", "cancelled")]
    for one in conditions:
        assert await ids(harness, one) == [canceled]
    assert await ids(harness, ("filter[]", "state.EQ:in_progress")) == [waiting, running]
    assert await ids(harness, ("filter[]", "state.NE:canceled")) == [waiting, running]
    both = ("filter[]", "state.IN:[canceled,in_progress]")
    assert await ids(harness, both) == [waiting, canceled, running]
    assert await ids(harness, ("filter[]", "state.SW:can")) == [canceled]
    assert await ids(harness, ("filter[]", "state.EQ:pending")) == []
    assert await ids(harness, ("filter[]", "state.EQ:null")) == []
    assert await ids(harness, conditions[0], ("filter[]", "state.EQ:in_progress")) == []


async def test_a_run_that_is_being_cancelled_is_listed_as_in_progress(harness: AppHarness) -> None:
    (run_id,) = await made(harness, 1)
    await harness.claim(run_id)
    await harness.call("POST", f"{RUNS}/{run_id}/cancel", headers={"prefer": "respond-async"})
    assert await ids(harness, ("filter[]", "state.EQ:in_progress")) == [run_id]


async def test_creation_times_filter_to_the_millisecond(harness: AppHarness) -> None:
    third, second, first = await made(harness, 3)
    at = "2026-11-24T12:00:01Z"
    expected = {
        "EQ": [second],
        "GT": [third],
        "GE": [third, second],
        "LT": [first],
        "LE": [second, first],
    }
    for operator, runs in expected.items():
        assert await ids(harness, ("filter[]", f"created_time.{operator}:{at}")) == runs, operator
    before, after = "2026-11-24T12:00:00.9995Z", "2026-11-24T12:00:01.0005Z"
    assert await ids(harness, ("filter[]", f"created_time.GE:{after}")) == [third]
    assert await ids(harness, ("filter[]", f"created_time.LT:{after}")) == [second, first]
    assert await ids(harness, ("filter[]", f"created_time.GT:{before}")) == [third, second]
    assert await ids(harness, ("filter[]", f"created_time.LE:{before}")) == [first]
    assert await ids(harness, ("filter[]", f"created_time.EQ:{after}")) == []
    between = (
        ("filter[]", "created_time.GT:2026-11-24T12:00:00Z"),
        ("filter[]", "created_time.LT:2026-11-24T12:00:02Z"),
    )
    assert await ids(harness, *between) == [second]
    day = ("filter[]", "created_time.GE:2026-11-25")
    assert await ids(harness, day) == []


@pytest.mark.parametrize("year", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("operator", ["EQ", "GT", "GE", "LT", "LE"])
async def test_the_ends_of_the_calendar_are_fine(
    harness: AppHarness, year: str, operator: str
) -> None:
    await page(harness, ("filter[]", f"created_time.{operator}:{year}"))


async def test_sources_and_tags_filter(harness: AppHarness) -> None:
    live = (await harness.create(tags={"team": "a", "env": "prod"}))["id"]
    warehouse = (await harness.create(source="warehouse", tags={"team": "b"}))["id"]
    assert await ids(harness, ("filter[]", "source.EQ:warehouse")) == [warehouse]
    assert await ids(harness, ("filter[]", "source.NE:warehouse")) == [live]
    assert await ids(harness, ("filter[]", "source.EQ:nowhere")) == []
    assert await ids(harness, ("filter[]", "tags[team].EQ:a")) == [live]
    both = (("filter[]", "tags[team].EQ:a"), ("filter[]", "tags[env].EQ:prod"))
    assert await ids(harness, *both) == [live]
    neither = (("filter[]", "tags[team].EQ:a"), ("filter[]", "tags[team].EQ:b"))
    assert await ids(harness, *neither) == []


async def test_a_client_sees_its_own_runs_and_an_admin_everybodys(harness: AppHarness) -> None:
    (own,) = await made(harness, 1)
    token = await harness.new_token(ACME)
    other = (await harness.call("POST", RUNS, json=SELECT, token=token)).json()
    admin = await harness.new_token(ACME, scopes=frozenset({Scope.ADMIN}))
    assert await ids(harness) == [own]
    assert await ids(harness, token=admin) == [other["id"], own]
    by_other = ("filter[]", f"created_by_id.EQ:{other['created_by_id']}")
    assert await ids(harness, by_other, token=admin) == [other["id"]]
    assert await ids(harness, by_other) == []


async def test_fields_project_every_run(harness: AppHarness) -> None:
    await made(harness, 2)
    found = await page(harness, ("fields[]", "id,created_time,queue_position"))
    assert [set(run) for run in found["data"]] == [{"id", "created_time", "queue_position"}] * 2


@pytest.mark.parametrize(
    "text",
    [
        "number_of_rows.GT:5",
        "nonsense.EQ:1",
        "created_time.IN:[2026-11-24]",
        "created_time.EQ:null",
        "created_by_id.NE:x",
        "tags[team].SW:a",
    ],
)
async def test_conditions_that_the_store_cannot_apply_are_refused(
    harness: AppHarness, text: str
) -> None:
    response = await harness.call("GET", RUNS, params=[("filter[]", text)])
    assert_problem(response, 400, "filter[]")
    assert text.partition(".")[0] in response.json()["errors"][0]["message"]


async def test_a_cursor_belongs_to_its_filters_and_order(harness: AppHarness) -> None:
    await made(harness, 2)
    cursor = ("cursor", str((await page(harness, ("page_size", "1")))["next_page"]))
    for other in (("filter[]", "source.EQ:live"), ("sort[]", "created_time.asc")):
        assert_problem(await harness.call("GET", RUNS, params=[cursor, other]), 400, "cursor")
    await page(harness, cursor, ("page_size", "50"))


async def test_the_list_can_be_switched_off(tmp_path: Path, clock: Clock) -> None:
    """The hosted service has no list and responds with 405 (contract H13)."""
    settings = replace(DEFAULT_SETTINGS, list_runs=False, api_rates=NO_RATES)
    async with open_app_harness(tmp_path, clock, settings) as harness:
        response = await harness.call("GET", RUNS)
        document = (await harness.call("GET", "/openapi.json")).json()
    assert_problem(response, 405)
    assert response.headers["allow"] == "POST"
    assert "get" not in document["paths"][RUNS]

"""`GET /v2/query_runs`: pages, conditions, and what a client may see (contract C3, C4, C6, H13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from queryrun.auth.model import Scope
from queryrun.http.parts import HttpSettings
from tests.conftest import Clock
from tests.http.house import ACME, NO_RATES, SELECT, House, open_house
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


async def page(house: House, *params: tuple[str, str], token: str | None = None) -> dict[str, Any]:
    """One page of the list."""
    answer = await house.call("GET", RUNS, params=list(params), token=token)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def ids(house: House, *params: tuple[str, str], token: str | None = None) -> list[str]:
    """The ids on one page."""
    return [run["id"] for run in (await page(house, *params, token=token))["data"]]


async def made(house: House, count: int) -> list[str]:
    """Ids of new runs, newest first, a second apart."""
    created = []
    for _ in range(count):
        created.append((await house.create())["id"])
        house.clock.move(1)
    return created[::-1]


async def test_runs_come_newest_first_thirty_at_a_time(house: House) -> None:
    newest_first = await made(house, 31)
    first = await page(house)
    assert [run["id"] for run in first["data"]] == newest_first[:30]
    second = await page(house, ("cursor", first["next_page"]))
    assert [run["id"] for run in second["data"]] == newest_first[30:]
    assert second["next_page"] is None


async def test_pages_are_stable_while_runs_are_created(house: House) -> None:
    newest_first = await made(house, 5)
    seen: list[str] = []
    cursor: tuple[tuple[str, str], ...] = ()
    for _ in range(3):
        found = await page(house, ("page_size", "2"), *cursor)
        seen += [run["id"] for run in found["data"]]
        cursor = (("cursor", str(found["next_page"])),)
        await house.create()
    assert seen == newest_first


async def test_oldest_first_when_asked_for(house: House) -> None:
    newest_first = await made(house, 3)
    for text in ("created_time.asc", "created_time.ASC"):
        assert await ids(house, ("sort[]", text)) == newest_first[::-1]
    assert await ids(house, ("sort[]", "created_time.desc")) == newest_first


@pytest.mark.parametrize("text", ["state.asc", "created_time", "created_time.up", ""])
async def test_other_sorts_are_refused(house: House, text: str) -> None:
    assert_problem(await house.call("GET", RUNS, params=[("sort[]", text)]), 400, "sort[]")


async def test_states_filter_in_either_spelling(house: House) -> None:
    waiting, ended, running = await made(house, 3)
    await house.call("POST", f"{RUNS}/{ended}/cancel")
    house_ref = await house.claim(running)
    assert house_ref
    canceled = [("filter[]", f"state.EQ:{word}") for word in ("canceled", "cancelled")]
    for one in canceled:
        assert await ids(house, one) == [ended]
    assert await ids(house, ("filter[]", "state.EQ:in_progress")) == [waiting, running]
    assert await ids(house, ("filter[]", "state.NE:canceled")) == [waiting, running]
    both = ("filter[]", "state.IN:[canceled,in_progress]")
    assert await ids(house, both) == [waiting, ended, running]
    assert await ids(house, ("filter[]", "state.SW:can")) == [ended]
    assert await ids(house, ("filter[]", "state.EQ:pending")) == []
    assert await ids(house, ("filter[]", "state.EQ:null")) == []
    assert await ids(house, canceled[0], ("filter[]", "state.EQ:in_progress")) == []


async def test_a_run_that_is_being_cancelled_is_listed_as_in_progress(house: House) -> None:
    (run_id,) = await made(house, 1)
    await house.claim(run_id)
    await house.call("POST", f"{RUNS}/{run_id}/cancel", headers={"prefer": "respond-async"})
    assert await ids(house, ("filter[]", "state.EQ:in_progress")) == [run_id]


async def test_creation_times_filter_to_the_millisecond(house: House) -> None:
    third, second, first = await made(house, 3)
    at = "2026-11-24T12:00:01Z"
    expected = {
        "EQ": [second],
        "GT": [third],
        "GE": [third, second],
        "LT": [first],
        "LE": [second, first],
    }
    for operator, runs in expected.items():
        assert await ids(house, ("filter[]", f"created_time.{operator}:{at}")) == runs, operator
    before, after = "2026-11-24T12:00:00.9995Z", "2026-11-24T12:00:01.0005Z"
    assert await ids(house, ("filter[]", f"created_time.GE:{after}")) == [third]
    assert await ids(house, ("filter[]", f"created_time.LT:{after}")) == [second, first]
    assert await ids(house, ("filter[]", f"created_time.GT:{before}")) == [third, second]
    assert await ids(house, ("filter[]", f"created_time.LE:{before}")) == [first]
    assert await ids(house, ("filter[]", f"created_time.EQ:{after}")) == []
    between = (
        ("filter[]", "created_time.GT:2026-11-24T12:00:00Z"),
        ("filter[]", "created_time.LT:2026-11-24T12:00:02Z"),
    )
    assert await ids(house, *between) == [second]
    day = ("filter[]", "created_time.GE:2026-11-25")
    assert await ids(house, day) == []


@pytest.mark.parametrize("year", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("operator", ["EQ", "GT", "GE", "LT", "LE"])
async def test_the_ends_of_the_calendar_are_fine(house: House, year: str, operator: str) -> None:
    await page(house, ("filter[]", f"created_time.{operator}:{year}"))


async def test_sources_and_tags_filter(house: House) -> None:
    live = (await house.create(tags={"team": "a", "env": "prod"}))["id"]
    warehouse = (await house.create(source="warehouse", tags={"team": "b"}))["id"]
    assert await ids(house, ("filter[]", "source.EQ:warehouse")) == [warehouse]
    assert await ids(house, ("filter[]", "source.NE:warehouse")) == [live]
    assert await ids(house, ("filter[]", "source.EQ:nowhere")) == []
    assert await ids(house, ("filter[]", "tags[team].EQ:a")) == [live]
    both = (("filter[]", "tags[team].EQ:a"), ("filter[]", "tags[env].EQ:prod"))
    assert await ids(house, *both) == [live]
    neither = (("filter[]", "tags[team].EQ:a"), ("filter[]", "tags[team].EQ:b"))
    assert await ids(house, *neither) == []


async def test_a_client_sees_its_own_runs_and_an_admin_everybodys(house: House) -> None:
    (mine,) = await made(house, 1)
    token = await house.new_token(ACME)
    other = (await house.call("POST", RUNS, json=SELECT, token=token)).json()
    admin = await house.new_token(ACME, scopes=frozenset({Scope.ADMIN}))
    assert await ids(house) == [mine]
    assert await ids(house, token=admin) == [other["id"], mine]
    by_other = ("filter[]", f"created_by_id.EQ:{other['created_by_id']}")
    assert await ids(house, by_other, token=admin) == [other["id"]]
    assert await ids(house, by_other) == []


async def test_fields_project_every_run(house: House) -> None:
    await made(house, 2)
    found = await page(house, ("fields[]", "id,created_time,queue_position"))
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
async def test_conditions_that_cannot_be_asked_are_refused(house: House, text: str) -> None:
    answer = await house.call("GET", RUNS, params=[("filter[]", text)])
    assert_problem(answer, 400, "filter[]")
    assert text.partition(".")[0] in answer.json()["errors"][0]["message"]


async def test_a_cursor_belongs_to_its_filters_and_order(house: House) -> None:
    await made(house, 2)
    cursor = ("cursor", str((await page(house, ("page_size", "1")))["next_page"]))
    for other in (("filter[]", "source.EQ:live"), ("sort[]", "created_time.asc")):
        assert_problem(await house.call("GET", RUNS, params=[cursor, other]), 400, "cursor")
    await page(house, cursor, ("page_size", "50"))


async def test_the_list_can_be_switched_off(tmp_path: Path, clock: Clock) -> None:
    """The system of the contract answers 405 (H13)."""
    settings = HttpSettings(list_runs=False, api_rates=NO_RATES)
    async with open_house(tmp_path, clock, settings) as house:
        answer = await house.call("GET", RUNS)
        document = (await house.call("GET", "/openapi.json")).json()
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "POST"
    assert "get" not in document["paths"][RUNS]

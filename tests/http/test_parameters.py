"""`parameters` of a run: checked at submit, kept with the run, in no log and no default body."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.http.app_harness import AppHarness

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"
SQL = "SELECT * FROM account WHERE day = :day AND name = :name"
SECRET = "private words"
PARAMETERS = [
    {"name": "day", "type": "date", "value": "2024-01-31"},
    {"name": "name", "value": SECRET},
]


async def test_a_run_keeps_them_and_shows_them_when_asked(harness: AppHarness) -> None:
    run = await harness.create(sql=SQL, parameters=PARAMETERS)
    assert "parameters" not in run
    path = f"{RUNS}/{run['id']}"
    assert "parameters" not in (await harness.call("GET", path)).json()
    found = await harness.call("GET", path, params={"fields[]": "sql,parameters"})
    assert found.json() == {
        "sql": SQL,
        "parameters": [PARAMETERS[0], {**PARAMETERS[1], "type": "varchar"}],
    }


async def test_a_run_without_them_has_none(harness: AppHarness) -> None:
    run = await harness.create(parameters=[])
    path = f"{RUNS}/{run['id']}"
    assert (await harness.call("GET", path, params={"fields[]": "parameters"})).json() == {}


async def test_no_log_has_a_value(harness: AppHarness) -> None:
    with capture_logs() as lines:
        await harness.create(sql=SQL, parameters=PARAMETERS)
        bad = [{"name": "day", "type": "date", "value": SECRET}]
        body = {"sql": SQL, "content_type": "csv", "parameters": bad}
        response = await harness.call("POST", RUNS, json=body)
    assert response.status_code == 400
    assert SECRET not in response.text
    assert SECRET not in str(lines)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"day": "2024-01-31"}, "must be a list of objects"),
        ([["day"]], "number 1 is none"),
        ([{"name": "day", "value": 5}], "objects of texts, also for numbers"),
        ([{"name": "day", "value": None}], "a NULL has no value"),
        ([{"name": "day", "valeu": "x"}], "'valeu'"),
        ([{"name": "day", "type": "", "value": "x"}], "types that are not empty"),
        ([{"name": "day", "type": "dat", "value": "x"}], "the type must be one of"),
        ([{"name": "day", "type": "date", "value": "31.1.2024"}], "write it as 2024-01-31"),
    ],
)
async def test_what_is_wrong_is_said_with_its_name(
    harness: AppHarness, parameters: object, words: str
) -> None:
    body = {"sql": SQL, "content_type": "csv", "parameters": parameters}
    response = await harness.call("POST", RUNS, json=body)
    assert response.status_code == 400
    (problem,) = response.json()["errors"]
    assert problem["parameter"] == "parameters"
    assert words in problem["message"]


async def test_a_draft_is_checked_with_its_parameters(harness: AppHarness) -> None:
    async def errors(**draft: object) -> list[str]:
        response = await harness.call("POST", "/v2/validate", json=draft)
        return [one["message"] for one in response.json()["errors"]]

    assert await errors(sql="SELECT :n", parameters=[{"name": "n", "value": "x"}]) == []
    assert "the parameter :n" in (await errors(sql="SELECT :n"))[0]

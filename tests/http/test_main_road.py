"""The main path: create, read, complete, download, cancel."""

from __future__ import annotations

import re

import pytest

from queryrun.errors import Failure, FailureCode
from tests.http.app_harness import PUBLIC_URL, SELECT, AppHarness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio


async def test_a_created_run_is_accepted_and_has_a_location(harness: AppHarness) -> None:
    response = await harness.call("POST", "/v2/query_runs", json=SELECT)
    body = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/v2/query_runs/{body['id']}"
    assert body == {
        "created_by_id": harness.client_id,
        "id": body["id"],
        "sql": "SELECT 1 AS one",
        "remaining_attempts": 3,
        "updated_time": "2026-11-24T12:00:00.000Z",
        "state": "accepted",
    }


async def test_a_complete_run_has_rows_duration_and_a_file_that_can_be_fetched(
    harness: AppHarness,
) -> None:
    run = await harness.create()
    await harness.complete(run["id"])
    body = (await harness.call("GET", f"/v2/query_runs/{run['id']}")).json()
    assert body["state"] == "complete"
    assert body["number_of_rows"] == 1
    assert body["processing_duration"] == 6519
    file = body["file"]
    assert re.fullmatch(re.escape(run["id"]) + r"_\d{16,17}\.csv", file["id"])
    assert {**file, "id": "", "url": ""} == {
        "id": "",
        "url": "",
        "content_type": "csv",
        "type": "query_run",
    }
    assert file["url"].startswith(f"{PUBLIC_URL}/files/{file['id']}?expires=")
    download = await harness.call("GET", file["url"], token="")
    assert download.status_code == 200
    assert download.content == b"one\n1\n"


async def test_cancelling_a_waiting_run_responds_canceled_immediately(harness: AppHarness) -> None:
    run = await harness.create()
    response = await harness.call("POST", f"/v2/query_runs/{run['id']}/cancel")
    assert response.status_code == 200
    assert set(response.json()) == {
        "created_by_id",
        "id",
        "sql",
        "remaining_attempts",
        "updated_time",
        "state",
    }
    assert response.json()["state"] == "canceled"


async def test_cancelling_a_running_run_waits_until_the_engine_is_free(harness: AppHarness) -> None:
    run = await harness.create()
    harness.free_on_cancel(await harness.claim(run["id"]))
    response = await harness.call("POST", f"/v2/query_runs/{run['id']}/cancel")
    assert response.json()["state"] == "canceled"


async def test_a_cancel_whose_engine_has_not_stopped_reads_in_progress(harness: AppHarness) -> None:
    run = await harness.create()
    await harness.claim(run["id"])
    cancel = await harness.call(
        "POST", f"/v2/query_runs/{run['id']}/cancel", headers={"prefer": "respond-async"}
    )
    assert cancel.status_code == 200
    assert cancel.json()["state"] == "in_progress"
    assert cancel.headers["preference-applied"] == "respond-async"


@pytest.mark.parametrize("end", ["complete", "failed", "canceled"])
async def test_cancelling_a_terminal_run_is_refused_and_names_its_state(
    harness: AppHarness, end: str
) -> None:
    run = await harness.create()
    if end == "complete":
        await harness.complete(run["id"])
    elif end == "failed":
        await harness.fail(run["id"], Failure(FailureCode.NAME_NOT_FOUND, "no such table"))
    else:
        await harness.call("POST", f"/v2/query_runs/{run['id']}/cancel")
    response = await harness.call("POST", f"/v2/query_runs/{run['id']}/cancel")
    assert_problem(response, 400, "query_run_id", code=f"run_already_{end}")
    assert "is not in accepted or in_progress state" in response.json()["errors"][0]["message"]


async def test_a_failed_run_has_its_error(harness: AppHarness) -> None:
    run = await harness.create()
    failure = Failure(FailureCode.NAME_NOT_FOUND, "Table acount does not exist", 1, 15)
    await harness.fail(run["id"], failure)
    path = f"/v2/query_runs/{run['id']}"
    assert (await harness.call("GET", path)).json()["state"] == "failed"
    body = (await harness.call("GET", path, params={"fields[]": "error"})).json()
    assert body["error"] == {
        "code": "name_not_found",
        "message": "Table acount does not exist",
        "retryable": False,
        "line": 1,
        "column": 15,
    }

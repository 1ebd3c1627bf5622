"""v1 in more than one request: two APIs over the same runs, lists, waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from queryrun.auth.model import Scope
from queryrun.http.app import build_app
from queryrun.runs.model import DeletedRows, EngineStop
from tests.conftest import Clock
from tests.http.app_harness import ACME, SELECT, AppHarness, open_app_harness
from tests.http.conformance_v1 import QUERY

pytestmark = pytest.mark.anyio

JOBS = "/query/jobs"
ADMIN = frozenset({Scope.ADMIN})


async def submitted(harness: AppHarness, **changes: Any) -> dict[str, Any]:
    """A job as its submit returns it."""
    response = await harness.call("POST", JOBS, json={**QUERY, **changes})
    assert response.status_code == 200, response.text
    return dict(response.json()["data"])


async def listed(
    harness: AppHarness, token: str | None = None, **params: Any
) -> list[dict[str, Any]]:
    response = await harness.call("GET", JOBS, params=params, token=token)
    assert response.status_code == 200, response.text
    return list(response.json()["data"])


async def test_a_job_is_a_run_under_the_same_id(harness: AppHarness) -> None:
    job = await submitted(harness, outputFormat="DSV", columnSeparator="\\t", compression="GZIP")
    fields = "id,state,sql,column_separator,content_type,content_encoding,source"
    run = await harness.call("GET", f"/v2/query_runs/{job['id']}", params={"fields[]": fields})
    assert run.json() == {
        "id": job["id"],
        "state": "accepted",
        "sql": QUERY["query"],
        "column_separator": "\t",
        "content_type": "dsv",
        "content_encoding": "gzip",
        "source": "live",
    }


async def test_a_run_is_a_job_under_the_same_id(harness: AppHarness) -> None:
    run = await harness.create(sql="SELECT 2 AS two")
    done = await harness.complete(run["id"], b"two\n2\n")
    job = (await harness.call("GET", f"{JOBS}/{run['id']}")).json()["data"]
    assert (job["query"], job["queryStatus"], job["outputRows"]) == (
        "SELECT 2 AS two",
        "completed",
        1,
    )
    assert job["processingTime"] == done.processing_ms
    assert (await harness.http.get(job["dataFile"])).content == b"two\n2\n"


async def test_a_cancel_on_one_api_is_seen_on_the_other(harness: AppHarness) -> None:
    job = await submitted(harness)
    run = await harness.create()
    await harness.call("DELETE", f"{JOBS}/{run['id']}")
    await harness.call("POST", f"/v2/query_runs/{job['id']}/cancel")
    on_v2 = await harness.call("GET", f"/v2/query_runs/{run['id']}")
    on_v1 = await harness.call("GET", f"{JOBS}/{job['id']}")
    assert on_v2.json()["state"] == "canceled"
    assert on_v1.json()["data"]["queryStatus"] == "cancelled"


async def test_a_cancel_responds_once_the_engine_is_free(harness: AppHarness) -> None:
    job = await submitted(harness)
    harness.free_on_cancel(await harness.claim(job["id"]))
    response = await harness.call("DELETE", f"{JOBS}/{job['id']}")
    assert response.json()["data"]["queryStatus"] == "cancelled"
    run = await harness.app.runs.store.get(job["id"])
    assert run is not None
    assert run.cancellation is not None
    assert run.cancellation.engine_stop is EngineStop.KILLED


async def test_respond_async_does_not_wait_for_the_engine(harness: AppHarness) -> None:
    job = await submitted(harness)
    await harness.claim(job["id"])
    headers = {"prefer": "respond-async"}
    response = await harness.call("DELETE", f"{JOBS}/{job['id']}", headers=headers)
    assert response.json()["data"]["queryStatus"] == "in_progress"
    assert response.headers["preference-applied"] == "respond-async"


async def test_a_get_waits_for_the_end_on_request(harness: AppHarness) -> None:
    job = await submitted(harness)
    waiting = asyncio.create_task(
        harness.call("GET", f"{JOBS}/{job['id']}", headers={"prefer": "wait=30"})
    )
    await harness.changes.waited_for.wait()
    await harness.complete(job["id"])
    assert (await waiting).json()["data"]["queryStatus"] == "completed"


@pytest.mark.parametrize(
    ("read_deleted", "rows"), [(True, DeletedRows.ONLY), (False, DeletedRows.EXCLUDE)]
)
async def test_read_deleted_means_only_the_deleted(
    harness: AppHarness, read_deleted: bool, rows: DeletedRows
) -> None:
    """Unlike v2's `read_deleted`, which includes them (contract H3)."""
    job = await submitted(harness, readDeleted=read_deleted)
    run = await harness.app.runs.store.get(job["id"])
    assert run is not None
    assert run.request.deleted_rows is rows


async def test_live_is_the_default_source_where_none_has_that_name(harness: AppHarness) -> None:
    """`sourceData: LIVE` without a source `live` (contract H20)."""
    rules = {"sales": harness.app.runs.sources["live"]}
    runs = replace(harness.app.runs, sources=rules, default_source="sales")
    harness.http._transport.app = build_app(replace(harness.app, runs=runs))  # type: ignore[attr-defined] # the app behind the same transport
    job = await submitted(harness, sourceData="LIVE")
    run = await harness.app.runs.store.get(job["id"])
    assert run is not None
    assert run.request.source == "sales"
    assert job["sourceData"] == "LIVE"


async def test_the_default_list_is_newest_first_with_twenty_entries(harness: AppHarness) -> None:
    ids = [(await submitted(harness))["id"] for _ in range(22)]
    assert [job["id"] for job in await listed(harness)] == ids[:1:-1]
    assert [job["id"] for job in await listed(harness, pageSize=2)] == ids[:19:-1]
    assert len(await listed(harness, pageSize=1000)) == 22


async def test_the_list_is_of_ones_own_jobs_and_of_all_for_an_admin(harness: AppHarness) -> None:
    job = await submitted(harness)
    stranger = await harness.new_token()
    admin = await harness.new_token(ACME, scopes=ADMIN)
    assert await listed(harness, stranger) == []
    assert [one["id"] for one in await listed(harness, admin)] == [job["id"]]


@pytest.mark.parametrize("word", ["completed", "complete"])
async def test_the_list_is_filtered_by_status_in_either_spelling(
    harness: AppHarness, word: str
) -> None:
    done = await submitted(harness)
    await harness.complete(done["id"])
    await submitted(harness)
    found = await listed(harness, queryStatus=word)
    assert [job["id"] for job in found] == [done["id"]]


async def test_a_job_that_is_being_cancelled_is_listed_as_in_progress(harness: AppHarness) -> None:
    job = await submitted(harness)
    await harness.claim(job["id"])
    await harness.call("DELETE", f"{JOBS}/{job['id']}", headers={"prefer": "respond-async"})
    found = await listed(harness, queryStatus="in_progress")
    assert [(one["id"], one["queryStatus"]) for one in found] == [(job["id"], "in_progress")]


async def test_no_job_is_ever_listed_as_submitted(harness: AppHarness) -> None:
    await submitted(harness)
    assert await listed(harness, queryStatus="submitted") == []


async def test_the_tenants_requests_in_flight_are_counted(harness: AppHarness) -> None:
    job = await submitted(harness)
    waiting = asyncio.create_task(
        harness.call("GET", f"{JOBS}/{job['id']}", headers={"prefer": "wait=30"})
    )
    await harness.changes.waited_for.wait()
    meanwhile = await harness.call("GET", JOBS)
    await harness.complete(job["id"])
    await waiting
    afterwards = await harness.call("GET", JOBS)
    assert meanwhile.headers["concurrency-limit-remaining"] == "38"
    assert afterwards.headers["concurrency-limit-remaining"] == "39"


async def test_two_submits_with_one_key_make_one_job(harness: AppHarness) -> None:
    headers = {"idempotency-key": "nightly"}
    first = await harness.call("POST", JOBS, json=QUERY, headers=headers)
    again = await harness.call("POST", JOBS, json=QUERY, headers=headers)
    assert first.json() == again.json()
    assert len(await listed(harness)) == 1


async def test_a_refusal_is_stored_with_the_body_of_its_api_version(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_app_harness(tmp_path, clock) as harness:
        headers = {"idempotency-key": "k"}
        body = {**QUERY, "query": "DELETE FROM account"}
        await harness.call("POST", JOBS, json=body, headers=headers)
        again = await harness.call("POST", JOBS, json=body, headers=headers)
    assert again.status_code == 400
    assert again.headers["idempotency-replayed"] == "true"
    assert set(again.json()) == {"code", "message"}


async def test_v2s_body_is_not_v1s(harness: AppHarness) -> None:
    response = await harness.call("POST", JOBS, json=SELECT)
    assert response.status_code == 400
    assert "'sql' is not a known property" in response.json()["message"]

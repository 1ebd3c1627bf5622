"""What the conformance rows of v1 cannot say: two faces over the same runs, lists, waits."""

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
from tests.http.conformance_v1 import QUERY
from tests.http.house import ACME, SELECT, House, open_house

pytestmark = pytest.mark.anyio

JOBS = "/query/jobs"
ADMIN = frozenset({Scope.ADMIN})


async def submitted(house: House, **changes: Any) -> dict[str, Any]:
    """A job as its submit answers it."""
    answer = await house.call("POST", JOBS, json={**QUERY, **changes})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def listed(house: House, token: str | None = None, **params: Any) -> list[dict[str, Any]]:
    answer = await house.call("GET", JOBS, params=params, token=token)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def test_a_job_is_a_run_under_the_same_id(house: House) -> None:
    job = await submitted(house, outputFormat="DSV", columnSeparator="\\t", compression="GZIP")
    fields = "id,state,sql,column_separator,content_type,content_encoding,source"
    run = await house.call("GET", f"/v2/query_runs/{job['id']}", params={"fields[]": fields})
    assert run.json() == {
        "id": job["id"],
        "state": "accepted",
        "sql": QUERY["query"],
        "column_separator": "\t",
        "content_type": "dsv",
        "content_encoding": "gzip",
        "source": "live",
    }


async def test_a_run_is_a_job_under_the_same_id(house: House) -> None:
    run = await house.create(sql="SELECT 2 AS two")
    done = await house.complete(run["id"], b"two\n2\n")
    job = (await house.call("GET", f"{JOBS}/{run['id']}")).json()["data"]
    assert (job["query"], job["queryStatus"], job["outputRows"]) == (
        "SELECT 2 AS two",
        "completed",
        1,
    )
    assert job["processingTime"] == done.processing_ms
    assert (await house.http.get(job["dataFile"])).content == b"two\n2\n"


async def test_a_cancel_on_one_face_is_seen_on_the_other(house: House) -> None:
    job = await submitted(house)
    run = await house.create()
    await house.call("DELETE", f"{JOBS}/{run['id']}")
    await house.call("POST", f"/v2/query_runs/{job['id']}/cancel")
    on_v2 = await house.call("GET", f"/v2/query_runs/{run['id']}")
    on_v1 = await house.call("GET", f"{JOBS}/{job['id']}")
    assert on_v2.json()["state"] == "canceled"
    assert on_v1.json()["data"]["queryStatus"] == "cancelled"


async def test_a_cancel_answers_once_the_engine_is_free(house: House) -> None:
    job = await submitted(house)
    house.free_on_cancel(await house.claim(job["id"]))
    answer = await house.call("DELETE", f"{JOBS}/{job['id']}")
    assert answer.json()["data"]["queryStatus"] == "cancelled"
    run = await house.parts.runs.store.get(job["id"])
    assert run is not None
    assert run.cancellation is not None
    assert run.cancellation.engine_stop is EngineStop.KILLED


async def test_respond_async_does_not_wait_for_the_engine(house: House) -> None:
    job = await submitted(house)
    await house.claim(job["id"])
    headers = {"prefer": "respond-async"}
    answer = await house.call("DELETE", f"{JOBS}/{job['id']}", headers=headers)
    assert answer.json()["data"]["queryStatus"] == "in_progress"
    assert answer.headers["preference-applied"] == "respond-async"


async def test_a_get_waits_for_the_end_when_asked_to(house: House) -> None:
    job = await submitted(house)
    waiting = asyncio.create_task(
        house.call("GET", f"{JOBS}/{job['id']}", headers={"prefer": "wait=30"})
    )
    await house.changes.waited_for.wait()
    await house.complete(job["id"])
    assert (await waiting).json()["data"]["queryStatus"] == "completed"


@pytest.mark.parametrize(
    ("read_deleted", "rows"), [(True, DeletedRows.ONLY), (False, DeletedRows.EXCLUDE)]
)
async def test_read_deleted_means_only_the_deleted(
    house: House, read_deleted: bool, rows: DeletedRows
) -> None:
    """Contract H3: unlike v2's `read_deleted`, which includes them."""
    job = await submitted(house, readDeleted=read_deleted)
    run = await house.parts.runs.store.get(job["id"])
    assert run is not None
    assert run.request.deleted_rows is rows


async def test_live_is_the_default_source_where_none_has_that_name(house: House) -> None:
    """Contract H20."""
    rules = {"sales": house.parts.runs.sources["live"]}
    runs = replace(house.parts.runs, sources=rules, default_source="sales")
    house.http._transport.app = build_app(replace(house.parts, runs=runs))  # type: ignore[attr-defined] # the house behind the same door
    job = await submitted(house, sourceData="LIVE")
    run = await house.parts.runs.store.get(job["id"])
    assert run is not None
    assert run.request.source == "sales"
    assert job["sourceData"] == "LIVE"


async def test_the_list_is_newest_first_and_twenty_long(house: House) -> None:
    ids = [(await submitted(house))["id"] for _ in range(22)]
    assert [job["id"] for job in await listed(house)] == ids[:1:-1]
    assert [job["id"] for job in await listed(house, pageSize=2)] == ids[:19:-1]
    assert len(await listed(house, pageSize=1000)) == 22


async def test_the_list_is_of_ones_own_jobs_and_of_all_for_an_admin(house: House) -> None:
    job = await submitted(house)
    stranger = await house.new_token()
    admin = await house.new_token(ACME, scopes=ADMIN)
    assert await listed(house, stranger) == []
    assert [one["id"] for one in await listed(house, admin)] == [job["id"]]


@pytest.mark.parametrize("word", ["completed", "complete"])
async def test_the_list_is_filtered_by_status_in_either_spelling(house: House, word: str) -> None:
    done = await submitted(house)
    await house.complete(done["id"])
    await submitted(house)
    found = await listed(house, queryStatus=word)
    assert [job["id"] for job in found] == [done["id"]]


async def test_a_job_that_is_being_cancelled_is_listed_as_in_progress(house: House) -> None:
    job = await submitted(house)
    await house.claim(job["id"])
    await house.call("DELETE", f"{JOBS}/{job['id']}", headers={"prefer": "respond-async"})
    found = await listed(house, queryStatus="in_progress")
    assert [(one["id"], one["queryStatus"]) for one in found] == [(job["id"], "in_progress")]


async def test_no_job_is_ever_listed_as_submitted(house: House) -> None:
    await submitted(house)
    assert await listed(house, queryStatus="submitted") == []


async def test_the_tenants_requests_in_flight_are_counted(house: House) -> None:
    job = await submitted(house)
    waiting = asyncio.create_task(
        house.call("GET", f"{JOBS}/{job['id']}", headers={"prefer": "wait=30"})
    )
    await house.changes.waited_for.wait()
    meanwhile = await house.call("GET", JOBS)
    await house.complete(job["id"])
    await waiting
    afterwards = await house.call("GET", JOBS)
    assert meanwhile.headers["concurrency-limit-remaining"] == "38"
    assert afterwards.headers["concurrency-limit-remaining"] == "39"


async def test_two_submits_with_one_key_make_one_job(house: House) -> None:
    headers = {"idempotency-key": "nightly"}
    first = await house.call("POST", JOBS, json=QUERY, headers=headers)
    again = await house.call("POST", JOBS, json=QUERY, headers=headers)
    assert first.json() == again.json()
    assert len(await listed(house)) == 1


async def test_a_refusal_is_kept_with_its_own_faces_body(tmp_path: Path, clock: Clock) -> None:
    async with open_house(tmp_path, clock) as house:
        headers = {"idempotency-key": "k"}
        body = {**QUERY, "query": "DELETE FROM account"}
        await house.call("POST", JOBS, json=body, headers=headers)
        again = await house.call("POST", JOBS, json=body, headers=headers)
    assert again.status_code == 400
    assert again.headers["idempotency-replayed"] == "true"
    assert set(again.json()) == {"code", "message"}


async def test_v2s_body_is_not_v1s(house: House) -> None:
    answer = await house.call("POST", JOBS, json=SELECT)
    assert answer.status_code == 400
    assert "'sql' is not a known property" in answer.json()["message"]

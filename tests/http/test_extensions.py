"""Our own fields: rendered when named, never otherwise (contract H10)."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from queryrun.errors import Failure, FailureCode
from queryrun.runs.model import DeletedRows
from tests.http.app_harness import SELECT, AppHarness

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


async def fields_of(harness: AppHarness, run_id: str, *fields: str) -> dict[str, object]:
    """The run with these fields."""
    response = await harness.call("GET", f"{RUNS}/{run_id}", params={"fields[]": ",".join(fields)})
    return dict(response.json())


async def test_the_queue_position_counts_those_before(harness: AppHarness) -> None:
    first, second = await harness.create(), await harness.create()
    assert await fields_of(harness, first["id"], "queue_position") == {"queue_position": 0}
    assert await fields_of(harness, second["id"], "queue_position") == {"queue_position": 1}
    await harness.complete(first["id"])
    assert await fields_of(harness, first["id"], "queue_position") == {}


async def test_attempts_list_the_history(harness: AppHarness) -> None:
    run = await harness.create()
    ref = await harness.claim(run["id"])
    harness.clock.move(1)
    await harness.requeue(ref, Failure(FailureCode.WORKER_LOST, "the worker was killed"))
    harness.clock.move(1)
    await harness.complete(run["id"])
    found = await fields_of(harness, run["id"], "attempts", "remaining_attempts")
    assert found["remaining_attempts"] == 2
    attempts = found["attempts"]
    assert isinstance(attempts, list)
    assert [(one["number"], one["outcome"]) for one in attempts] == [
        (1, "requeued"),
        (2, "complete"),
    ]
    assert attempts[0]["started_time"] < attempts[0]["ended_time"] < attempts[1]["started_time"]


async def test_a_cancellation_is_on_the_record(harness: AppHarness) -> None:
    run = await harness.create()
    harness.free_on_cancel(await harness.claim(run["id"]))
    await harness.call("POST", f"{RUNS}/{run['id']}/cancel")
    found = await fields_of(harness, run["id"], "cancellation")
    record = found["cancellation"]
    assert isinstance(record, dict)
    assert record["reason"] == "user"
    assert record["canceled_by"] == harness.client_id
    assert record["engine_stop"] == "killed"
    assert record["stage"] == "executing"
    assert record["requested_time"] <= record["canceled_time"]


async def test_what_was_requested_can_be_read_back(harness: AppHarness) -> None:
    run = await harness.create(
        source="warehouse",
        tags={"b": "2", "a": "1"},
        timeout_seconds=90.5,
        content_encoding="gzip",
        read_deleted=True,
    )
    requested = ("source", "tags", "timeout_seconds", "content_encoding", "content_type")
    found = await fields_of(
        harness, run["id"], *requested, "read_deleted", "created_time", "started_time"
    )
    assert found == {
        "source": "warehouse",
        "tags": {"a": "1", "b": "2"},
        "timeout_seconds": 90.5,
        "content_encoding": "gzip",
        "content_type": "csv",
        "read_deleted": True,
        "created_time": "2026-11-24T12:00:00.000Z",
    }


async def test_read_deleted_includes_them_on_v2(harness: AppHarness) -> None:
    """v2 includes deleted rows, v1 selects only them (contract H3)."""
    for flag, meaning in ((True, DeletedRows.INCLUDE), (False, DeletedRows.EXCLUDE)):
        created = await harness.create(read_deleted=flag)
        run = await harness.app.runs.store.get(created["id"])
        assert run is not None
        assert run.request.deleted_rows is meaning


async def test_a_run_has_at_most_its_sources_time(harness: AppHarness) -> None:
    """`timeout_seconds` lowers the limit and never raises it."""
    run = await harness.create(timeout_seconds=7200)
    assert (await fields_of(harness, run["id"], "timeout_seconds"))["timeout_seconds"] <= 3600  # type: ignore[operator]


async def test_a_run_has_the_retries_of_its_source(harness: AppHarness) -> None:
    """And keeps those that it was accepted with."""
    sources = harness.app.runs.sources
    assert isinstance(sources, dict)
    sources["live"] = replace(sources["live"], max_retries=1)
    created = await harness.create()
    assert created["remaining_attempts"] == 1
    sources["live"] = replace(sources["live"], max_retries=2)
    job = (await harness.call("GET", f"/query/jobs/{created['id']}")).json()["data"]
    assert (job["remainingRetries"], job["retries"]) == (1, 1)


def public_key(bits: int) -> str:
    """A fresh key, in base64 as the contract has it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


async def test_a_key_is_accepted_and_never_rendered(harness: AppHarness) -> None:
    text = public_key(2048)
    response = await harness.call("POST", RUNS, json={**SELECT, "encryption_key": text})
    assert response.status_code == 201
    assert text not in response.text
    assert "warning" not in response.headers
    run = await harness.app.runs.store.get(response.json()["id"])
    assert run is not None
    assert run.request.output.encryption_key == text


async def test_the_contracts_own_key_size_is_accepted_with_a_warning(harness: AppHarness) -> None:
    response = await harness.call("POST", RUNS, json={**SELECT, "encryption_key": public_key(1024)})
    assert response.status_code == 201
    assert "1024 bits" in response.headers["warning"]


async def test_every_wrong_property_is_reported_at_once(harness: AppHarness) -> None:
    body = {"sql": "", "content_type": "xml", "read_deleted": 1, "other": 1, "tags": 5}
    response = await harness.call("POST", RUNS, json=body, params={"page_size": "0"})
    named = {entry["parameter"] for entry in response.json()["errors"]}
    assert named == {"sql", "content_type", "read_deleted", "other", "tags", "page_size"}

"""Fields of ours: there when asked for, never otherwise (contract H10)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from queryrun.errors import Failure, FailureCode
from queryrun.runs.model import DeletedRows
from tests.http.house import SELECT, House

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"


async def asked(house: House, run_id: str, *fields: str) -> dict[str, object]:
    """The run with these fields."""
    answer = await house.call("GET", f"{RUNS}/{run_id}", params={"fields[]": ",".join(fields)})
    return dict(answer.json())


async def test_the_queue_position_counts_those_before(house: House) -> None:
    first, second = await house.create(), await house.create()
    assert await asked(house, first["id"], "queue_position") == {"queue_position": 0}
    assert await asked(house, second["id"], "queue_position") == {"queue_position": 1}
    await house.complete(first["id"])
    assert await asked(house, first["id"], "queue_position") == {}


async def test_attempts_tell_the_history(house: House) -> None:
    run = await house.create()
    ref = await house.claim(run["id"])
    house.clock.move(1)
    await house.requeue(ref, Failure(FailureCode.WORKER_LOST, "the worker was killed"))
    house.clock.move(1)
    await house.complete(run["id"])
    found = await asked(house, run["id"], "attempts", "remaining_attempts")
    assert found["remaining_attempts"] == 2
    attempts = found["attempts"]
    assert isinstance(attempts, list)
    assert [(one["number"], one["outcome"]) for one in attempts] == [
        (1, "retried"),
        (2, "complete"),
    ]
    assert attempts[0]["started_time"] < attempts[0]["ended_time"] < attempts[1]["started_time"]


async def test_a_cancellation_is_on_the_record(house: House) -> None:
    run = await house.create()
    house.free_on_cancel(await house.claim(run["id"]))
    await house.call("POST", f"{RUNS}/{run['id']}/cancel")
    found = await asked(house, run["id"], "cancellation")
    record = found["cancellation"]
    assert isinstance(record, dict)
    assert record["reason"] == "user"
    assert record["canceled_by"] == house.client_id
    assert record["engine_stop"] == "killed"
    assert record["stage"] == "executing"
    assert record["requested_time"] <= record["canceled_time"]


async def test_what_was_asked_for_can_be_read_back(house: House) -> None:
    run = await house.create(
        source="warehouse",
        tags={"b": "2", "a": "1"},
        timeout_seconds=90.5,
        content_encoding="gzip",
        read_deleted=True,
    )
    wanted = ("source", "tags", "timeout_seconds", "content_encoding", "content_type")
    found = await asked(house, run["id"], *wanted, "read_deleted", "created_time", "started_time")
    assert found == {
        "source": "warehouse",
        "tags": {"a": "1", "b": "2"},
        "timeout_seconds": 90.5,
        "content_encoding": "gzip",
        "content_type": "csv",
        "read_deleted": True,
        "created_time": "2026-11-24T12:00:00.000Z",
    }


async def test_read_deleted_includes_them_on_this_face(house: House) -> None:
    """Contract H3."""
    for flag, meaning in ((True, DeletedRows.INCLUDE), (False, DeletedRows.EXCLUDE)):
        created = await house.create(read_deleted=flag)
        run = await house.parts.runs.store.get(created["id"])
        assert run is not None
        assert run.request.deleted_rows is meaning


async def test_a_run_has_at_most_its_sources_time(house: House) -> None:
    """`timeout_seconds` lowers the limit and never raises it."""
    run = await house.create(timeout_seconds=7200)
    assert (await asked(house, run["id"], "timeout_seconds"))["timeout_seconds"] <= 3600  # type: ignore[operator]


def public_key(bits: int) -> str:
    """A fresh key, in base64 as the contract has it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


async def test_a_key_is_accepted_and_never_shown(house: House) -> None:
    text = public_key(2048)
    answer = await house.call("POST", RUNS, json={**SELECT, "encryption_key": text})
    assert answer.status_code == 201
    assert text not in answer.text
    assert "warning" not in answer.headers
    run = await house.parts.runs.store.get(answer.json()["id"])
    assert run is not None
    assert run.request.output.encryption_key == text


async def test_the_contracts_own_key_size_is_accepted_with_a_warning(house: House) -> None:
    answer = await house.call("POST", RUNS, json={**SELECT, "encryption_key": public_key(1024)})
    assert answer.status_code == 201
    assert "1024 bits" in answer.headers["warning"]


async def test_every_wrong_property_is_reported_at_once(house: House) -> None:
    body = {"sql": "", "content_type": "xml", "read_deleted": 1, "other": 1, "tags": 5}
    answer = await house.call("POST", RUNS, json=body, params={"page_size": "0"})
    named = {entry["parameter"] for entry in answer.json()["errors"]}
    assert named == {"sql", "content_type", "read_deleted", "other", "tags", "page_size"}

"""What requests write into the audit log, and what never gets in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from queryrun.http.login_failures import RECORDED_PER_MINUTE
from tests.http.app_harness import SELECT, AppHarness

pytestmark = pytest.mark.anyio


async def log(harness: AppHarness) -> list[dict[str, Any]]:
    """The entries, oldest first, with their detail decoded."""
    audit = harness.database.audit
    while await audit.seal():
        pass
    entries = await audit.entries(after=0, limit=10_000)
    return [{**entry.fields, **entry.fields["detail"]} for entry in entries]


async def test_a_submit_is_recorded_with_a_fingerprint_and_never_its_text(
    harness: AppHarness,
) -> None:
    first, second = await harness.create(), await harness.create()
    await harness.create(sql="SELECT 2")
    entries = await log(harness)
    assert [one["event"] for one in entries] == ["run_submitted"] * 3
    assert [one["subject"] for one in entries[:2]] == [first["id"], second["id"]]
    assert entries[0]["client_id"] == harness.client_id
    assert entries[0]["remote_address"] == "192.0.2.1"
    prints = [one["fingerprint"] for one in entries]
    assert prints[0] == prints[1] != prints[2]
    assert "SELECT" not in json.dumps(entries)


async def test_a_refused_submit_is_not_recorded(harness: AppHarness) -> None:
    await harness.call("POST", "/v2/query_runs", json={"sql": "SELECT 1"})
    assert await log(harness) == []


async def test_cancels_and_reads_of_results_are_recorded(harness: AppHarness) -> None:
    canceled = (await harness.create())["id"]
    await harness.call("POST", f"/v2/query_runs/{canceled}/cancel")
    read = (await harness.create())["id"]
    await harness.complete(read)
    await harness.call("GET", f"/v2/query_runs/{read}/rows")
    url = (await harness.call("GET", f"/v2/query_runs/{read}")).json()["file"]["url"]
    await harness.http.get(url, headers={"range": "bytes=1-2"})
    await harness.http.head(url)
    entries = [one for one in await log(harness) if one["event"] != "run_submitted"]
    assert [(one["event"], one["subject"]) for one in entries] == [
        ("run_cancel_requested", canceled),
        ("result_read", read),
        ("result_read", read),
    ]
    assert entries[0]["reason"] == "user"
    assert (entries[1]["way"], entries[1]["client_id"]) == ("rows", harness.client_id)
    assert (entries[2]["way"], entries[2]["start"], entries[2]["end"]) == ("link", 1, 3)


async def test_failed_logins_are_recorded_without_what_was_sent(harness: AppHarness) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": harness.client_id,
        "client_secret": "not the secret",
    }
    await harness.call("POST", "/oauth/token", token="", data=form)
    await harness.call("GET", "/v2/query_runs", token="qrt_" + "0" * 64)
    await harness.call("GET", "/v2/query_runs", token="")
    entries = await log(harness)
    assert [(one["event"], one["subject"]) for one in entries] == [
        ("login_failed", harness.client_id),
        ("login_failed", ""),
    ]
    assert "not the secret" not in json.dumps(entries)


async def test_a_flood_of_failed_logins_does_not_fill_the_log(harness: AppHarness) -> None:
    for _ in range(RECORDED_PER_MINUTE + 5):
        await harness.call("GET", "/v2/query_runs", token="wrong")
    harness.clock.move(60)
    await harness.call("GET", "/v2/query_runs", token="wrong")
    entries = await log(harness)
    assert len(entries) == RECORDED_PER_MINUTE + 1
    assert entries[-1]["not_recorded_before"] == 5


async def test_a_result_is_not_sent_when_its_reading_cannot_be_recorded(
    harness: AppHarness,
) -> None:
    run_id = (await harness.create(**SELECT))["id"]
    await harness.complete(run_id)
    url = (await harness.call("GET", f"/v2/query_runs/{run_id}")).json()["file"]["url"]
    harness.database.close()
    assert (await harness.http.get(url)).status_code == 503

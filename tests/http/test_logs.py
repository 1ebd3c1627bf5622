"""One log line per response: client, route, duration; never SQL, a secret, a token or a link."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.http.app_harness import SELECT, AppHarness

pytestmark = pytest.mark.anyio

PRIVATE = "SELECT 'private words' AS x"


async def test_a_response_is_logged_with_its_ids_and_without_its_content(
    harness: AppHarness,
) -> None:
    with capture_logs() as lines:
        run = await harness.create(sql=PRIVATE, tags={"t": "private words"})
        await harness.call(
            "GET",
            f"/v2/query_runs/{run['id']}",
            params={"filter[]": "sql.EQ:private words"},
            headers={"zuora-track-id": "nightly"},
        )
    created, read = lines
    assert created["event"] == "request_completed"
    assert created["route"] == "/v2/query_runs"
    assert created["status"] == 201
    assert created["run_id"] == run["id"]
    assert created["client_id"] == harness.client_id
    assert created["entity_id"]
    assert read["track_id"] == "nightly"
    assert read["request_id"] != created["request_id"]
    assert read["route"] == "/v2/query_runs/{query_run_id}"
    assert "private" not in str(lines)
    assert harness.token not in str(lines)


async def test_a_download_is_logged_without_its_signature(harness: AppHarness) -> None:
    run = await harness.create()
    await harness.complete(run["id"])
    url = (await harness.call("GET", f"/v2/query_runs/{run['id']}")).json()["file"]["url"]
    with capture_logs() as lines:
        await harness.call("GET", url, token="")
    assert lines[0]["route"] == "/files/{key}"
    assert url.partition("signature=")[2] not in str(lines)


async def test_a_token_request_is_logged_without_its_secret(harness: AppHarness) -> None:
    form = {
        "client_id": harness.client_id,
        "client_secret": harness.secret,
        "grant_type": "client_credentials",
    }
    with capture_logs() as lines:
        response = await harness.call("POST", "/oauth/token", token="", data=form)
    assert harness.secret not in str(lines)
    assert response.json()["access_token"] not in str(lines)


async def test_an_unexpected_error_is_logged_without_its_message(
    harness: AppHarness,
) -> None:
    """The words of a foreign exception may quote a statement."""
    harness.guard.broken = True
    with capture_logs() as lines:
        response = await harness.call("POST", "/v2/query_runs", json={**SELECT, "sql": PRIVATE})
    assert response.status_code == 500
    surprise = lines[0]
    assert surprise["event"] == "internal_error"
    assert surprise["error"] == "RuntimeError"
    assert any("app_harness.py" in frame for frame in surprise["frames"])
    assert "private" not in str(lines)


async def test_an_unknown_path_is_logged_as_no_route(harness: AppHarness) -> None:
    """So that no caller can fill the log or the metrics with arbitrary names."""
    with capture_logs() as lines:
        await harness.call("GET", "/private-words")
        await harness.call("PRIVATE", "/private-words")
    assert [line["route"] for line in lines] == ["-", "-"]
    assert "private-words" not in str(lines)
    metrics = (await harness.call("GET", "/metrics", token="")).text
    assert "private" not in metrics.lower()

"""`/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import pytest

from tests.http.app_harness import AppHarness

pytestmark = pytest.mark.anyio


async def test_alive_needs_no_token_and_checks_nothing(harness: AppHarness) -> None:
    harness.knobs.checks = {"store": "away"}
    response = await harness.call("GET", "/healthz", token="")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_ready_when_every_part_is(harness: AppHarness) -> None:
    response = await harness.call("GET", "/readyz", token="")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {"store": "ok"}}


async def test_not_ready_names_the_part_that_is_not(harness: AppHarness) -> None:
    harness.knobs.checks = {"store": "ok", "live": "no worker starts"}
    response = await harness.call("GET", "/readyz", token="")
    assert response.status_code == 503
    assert response.json()["checks"]["live"] == "no worker starts"


async def test_not_ready_while_draining(harness: AppHarness) -> None:
    harness.knobs.accepting = False
    response = await harness.call("GET", "/readyz", token="")
    assert response.status_code == 503
    assert response.json()["checks"]["node"] == "draining"


async def test_metrics_count_requests_and_runs(harness: AppHarness) -> None:
    run = await harness.create()
    await harness.create(source="warehouse")
    await harness.claim(run["id"])
    await harness.create()
    text = (await harness.call("GET", "/metrics", token="")).text
    created = 'route="/v2/query_runs",status="201"'
    assert f'queryrun_http_requests_total{{method="POST",{created}}} 3.0' in text
    assert 'queryrun_runs{source="live",state="accepted"} 1.0' in text
    assert 'queryrun_runs{source="live",state="in_progress"} 1.0' in text
    assert "queryrun_http_request_seconds_bucket" in text


async def test_head_works_on_every_get(harness: AppHarness) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        response = await harness.call("HEAD", path, token="")
        assert response.status_code == 200
        assert response.content == b""


@pytest.mark.parametrize("token", ["", "wrong", "the-toke", "THE-TOKEN"])
async def test_metrics_ask_for_the_operators_token_if_there_is_one(
    harness: AppHarness, token: str
) -> None:
    object.__setattr__(harness.app, "metrics_token", "the-token")
    assert (await harness.call("GET", "/metrics", token=token)).status_code == 401
    assert (await harness.call("GET", "/metrics", token="the-token")).status_code == 200
    assert (await harness.call("GET", "/healthz", token="")).status_code == 200

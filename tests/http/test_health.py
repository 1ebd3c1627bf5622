"""`/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import pytest

from tests.http.house import House

pytestmark = pytest.mark.anyio


async def test_alive_needs_no_token_and_looks_at_nothing(house: House) -> None:
    house.knobs.checks = {"store": "away"}
    answer = await house.call("GET", "/healthz", token="")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready_when_every_part_is(house: House) -> None:
    answer = await house.call("GET", "/readyz", token="")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"store": "ok"}}


async def test_not_ready_says_which_part_is_not(house: House) -> None:
    house.knobs.checks = {"store": "ok", "live": "no worker starts"}
    answer = await house.call("GET", "/readyz", token="")
    assert answer.status_code == 503
    assert answer.json()["checks"]["live"] == "no worker starts"


async def test_not_ready_while_draining(house: House) -> None:
    house.knobs.accepting = False
    answer = await house.call("GET", "/readyz", token="")
    assert answer.status_code == 503
    assert answer.json()["checks"]["node"] == "draining"


async def test_metrics_count_requests_and_runs(house: House) -> None:
    run = await house.create()
    await house.create(source="warehouse")
    await house.claim(run["id"])
    await house.create()
    text = (await house.call("GET", "/metrics", token="")).text
    created = 'route="/v2/query_runs",status="201"'
    assert f'queryrun_http_requests_total{{method="POST",{created}}} 3.0' in text
    assert 'queryrun_runs{source="live",state="accepted"} 1.0' in text
    assert 'queryrun_runs{source="live",state="in_progress"} 1.0' in text
    assert "queryrun_http_request_seconds_bucket" in text


async def test_head_works_on_every_get(house: House) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        answer = await house.call("HEAD", path, token="")
        assert answer.status_code == 200
        assert answer.content == b""

"""Request rates per entity (contract D3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from queryrun.http.rate_limits import API_PRESETS, Rates
from tests.conftest import Clock
from tests.http.app_harness import (
    ACME,
    DEFAULT_SETTINGS,
    FOREIGN,
    GLOBEX,
    AppHarness,
    open_app_harness,
)
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

RUN = "/v2/query_runs/nonsense"
RATE_HEADERS = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")


async def test_every_response_has_the_remaining_quota(tmp_path: Path, clock: Clock) -> None:
    """Plain integers: one SDK passes them to int() (contract A11)."""
    settings = replace(DEFAULT_SETTINGS, api_rates=API_PRESETS["developer_sandbox"])
    async with open_app_harness(tmp_path, clock, settings) as harness:
        response = await harness.call("GET", RUN)
    limit = "12500, 12500;w=60, 25000;w=3600, 50000;w=86400"
    assert response.headers["ratelimit-limit"] == limit
    assert int(response.headers["ratelimit-remaining"]) == 12_499
    assert int(response.headers["ratelimit-reset"]) == 1


async def test_a_used_up_rate_is_429_until_retry_after(tmp_path: Path, clock: Clock) -> None:
    async with open_app_harness(
        tmp_path, clock, replace(DEFAULT_SETTINGS, api_rates=Rates.of(2))
    ) as harness:
        for _ in range(2):
            assert_problem(await harness.call("GET", RUN), 404)
        refused = await harness.call("GET", RUN)
        assert_problem(refused, 429)
        assert refused.headers["retry-after"] == "30"
        assert refused.headers["ratelimit-remaining"] == "0"
        clock.move(30)
        assert_problem(await harness.call("GET", RUN), 404)


async def test_clients_of_an_entity_share_its_rate_and_entities_do_not(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_app_harness(
        tmp_path, clock, replace(DEFAULT_SETTINGS, api_rates=Rates.of(1))
    ) as harness:
        colleague = await harness.new_token(ACME)
        stranger = await harness.new_token(FOREIGN)
        assert_problem(await harness.call("GET", RUN), 404)
        assert_problem(await harness.call("GET", RUN, token=colleague), 429)
        assert_problem(await harness.call("GET", RUN, token=stranger), 404)
        neighbour = await harness.new_token(GLOBEX)
        assert_problem(await harness.call("GET", RUN, token=neighbour), 404)


async def test_off_means_no_limit_and_no_headers(harness: AppHarness) -> None:
    response = await harness.call("GET", RUN)
    assert not set(RATE_HEADERS) & set(response.headers)


async def test_downloads_and_health_are_not_counted(tmp_path: Path, clock: Clock) -> None:
    async with open_app_harness(
        tmp_path, clock, replace(DEFAULT_SETTINGS, api_rates=Rates.of(2))
    ) as harness:
        run = await harness.create()
        await harness.complete(run["id"])
        read = await harness.call("GET", f"/v2/query_runs/{run['id']}")
        for _ in range(5):
            assert (await harness.call("GET", read.json()["file"]["url"])).status_code == 200
            assert (await harness.call("GET", "/healthz")).status_code == 200

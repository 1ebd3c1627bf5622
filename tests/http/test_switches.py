"""What an operator can set about the HTTP layer has an effect."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from queryrun.http.context import HttpSettings
from queryrun.runs.model import DeletedRows
from queryrun.settings import RateSettings, ResultSettings, ServerSettings, Settings
from queryrun.wiring.options import http_settings
from tests.conftest import Clock
from tests.http.app_harness import OPEN_SETTINGS, SELECT, open_app_harness
from tests.http.problem import assert_problem

pytestmark = pytest.mark.anyio

RUNS = "/v2/query_runs"
FIXED = {"auth_tenant_rates", "follow_options"}
"""Not settings: the contract's figures, and what proxies need."""


def test_every_switch_is_reached_by_a_setting() -> None:
    default = http_settings(Settings())
    changed = http_settings(
        Settings(
            server=ServerSettings(
                roles="worker",
                request_timeout_s=1.0,
                max_body_bytes=1,
                max_streams_per_client=1,
                list_runs=False,
                strict_fields=True,
                extensions="always",
                v2_read_deleted="only",
                serve_docs=False,
                serve_console=False,
                session_idle_s=1.0,
            ),
            results=ResultSettings(link_ttl_s=1),
            rates=RateSettings(preset="off", auth_per_address_per_minute=1),
        )
    )
    same = {
        field.name
        for field in fields(HttpSettings)
        if getattr(default, field.name) == getattr(changed, field.name)
    }
    assert same == FIXED


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_strict_fields_refuse_unknown_names(
    tmp_path: Path, clock: Clock, method: str
) -> None:
    """The setting `server.strict_fields` (contract C1)."""
    settings = replace(OPEN_SETTINGS, strict_fields=True)
    async with open_app_harness(tmp_path, clock, settings) as harness:
        body = SELECT if method == "POST" else None
        response = await harness.call(method, f"{RUNS}?fields[]=id,stat", json=body)
        assert_problem(response, 400, "fields[]")


@pytest.mark.parametrize(
    ("setting", "read_deleted", "deleted_rows"),
    [
        (DeletedRows.INCLUDE, True, DeletedRows.INCLUDE),
        (DeletedRows.ONLY, True, DeletedRows.ONLY),
        (DeletedRows.ONLY, False, DeletedRows.EXCLUDE),
    ],
)
async def test_read_deleted_means_what_is_set(
    tmp_path: Path,
    clock: Clock,
    setting: DeletedRows,
    deleted_rows: DeletedRows,
    *,
    read_deleted: bool,
) -> None:
    """The setting `server.v2_read_deleted` (contract H3)."""
    settings = replace(OPEN_SETTINGS, read_deleted=setting)
    async with open_app_harness(tmp_path, clock, settings) as harness:
        created = await harness.create(read_deleted=read_deleted)
        run = await harness.app.runs.store.get(created["id"])
    assert run is not None
    assert run.request.deleted_rows is deleted_rows


async def test_a_body_over_the_limit_is_refused(tmp_path: Path, clock: Clock) -> None:
    settings = replace(OPEN_SETTINGS, max_body_bytes=100)
    async with open_app_harness(tmp_path, clock, settings) as harness:
        response = await harness.call("POST", RUNS, json={**SELECT, "sql": "SELECT " + "1" * 100})
        assert_problem(response, 413, "body", code="payload_too_large")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_the_description_of_the_api_can_be_switched_off(
    tmp_path: Path, clock: Clock, path: str
) -> None:
    """The setting `server.serve_docs`: some keep it inside."""
    async with open_app_harness(tmp_path, clock, OPEN_SETTINGS) as harness:
        assert (await harness.call("GET", path, token="")).status_code == 200
    other = tmp_path / "other"
    other.mkdir()
    async with open_app_harness(other, clock, replace(OPEN_SETTINGS, serve_docs=False)) as harness:
        assert (await harness.call("GET", path, token="")).status_code == 404

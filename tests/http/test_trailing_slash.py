"""A path with a slash at its end is the path without (contract A1): every one of the table."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from queryrun.engines.base import ColumnInfo
from queryrun.http.operations import Operation
from queryrun.http.routes import operations
from queryrun.services.catalog.frames import TableShape
from tests.http.app_harness import ACME, DEFAULT_SETTINGS, SELECT, AppHarness
from tests.http.conformance_v1 import QUERY

pytestmark = pytest.mark.anyio

OPERATIONS = operations(DEFAULT_SETTINGS)
API = [one for one in OPERATIONS if one.tag not in ("Console", "Manual")]
"""Pages for people know their addresses: `test_console_pages.py`, `test_manual.py`."""
REQUEST_ID = "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"
VARYING = {"id", "job_id", "created_time", "updated_time", "createdOn", "updatedOn"}


@pytest.mark.parametrize("operation", API, ids=lambda one: f"{one.method} {one.path}")
async def test_a_slash_at_the_end_changes_nothing(
    harness: AppHarness, operation: Operation
) -> None:
    url, body = await request_of(harness, operation)
    plain = await harness.call(operation.method, str(url), **body)
    slashed = await harness.call(operation.method, str(slashed_url(url)), **body)
    assert slashed.status_code == plain.status_code
    assert "location" not in slashed.headers or slashed.status_code in (201, 202)
    assert headers_of(slashed) == headers_of(plain)
    assert shape_of(slashed) == shape_of(plain)
    reached = ("could not be found", "not given the scope")
    assert plain.status_code < 300 or any(text in plain.text for text in reached), plain.text


async def test_the_methods_of_every_path_are_the_same_with_a_slash(harness: AppHarness) -> None:
    """Of one service for all paths: nothing is changed by a refusal."""
    for path in sorted({one.path for one in OPERATIONS} - {"/"}):
        concrete = path.replace("{", "").replace("}", "")
        plain = await harness.call("PATCH", concrete)
        slashed = await harness.call("PATCH", f"{concrete}/")
        assert plain.status_code == slashed.status_code == 405, path
        assert plain.headers["allow"] == slashed.headers["allow"], path
        assert plain.json() == slashed.json(), f"{path}: in the body shape of the same API"


@pytest.mark.parametrize("path", ["/v2/query_runs//", "/query/jobs//", "/nothing/"])
async def test_no_other_path_is_found_by_it(harness: AppHarness, path: str) -> None:
    response = await harness.call("GET", path)
    assert response.status_code == 404


async def test_a_slash_that_belongs_to_a_name_stays(harness: AppHarness) -> None:
    harness.tables.known[("live", ACME.id)] = (TableShape("account", ()),)
    assert (await harness.call("GET", "/v2/tables/account/")).status_code == 200
    assert (await harness.call("GET", "/v2/tables/account%2F")).status_code == 404


async def test_both_spellings_are_one_request_to_an_idempotency_key(harness: AppHarness) -> None:
    for path, job in (("/v2/query_runs", SELECT), ("/query/jobs", QUERY)):
        key = {"idempotency-key": path}
        first = await harness.call("POST", path, json=job, headers=key)
        again = await harness.call("POST", f"{path}/", json=job, headers=key)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"


async def request_of(
    harness: AppHarness, operation: Operation
) -> tuple[httpx2.URL, dict[str, Any]]:
    """A request that reaches the operation's handler and finds what it looks for, but for the
    cancels: theirs is an unknown run, because the second would be refused."""
    if operation.method == "DELETE" or operation.path.endswith("/cancel"):
        run_id = REQUEST_ID
    else:
        run_id = (await harness.create())["id"]
        await harness.complete(run_id)
    harness.tables.known[("live", ACME.id)] = (TableShape("t", (ColumnInfo("id", "varchar"),)),)
    values = {"query_run_id": run_id, "job_id": run_id, "request_id": REQUEST_ID, "name": "t"}
    values |= dict.fromkeys(("statement_id", "webhook_id", "delivery_id"), REQUEST_ID)
    if operation.name == "downloadFile":
        run = (await harness.call("GET", f"/v2/query_runs/{run_id}")).json()
        return httpx2.URL(run["file"]["url"]), {}
    path = operation.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    credentials = {"client_id": harness.client_id, "client_secret": harness.secret}
    bodies: dict[str, dict[str, Any]] = {
        "createQueryRun": {"json": SELECT},
        "createDataQueryJob": {"json": QUERY},
        "validateStatement": {"json": {"sql": "SELECT 1"}},
        "saveStatement": {"json": {"name": "one", "sql": "SELECT 1"}},
        "changeStatement": {"json": {"name": "one", "sql": "SELECT 1"}},
        "createWebhook": {"json": {"url": "https://127.0.0.1/"}},
        "changeWebhook": {"json": {"paused": True}},
        "replayWebhookDeliveries": {"json": {"ids": ["unknown"]}},
        "createToken": {"data": {"grant_type": "client_credentials", **credentials}},
        "revokeToken": {"data": {"token": "unknown", **credentials}},
        "getQueryRunEvents": {"headers": {"last-event-id": "9" * 13}},
    }
    return httpx2.URL(path), bodies.get(operation.name, {})


def slashed_url(url: httpx2.URL) -> httpx2.URL:
    return url.copy_with(raw_path=url.raw_path.replace(url.path.encode(), url.path.encode() + b"/"))


def headers_of(response: httpx2.Response) -> set[str]:
    return {name for name in response.headers if name != "content-length"}


def shape_of(response: httpx2.Response) -> object:
    """The body's keys and values, without what differs between two requests that are the same."""
    if response.headers.get("content-type") != "application/json":
        return bool(response.content)
    return keys_of(response.json())


def keys_of(value: object) -> object:
    if isinstance(value, dict):
        return {name: keys_of(one) for name, one in value.items() if name not in VARYING}
    return [keys_of(one) for one in value] if isinstance(value, list) else type(value)

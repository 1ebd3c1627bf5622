"""Why a run failed, in headers of every response about it (contract D3, H10)."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx2
import pytest

from queryrun.errors import Failure, FailureCode
from queryrun.runs.model import Run
from tests.conftest import Clock
from tests.http.app_harness import OPEN_SETTINGS, SELECT, AppHarness, open_app_harness
from tests.http.conformance_v1 import QUERY

pytestmark = pytest.mark.anyio

FAILURE = Failure(FailureCode.NAME_NOT_FOUND, "Column 'größe' cannot be resolved, 100% sure", 1, 8)
NAMES = {"queryrun-error-code", "queryrun-error-message"}


def error_of(response: httpx2.Response) -> tuple[str, str]:
    """Code and message, decoded."""
    headers = response.headers
    return headers["queryrun-error-code"], unquote(headers["queryrun-error-message"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v2/query_runs/{}", "/v2/query_runs/{}?fields[]=id",
                                  "/query/jobs/{}"])  # fmt: skip
async def test_a_failed_run_says_why_in_headers(
    harness: AppHarness, method: str, path: str
) -> None:
    run = await harness.create()
    await harness.fail(run["id"], FAILURE)
    response = await harness.call(method, path.format(run["id"]))
    assert error_of(response) == ("name_not_found", FAILURE.message)
    assert '"error"' not in response.text


@pytest.mark.parametrize(("path", "body"), [("/v2/query_runs", SELECT), ("/query/jobs", QUERY)])
async def test_a_create_that_waits_for_a_failure_says_why(
    harness: AppHarness, path: str, body: dict[str, Any]
) -> None:
    def fail_soon(run: Run) -> None:
        if run.state.value == "accepted":
            tasks.append(asyncio.ensure_future(harness.fail(run.id, FAILURE)))

    tasks: list[asyncio.Future[Run]] = []
    harness.app.runs.notifier.add_listener(fail_soon)
    response = await harness.call("POST", path, json=body, headers={"prefer": "wait=30"})
    assert error_of(response) == ("name_not_found", FAILURE.message)


async def test_no_other_run_has_these_headers(harness: AppHarness) -> None:
    """Least of all one that is queued again after a failure: it has not failed."""
    complete = await harness.create()
    await harness.complete(complete["id"])
    requeued = await harness.create()
    ref = await harness.claim(requeued["id"])
    await harness.requeue(ref, Failure(FailureCode.WORKER_LOST, "the worker was killed"))
    canceled = await harness.create()
    await harness.call("POST", f"/v2/query_runs/{canceled['id']}/cancel")
    for run in (complete, requeued, canceled):
        for path in (f"/v2/query_runs/{run['id']}", f"/query/jobs/{run['id']}"):
            assert not NAMES & set((await harness.call("GET", path)).headers)


@pytest.mark.parametrize(
    "text",
    [
        "two\r\nlines\x00and\x1b[31m more\u2028here\x85",
        "x-injected: 1\r\n\r\nbody",
        "+ a plus, 100 %, é, 漢字, 😀, \ud800 alone",
        "漢" * 5000,
        "a" * 1999 + "😀" * 10,
        "",
    ],
)
async def test_any_message_is_one_short_line_of_ascii(harness: AppHarness, text: str) -> None:
    run = await harness.create()
    stored = text.encode("utf-8", "replace").decode()
    await harness.fail(run["id"], Failure(FailureCode.STATEMENT_FAILED, stored))
    response = await harness.call("GET", f"/v2/query_runs/{run['id']}")
    assert "x-injected" not in response.headers
    sent = response.headers.get("queryrun-error-message", "")
    assert sent.isascii()
    assert len(sent) <= 2000
    decoded = unquote(sent, errors="strict")
    assert quote(decoded, safe="") == sent, "one way to write it"
    assert not any(unicodedata.category(one) in ("Cc", "Zl", "Zp") for one in decoded)
    if len(quote(text, safe="", errors="replace")) > 2000:
        assert decoded.endswith("…")
        assert text.startswith(decoded[:-1])
        assert len(sent) > 2000 - 24, "as much as fits"


async def test_with_the_setting_every_response_has_every_extension(
    tmp_path: Path, clock: Clock
) -> None:
    """The setting `server.extensions = "always"` (contract H10)."""
    settings = replace(OPEN_SETTINGS, always_extensions=True)
    async with open_app_harness(tmp_path, clock, settings) as harness:
        created = await harness.create(tags={"team": "billing"})
        assert created["queue_position"] == 0
        assert created["tags"] == {"team": "billing"}
        await harness.complete(created["id"])
        failed = await harness.create()
        await harness.fail(failed["id"], FAILURE)
        run = (await harness.call("GET", f"/v2/query_runs/{failed['id']}")).json()
        assert run["error"]["code"] == "name_not_found"
        assert [one["outcome"] for one in run["attempts"]] == ["failed"]
        assert run["created_time"]
        page = (await harness.call("GET", "/v2/query_runs")).json()["data"]
        assert [one["state"] for one in page] == ["failed", "complete"]
        assert page[0] == run
        assert {"size", "sha256"} <= set(page[1]["file"])
        named = await harness.call(
            "GET", f"/v2/query_runs/{failed['id']}", params={"fields[]": "id,created_time"}
        )
        assert set(named.json()) == {"id", "created_time"}
        later = await harness.call("POST", "/v2/query_runs", json=SELECT, headers={"async": "true"})
        outcome = await harness.call("GET", f"/v2/requests/{later.json()['request_id']}")
        assert outcome.json()["body"]["created_time"]


async def test_without_it_no_response_has_any(harness: AppHarness) -> None:
    """Neither the list nor the outcome of an asynchronous request."""
    run = await harness.create(tags={"team": "billing"})
    await harness.fail(run["id"], FAILURE)
    later = await harness.call("POST", "/v2/query_runs", json=SELECT, headers={"async": "true"})
    outcome = await harness.call("GET", f"/v2/requests/{later.json()['request_id']}")
    contract = {"created_by_id", "id", "sql", "remaining_attempts", "updated_time", "state"}
    assert set(outcome.json()["body"]) == contract
    page = await harness.call("GET", "/v2/query_runs")
    assert [set(one) for one in page.json()["data"]] == [contract, contract]
    named = await harness.call("GET", "/v2/query_runs", params={"fields[]": "id,created_time"})
    assert [set(one) for one in named.json()["data"]] == [{"id"}, {"id"}]

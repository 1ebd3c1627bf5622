"""The official Python SDK, `zuora-sdk` from the registry, unmodified, against a real server.

It has quirks (contract A9, A11, E). Where the server cannot make up for a defect of the SDK, the
test shows the workaround that `docs/how-to/moving-from-the-hosted-api.md` gives.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest

from tests.clients.driven import Driven, driven
from tests.e2e.conftest import RUNAWAY, Server

pytestmark = pytest.mark.xdist_group("official-sdk")

Serve = Callable[..., Server]
SQL = "SELECT i AS id, 'x' || i AS name FROM range(3) r(i) ORDER BY i"
UNKNOWN = "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"


@pytest.fixture(scope="module")
def driver() -> Iterator[Driven]:
    """One process for all tests: importing the SDK takes seconds."""
    with driven("zuora_sdk_driver.py") as sdk:
        yield sdk


@pytest.fixture
def server(common: Server) -> Server:
    """One server for all tests, and a client of each test's own."""
    return common


@pytest.fixture
def sdk(driver: Driven, server: Server) -> Driven:
    """The SDK with a token of the server."""
    issued = server.made.issued
    connected = driver.send_request(
        "connect", url=server.url, client_id=issued.client.id, secret=issued.secret
    )
    assert connected["has_token"], connected["printed"]
    return driver


def body(sql: str = SQL, **changes: Any) -> dict[str, Any]:
    """What the SDK's documentation submits."""
    return {
        "query": sql,
        "output_format": "JSON",
        "compression": "NONE",
        "output": {"target": "S3"},
        **changes,
    }


def submitted(sdk: Driven, sql: str = SQL, **changes: Any) -> dict[str, Any]:
    job: dict[str, Any] = sdk.result("post_data_query_job", body=body(sql, **changes))["data"]
    return job


def finished(sdk: Driven, server: Server, job_id: str) -> dict[str, Any]:
    """The job as the SDK reads it, once it has finished; the waiting is done on v2."""
    server.finished(job_id)
    job: dict[str, Any] = sdk.result("get_data_query_job", job_id=job_id)["data"]
    return job


def test_the_sdk_gets_a_token_and_refreshes_it_with_the_old_bearer(sdk: Driven) -> None:
    refreshed = sdk.send_request("refresh")
    assert (refreshed["has_token"], refreshed["changed"], refreshed["printed"]) == (True, True, "")
    assert refreshed["interval_s"] == 600
    assert submitted(sdk)["queryStatus"] == "accepted"


def test_an_earlier_token_stays_valid_after_a_refresh(sdk: Driven, server: Server) -> None:
    """The SDK refreshes every ten minutes in each of its clients (contract E)."""
    sdk.send_request("refresh")
    assert server.http.get("/query/jobs").status_code == 200


def test_a_job_is_submitted_read_and_downloaded(sdk: Driven, server: Server) -> None:
    job = submitted(sdk)
    assert set(job) >= {"id", "createdBy", "updatedOn", "remainingRetries", "createdOn", "retries"}
    done = finished(sdk, server, job["id"])
    assert (done["queryStatus"], done["outputRows"]) == ("completed", 3)
    assert done["processingTime"] >= 0
    lines = httpx.get(done["dataFile"]).text.splitlines()
    assert lines[0] == '{"id":0,"name":"x0"}'


@pytest.mark.parametrize(
    ("output_format", "first_line"),
    [("CSV", "id,name"), ("TSV", "id\tname"), ("DSV", "id|name"), ("JSON", '{"id":0,"name":"x0"}')],
)
@pytest.mark.parametrize("compression", ["NONE", "GZIP", "ZIP"])
def test_every_format_and_compression_arrives(
    sdk: Driven, server: Server, output_format: str, first_line: str, compression: str
) -> None:
    more = {"column_separator": "|"} if output_format == "DSV" else {}
    job = submitted(sdk, output_format=output_format, compression=compression, **more)
    response = httpx.get(finished(sdk, server, job["id"])["dataFile"])
    assert "content-encoding" not in response.headers
    assert unpacked(response.content, compression).splitlines()[0] == first_line


def unpacked(content: bytes, compression: str) -> str:
    if compression == "GZIP":
        content = gzip.decompress(content)
    if compression == "ZIP":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (name,) = archive.namelist()
            content = archive.read(name)
    return content.decode()


def test_announced_gzip_that_is_plain_json_is_read(sdk: Driven) -> None:
    """The SDK's `content_encoding="gzip"` sets the header and compresses nothing (contract C13)."""
    response = sdk.result("post_data_query_job", body=body(), content_encoding="gzip")
    assert response["data"]["queryStatus"] == "accepted"


def test_an_idempotency_key_makes_one_job(sdk: Driven) -> None:
    first, again = (
        sdk.result("post_data_query_job", body=body(), idempotency_key="sdk")["data"]["id"]
        for _ in range(2)
    )
    assert first == again


def test_jobs_are_listed_newest_first_and_by_status(sdk: Driven, server: Server) -> None:
    first, second = submitted(sdk)["id"], submitted(sdk)["id"]
    finished(sdk, server, first)
    finished(sdk, server, second)
    found = sdk.result("get_data_query_jobs", query_status="completed", page_size=2)["data"]
    assert [job["id"] for job in found] == [second, first]
    assert sdk.result("get_data_query_jobs", query_status="failed")["data"] == []


def test_the_sdk_itself_refuses_pages_that_the_server_takes(sdk: Driven) -> None:
    """Its limit is 40, the server's 1000 (contract A7)."""
    assert sdk.error("get_data_query_jobs", page_size=41)["kind"] == "ValidationError"
    bypassed = sdk.send_request("call", name="get_data_query_jobs", raw=True, page_size=41)
    assert "result" in bypassed


def test_the_sdks_delete_refuses_every_real_id(sdk: Driven, server: Server) -> None:
    job = submitted(sdk, RUNAWAY)
    refused = sdk.error("delete_data_query_job", job_id=job["id"])
    assert refused["kind"] == "ValidationError"
    server.cancel(job["id"])


@pytest.mark.parametrize("way", ["padded", "raw"])
def test_a_running_job_is_cancelled_in_both_ways(sdk: Driven, server: Server, way: str) -> None:
    job_id = submitted(sdk, RUNAWAY)["id"]
    pid = server.computing_worker(job_id)
    if way == "padded":
        response = sdk.result("delete_data_query_job", job_id=job_id.ljust(64, "0"))
    else:
        response = sdk.result("delete_data_query_job", raw=True, job_id=job_id)
    assert response["data"]["queryStatus"] == "cancelled"
    assert pid not in server.workers()
    assert server.get(job_id)["state"] == "canceled"


def test_a_cancel_that_comes_too_late_is_reported(sdk: Driven, server: Server) -> None:
    job_id = submitted(sdk)["id"]
    finished(sdk, server, job_id)
    refused = sdk.error("delete_data_query_job", job_id=job_id.ljust(64, "0"))
    assert (refused["kind"], refused["status"]) == ("BadRequestException", 400)
    assert "not in accepted or in_progress status" in refused["message"]


def test_a_statement_that_fails_reports_its_error(sdk: Driven, server: Server) -> None:
    job_id = submitted(sdk, "SELECT * FROM acount")["id"]
    failed = finished(sdk, server, job_id)
    assert failed["queryStatus"] == "failed"
    assert "acount" in failed["errorMessage"]


def test_a_statement_that_is_no_select_is_refused(sdk: Driven) -> None:
    refused = sdk.error("post_data_query_job", body=body("DROP TABLE account"))
    assert (refused["status"], refused["kind"]) == (400, "BadRequestException")
    assert refused["message"]


def test_a_word_that_is_not_checked_by_the_sdk_is_checked_here(sdk: Driven) -> None:
    refused = sdk.error("post_data_query_job", body=body(compression="nope"))
    assert "'compression' must be one of NONE, GZIP, ZIP" in refused["message"]


def test_an_unknown_id_is_not_found(sdk: Driven) -> None:
    refused = sdk.error("get_data_query_job", job_id=UNKNOWN)
    assert (refused["kind"], refused["status"]) == ("NotFoundException", 404)
    assert refused["message"] == f"Job {UNKNOWN} could not be found"
    assert refused["concurrency_limit_limit"] == 40


def test_a_wrong_secret_leaves_the_sdk_without_a_token(driver: Driven, server: Server) -> None:
    """It prints the server's message and continues; the first call is then a 401."""
    connected = driver.send_request(
        "connect", url=server.url, client_id=server.made.issued.client.id, secret="x" * 42
    )
    assert not connected["has_token"]
    assert "client authentication failed" in connected["printed"]
    refused = driver.error("get_data_query_jobs")
    assert (refused["status"], refused["message"]) == (401, "Authentication error")


def test_a_used_up_rate_is_a_429_with_numbers(driver: Driven, serve: Serve) -> None:
    """Spent by others of the tenant."""
    server = serve({"QUERYRUN_RATES__PRESET": "api_sandbox"}, ("tests.e2e.few_requests", "serve"))
    issued = server.made.issued
    driver.send_request("connect", url=server.url, client_id=issued.client.id, secret=issued.secret)
    while server.http.get("/query/jobs", params={"pageSize": 1}).status_code == 200:
        pass
    refused = driver.error("post_data_query_job", body=body())
    assert (refused["status"], refused["kind"]) == (429, "ApiException")
    assert refused["rate_limit_remaining"] == 0

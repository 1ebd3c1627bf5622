"""An older generated client, `zuora-swagger-client` from the registry, unmodified, against a real
server: what people had before the official SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from tests.clients.driven import Driven, driven
from tests.e2e.conftest import RUNAWAY, Server

pytestmark = pytest.mark.xdist_group("swagger-client")


@pytest.fixture
def server(common: Server) -> Server:
    """One server for all tests, and a client of each test's own."""
    return common


@pytest.fixture
def client(server: Server) -> Iterator[Driven]:
    """The client with a token of the server."""
    issued = server.made.issued
    with driven("swagger_client_driver.py") as client:
        found = client.send_request(
            "connect", url=server.url, client_id=issued.client.id, secret=issued.secret
        )
        assert found["has_token"]
        yield client


def body(sql: str) -> dict[str, Any]:
    return {
        "query": sql,
        "outputFormat": "CSV",
        "compression": "NONE",
        "output": {"target": "S3"},
    }


def submitted(client: Driven, sql: str) -> str:
    """The id of a new job. This client's model has no field for it, so it is read from
    `api_client.last_response`, as users of the client must."""
    found = client.send_request("call", name="p_ost_data_query_job", body=body(sql))
    assert found["result"] == {"data": {"queryStatus": "accepted"}}
    return str(found["body"]["data"]["id"])


def test_a_job_is_submitted_read_downloaded_and_listed(client: Driven, server: Server) -> None:
    job_id = submitted(client, "SELECT 42 AS answer")
    server.finished(job_id)
    done = client.result("g_et_data_query_job", job_id=job_id)["data"]
    assert (done["queryStatus"], done["outputRows"]) == ("completed", 1)
    assert httpx.get(done["dataFile"]).text == "answer\n42\n"
    found = client.result("g_et_data_query_jobs", query_status="completed", page_size=1)["data"]
    assert [one["queryStatus"] for one in found] == ["completed"]


def test_a_running_job_is_cancelled(client: Driven, server: Server) -> None:
    """This client too sends nothing shorter than 64 characters (contract A9)."""
    job_id = submitted(client, RUNAWAY)
    pid = server.computing_worker(job_id)
    assert "length" in client.error("d_elete_data_query_job", job_id=job_id)["text"]
    padded = job_id.ljust(64, "0")
    response = client.result("d_elete_data_query_job", job_id=padded)
    assert response["data"]["queryStatus"] == "cancelled"
    assert pid not in server.workers()


def test_a_refusal_arrives_whole(client: Driven) -> None:
    refused = client.error("p_ost_data_query_job", body=body("DROP TABLE account"))
    assert refused["status"] == 400
    assert '"code":400' in refused["body"]

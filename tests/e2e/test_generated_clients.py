"""The whole life of a run, by clients that openapi-generator made from the contract's document with
closed schemas: Java (okhttp-gson), Python, TypeScript (fetch). None of them may throw but
for a refusal, and of that it must be able to read the body.

The served home is real. Only errors that a healthy one does not send come from a server of the
test's own, in the bodies that the service would send.
"""

from __future__ import annotations

import gzip
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from queryrun.cli.clients import NewClient, create
from queryrun.cli.home import init_home
from queryrun.errors import (
    Forbidden,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InvalidRequest,
    NotCancellable,
    NotFound,
    QueueFull,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from queryrun.http import errors as http_errors
from queryrun.http.api_version import ApiVersion
from queryrun.http.problems import STATUSES, TYPES, response_for
from tests.clients.generated_clients import LANGUAGES
from tests.clients.generated_driven import GeneratedClient, generated_client
from tests.e2e.conftest import RUNAWAY, Server, ServerHarness
from tests.http.contract_schema import DOCUMENT

pytestmark = pytest.mark.xdist_group("generated-clients")

SQL = "SELECT i AS id, 'x' || i AS name FROM range(3) r(i) ORDER BY i"
WRONG = "SELECT nothing_here"
UNKNOWN = "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"
LIMITS = {
    "QUERYRUN_SOURCES__LIVE__RUNNING_PER_TENANT": "1",
    "QUERYRUN_SOURCES__LIVE__QUEUED_PER_TENANT": "2",
    "QUERYRUN_SERVER__MAX_BODY_BYTES": "20000",
}
CONTRACT = {"created_by_id", "id", "sql", "remaining_attempts", "updated_time", "state"}
FILE_KEYS = {"id", "url", "content_type", "type"}
TEXTS = {
    "json": '{"id":0,"name":"x0"}\n{"id":1,"name":"x1"}\n{"id":2,"name":"x2"}\n',
    "csv": "id,name\n0,x0\n1,x1\n2,x2\n",
    "tsv": "id\tname\n0\tx0\n1\tx1\n2\tx2\n",
    "dsv": "id|name\n0|x0\n1|x1\n2|x2\n",
}
ENCODINGS = ("none", "gzip", "zip")


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for the clients of all languages."""
    directory = tmp_path_factory.mktemp("generated")
    home = init_home(directory / "home", entity="main", factor=None)
    harness = ServerHarness(home, directory / "log")
    yield harness.serve(LIMITS)
    harness.close()


@pytest.fixture(scope="module", params=LANGUAGES)
def served(
    request: pytest.FixtureRequest, served_home: Server
) -> Iterator[tuple[GeneratedClient, Server]]:
    """A client in each language, with a token, and the served home that it calls."""
    with generated_client(request.param) as client:
        client.connect(served_home.url, bearer(served_home))
        yield client, served_home


@pytest.fixture
def client(served: tuple[GeneratedClient, Server]) -> GeneratedClient:
    return served[0]


@pytest.fixture
def server(served: tuple[GeneratedClient, Server]) -> Server:
    return served[1]


def bearer(server: Server) -> str:
    return server.http.headers["authorization"].removeprefix("Bearer ")


def body(sql: str = SQL, content_type: str = "csv", encoding: str = "none") -> dict[str, Any]:
    """What a create of v2 sends."""
    separator = {"column_separator": "|"} if content_type == "dsv" else {}
    chosen = {"content_type": content_type, "content_encoding": encoding, **separator}
    return {"sql": sql, **chosen}


def job_body(sql: str = SQL, content_type: str = "csv", encoding: str = "none") -> dict[str, Any]:
    """What a submit of v1 sends."""
    separator = {"columnSeparator": "|"} if content_type == "dsv" else {}
    chosen = {"outputFormat": content_type.upper(), "compression": encoding.upper(), **separator}
    return {"query": sql, "output": {"target": "S3"}, **chosen}


def create_run(client: GeneratedClient, sql: str = SQL) -> str:
    return str(client.done("createQueryRun", body=body(sql))["id"])


def create_job(client: GeneratedClient, sql: str = SQL) -> str:
    return str(client.done("createDataQueryJob", body=job_body(sql))["data"]["id"])


def keys(result: dict[str, Any]) -> set[str]:
    """The keys that have a value: one of the clients writes null for those that are absent."""
    return {name for name, value in result.items() if value is not None}


def unpacked(data: bytes, encoding: str) -> str:
    if encoding == "gzip":
        return gzip.decompress(data).decode()
    if encoding == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (member,) = archive.namelist()
            return archive.read(member).decode()
    return data.decode()


# --- the life of a run ----------------------------------------------------------------------


def test_a_token_is_issued_and_a_wrong_secret_refused(
    client: GeneratedClient, server: Server
) -> None:
    issued = server.made.issued
    form = {"client_id": issued.client.id, "grant_type": "client_credentials"}
    token = client.done("createToken", client_secret=issued.secret, **form)
    assert token["token_type"] == "bearer"
    refused = client.refused(401, "createToken", client_secret="wrong" * 8, **form)
    assert refused["error"] == "invalid_client"


@pytest.mark.parametrize("content_type", TEXTS)
def test_a_run_in_every_format_is_polled_and_downloaded(
    client: GeneratedClient, content_type: str
) -> None:
    for encoding in ENCODINGS:
        created = client.done("createQueryRun", body=body(SQL, content_type, encoding))
        expected = CONTRACT | ({"column_separator"} if content_type == "dsv" else set())
        assert keys(created) == expected
        done = client.polled("getQueryRun", "complete", query_run_id=created["id"])["result"]
        assert keys(done) == {*expected, "file", "number_of_rows", "processing_duration"}
        assert keys(done["file"]) == FILE_KEYS
        assert done["file"]["content_type"] == content_type
        assert done["number_of_rows"] == 3
        data = client.downloaded(done["file"]["url"])
        assert unpacked(data, encoding) == TEXTS[content_type]


@pytest.mark.parametrize("content_type", TEXTS)
def test_a_job_in_every_format_is_polled_and_downloaded(
    client: GeneratedClient, content_type: str
) -> None:
    for encoding in ENCODINGS:
        job = client.done("createDataQueryJob", body=job_body(SQL, content_type, encoding))["data"]
        done = client.polled("getDataQueryJob", "completed", job_id=job["id"])["result"]["data"]
        assert done["outputRows"] == 3
        assert unpacked(client.downloaded(done["dataFile"]), encoding) == TEXTS[content_type]


def test_a_poll_sees_that_a_run_failed(client: GeneratedClient) -> None:
    """The loop that used to end with an exception of the client's own."""
    found = client.polled("getQueryRun", "failed", query_run_id=create_run(client, WRONG))
    assert keys(found["result"]) == CONTRACT
    assert found["headers"]["queryrun-error-code"] == "name_not_found"
    job = client.polled("getDataQueryJob", "failed", job_id=create_job(client, WRONG))
    assert "nothing_here" in job["result"]["data"]["errorMessage"]


def test_a_poll_sees_that_a_run_was_canceled(client: GeneratedClient) -> None:
    """From outside, while the client polls."""
    run_id = create_run(client, RUNAWAY)
    client.polled("getQueryRun", "in_progress", query_run_id=run_id)
    client.done("cancelQueryRun", query_run_id=run_id)
    found = client.polled("getQueryRun", "canceled", query_run_id=run_id)
    assert keys(found["result"]) == CONTRACT
    client.polled("getDataQueryJob", "cancelled", job_id=run_id)


def test_a_run_is_cancelled_in_every_state(client: GeneratedClient) -> None:
    running, waiting = create_run(client, RUNAWAY), create_run(client)
    client.polled("getQueryRun", "in_progress", query_run_id=running)
    for run_id in (waiting, running):
        result = client.done("cancelQueryRun", query_run_id=run_id)
        assert result["state"] in ("canceled", "in_progress")
        client.polled("getQueryRun", "canceled", query_run_id=run_id)
    complete, failed = create_run(client), create_run(client, WRONG)
    client.polled("getQueryRun", "complete", query_run_id=complete)
    client.polled("getQueryRun", "failed", query_run_id=failed)
    for run_id, state in ((running, "canceled"), (complete, "complete"), (failed, "failed")):
        problem = client.refused(400, "cancelQueryRun", query_run_id=run_id)
        assert problem["errors"][0]["code"] == f"run_already_{state}"


def test_a_job_is_cancelled_in_every_state(client: GeneratedClient) -> None:
    running, waiting = create_job(client, RUNAWAY), create_job(client)
    client.polled("getDataQueryJob", "in_progress", job_id=running)
    for job_id in (waiting, running):
        client.done("cancelDataQueryJob", job_id=job_id)
        client.polled("getDataQueryJob", "cancelled", job_id=job_id)
    complete, failed = create_job(client), create_job(client, WRONG)
    client.polled("getDataQueryJob", "completed", job_id=complete)
    client.polled("getDataQueryJob", "failed", job_id=failed)
    for job_id in (running, complete, failed):
        refused = client.refused(400, "cancelDataQueryJob", job_id=job_id)
        assert "not in accepted or in_progress status" in refused["message"]


def test_jobs_of_every_status_are_listed(client: GeneratedClient) -> None:
    client.polled("getDataQueryJob", "completed", job_id=create_job(client))
    client.polled("getDataQueryJob", "failed", job_id=create_job(client, WRONG))
    jobs = client.done("listDataQueryJobs")["data"]
    assert {"completed", "failed"} <= {job["queryStatus"] for job in jobs}
    for status in ("completed", "failed", "cancelled", "accepted"):
        found = client.done("listDataQueryJobs", query_status=status, page_size=5)["data"]
        assert {job["queryStatus"] for job in found} <= {status}


def test_fields_of_the_contract_are_projected(client: GeneratedClient) -> None:
    """The hosted documentation's example among them."""
    run_id = create_run(client)
    client.polled("getQueryRun", "complete", query_run_id=run_id)
    for fields, expected in (
        (["id", "created_time"], {"id"}),
        (["id,created_time"], {"id"}),
        (["file", "state"], {"file", "state"}),
    ):
        found = client.done("getQueryRun", query_run_id=run_id, fields=fields)
        assert keys(found) == expected
    assert keys(client.done("createQueryRun", body=body(), fields=["id", "created_time"])) == {"id"}
    assert keys(found["file"]) == FILE_KEYS


def test_a_repeat_with_an_idempotency_key_gets_the_same_run(client: GeneratedClient) -> None:
    key = f"{client.language}-1"
    first = client.done("createQueryRun", body=body(), idempotency_key=key)
    again = client.call("createQueryRun", body=body(), idempotency_key=key)
    assert (again["status"], again["result"]["id"]) == (201, first["id"])
    client.polled("getQueryRun", "complete", query_run_id=first["id"])


def test_an_asynchronous_create_is_not_a_run(client: GeneratedClient, server: Server) -> None:
    """What docs/reference/differences.md says of `async: true`, client by client."""
    found = client.call("createQueryRun", body=body(), **{"async": True})
    if client.language == "python":
        assert found["status"] == 202
        assert set(found["result"]) == {"request_id"}
    else:
        kind = {"java": "IllegalArgumentException", "typescript": "TypeError"}[client.language]
        assert found["error"]["kind"] == kind, found
        assert "request_id" in found["error"]["text"]
    newest = server.http.get("/v2/query_runs", params={"page_size": 1}).json()["data"][0]
    server.finished(newest["id"])


# --- errors ---------------------------------------------------------------------------------


def test_every_refusal_of_v2_can_be_read(client: GeneratedClient, server: Server) -> None:
    def parameter(found: dict[str, Any]) -> str:
        return str(found["errors"][0]["parameter"])

    assert parameter(client.refused(400, "createQueryRun", body=body("DELETE FROM t"))) == "sql"
    dsv = {"sql": SQL, "content_type": "dsv"}
    assert parameter(client.refused(400, "createQueryRun", body=dsv)) == "column_separator"
    assert parameter(client.refused(404, "getQueryRun", query_run_id=UNKNOWN)) == "query_run_id"
    assert parameter(client.refused(404, "cancelQueryRun", query_run_id="x")) == "query_run_id"
    entity = {"zuora_entity_ids": UNKNOWN}
    assert client.refused(403, "createQueryRun", body=body(), **entity)["type"] == "forbidden"
    large = body("SELECT 1 --" + "x" * 20_000)
    assert client.refused(413, "createQueryRun", body=large)["type"] == "payload_too_large"
    br = client.refused(415, "createQueryRun", body=body(), content_encoding="br")
    assert br["type"] == "unsupported_media_type"
    key = f"{client.language}-2"
    run_id = client.done("createQueryRun", body=body(), idempotency_key=key)["id"]
    client.polled("getQueryRun", "complete", query_run_id=run_id)
    other = client.refused(422, "createQueryRun", body=body("SELECT 2"), idempotency_key=key)
    assert other["errors"][0]["code"] == "idempotency_key_mismatch"
    with a_full_queue(client):
        full = client.refused(429, "createQueryRun", body=body())
        assert (full["errors"][0]["code"], full["retryable"]) == ("queue_full", True)
        assert client.refused(429, "createDataQueryJob", body=job_body())["code"] == 429
    client.connect(server.url, "wrong")
    assert client.refused(401, "getQueryRun", query_run_id=UNKNOWN)["errors"] == []
    assert client.refused(401, "listDataQueryJobs") == {"message": "Authentication error"}
    client.connect(server.url, bearer(server))


@contextmanager
def a_full_queue(client: GeneratedClient) -> Iterator[None]:
    """One run in progress and as many behind it as may wait; all canceled afterwards."""
    running = create_run(client, RUNAWAY)
    client.polled("getQueryRun", "in_progress", query_run_id=running)
    waiting = [create_run(client) for _ in range(2)]
    yield
    for run_id in (*waiting, running):
        client.done("cancelQueryRun", query_run_id=run_id)
        client.polled("getQueryRun", "canceled", query_run_id=run_id)


def test_every_refusal_of_v1_can_be_read(client: GeneratedClient, server: Server) -> None:
    refused = client.refused(400, "createDataQueryJob", body=job_body("DELETE FROM t"))
    assert refused["code"] == 400
    assert client.refused(404, "getDataQueryJob", job_id=UNKNOWN)["code"] == 404
    assert client.refused(404, "cancelDataQueryJob", job_id=UNKNOWN)["code"] == 404
    large = job_body("SELECT 1 --" + "x" * 20_000)
    assert client.refused(413, "createDataQueryJob", body=large)["code"] == 413
    br = client.refused(415, "createDataQueryJob", body=job_body(), content_encoding="br")
    assert br["code"] == 415
    job_id = create_job(client)
    client.polled("getDataQueryJob", "completed", job_id=job_id)
    other = create(server.made.home, NewClient(["main"], name="other"))
    form = {"client_id": other.client.id, "grant_type": "client_credentials"}
    token = client.done("createToken", client_secret=other.secret, **form)["access_token"]
    client.connect(server.url, token)
    assert client.refused(403, "getDataQueryJob", job_id=job_id)["code"] == 403
    assert client.refused(404, "getQueryRun", query_run_id=job_id)["type"] == "not_found"
    client.connect(server.url, bearer(server))


ERRORS: tuple[Exception, ...] = (
    InvalidRequest.of("sql", "'sql' is required"),
    NotCancellable(UNKNOWN, "complete"),
    Unauthenticated(""),
    Forbidden("the client may not do this"),
    NotFound("query_run_id", "it could not be found"),
    http_errors.PathNotFound("no such path"),
    http_errors.MethodNotAllowed("GET, HEAD"),
    IdempotencyInFlight("the first request is in progress"),
    http_errors.PayloadTooLarge(20_000),
    http_errors.UnsupportedMediaType("the body must be application/json"),
    IdempotencyMismatch("the key belongs to another request"),
    TooManyRequests("too many requests", 1),
    QueueFull("the queue is full", 1),
    Unavailable("the service is shutting down"),
    http_errors.TimedOut("no response in time"),
    RuntimeError("anything else is a 500"),
)


class Scripted(BaseHTTPRequestHandler):
    """Sends the response that the test has set, whatever the request."""

    response: ClassVar[tuple[int, bytes]] = (200, b"{}")

    def _send(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        status, content = self.response
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _send  # noqa: N815 (the names that http.server looks for)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def scripted() -> Iterator[str]:
    """The URL of a server that sends `Scripted.response`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_bodies_of_all_errors_can_be_read(
    client: GeneratedClient, server: Server, scripted: str
) -> None:
    """As the service renders them, and a 502 as a proxy in front of it may."""
    rendered_statuses = {response_for(error, ApiVersion.V2).status_code for error in ERRORS}
    assert rendered_statuses >= {*STATUSES.values(), 500} - OF_DOWNLOADS
    client.connect(scripted, "any")
    for error in ERRORS:
        rendered = response_for(error, ApiVersion.V2)
        Scripted.response = rendered.status_code, bytes(rendered.body)
        operation, arguments = request_with(rendered.status_code, V2_REQUESTS)
        problem = client.refused(rendered.status_code, operation, **arguments)
        assert problem["type"] == TYPES[rendered.status_code]
        rendered = response_for(error, ApiVersion.V1)
        Scripted.response = rendered.status_code, bytes(rendered.body)
        operation, arguments = request_with(rendered.status_code, V1_REQUESTS)
        assert client.refused(rendered.status_code, operation, **arguments)["message"]
    gateway = {"type": "bad_gateway", "errors": [], "retryable": True}
    Scripted.response = 502, json.dumps(gateway).encode()
    assert client.refused(502, "getQueryRun", query_run_id=UNKNOWN) == gateway
    client.connect(server.url, bearer(server))


OF_DOWNLOADS = {416}
"""Which no operation of the document does."""

Requests = dict[str, dict[str, Any]]
V2_REQUESTS: Requests = {
    "createQueryRun": {"body": body()},
    "getQueryRun": {"query_run_id": UNKNOWN},
}
V1_REQUESTS: Requests = {
    "createDataQueryJob": {"body": job_body()},
    "getDataQueryJob": {"job_id": UNKNOWN},
}


def request_with(status: int, requests: Requests) -> tuple[str, dict[str, Any]]:
    """One of the requests that may have this status: clients read no body of another."""
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    documented = {one["operationId"]: one["responses"] for one in operations}
    return next(one for one in requests.items() if str(status) in documented[one[0]])


def test_an_unknown_key_would_be_noticed(
    client: GeneratedClient, server: Server, scripted: str
) -> None:
    """Otherwise everything above would prove nothing: the clients are strict."""
    client.connect(scripted, "any")
    run = {"id": UNKNOWN, "state": "failed"}
    Scripted.response = 200, json.dumps(run).encode()
    assert client.done("getQueryRun", query_run_id=UNKNOWN)["state"] == "failed"
    Scripted.response = 200, json.dumps({**run, "error": {"code": "x"}}).encode()
    found = client.call("getQueryRun", query_run_id=UNKNOWN)
    assert "error" in found["error"]["text"]
    assert found["error"]["kind"] != "ApiException"
    client.connect(server.url, bearer(server))


def test_a_format_of_ours_is_an_unknown_word(client: GeneratedClient, server: Server) -> None:
    """What docs/reference/differences.md says of runs that were created in one."""
    run_id = server.submit(SQL, "parquet")["id"]
    server.finished(run_id)
    found = client.call("getQueryRun", query_run_id=run_id)
    if client.language == "typescript":
        assert found["result"]["file"]["content_type"] == "parquet"
    else:
        assert found["error"]["kind"] != "ApiException"
        assert "parquet" in found["error"]["text"] or "enum" in found["error"]["text"]

"""What a worker may say to Trino through its relay, and in whose name."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from queryrun.engines.trino.relay import serve_connection

SECRET = "s3cr3t"


class StandIn(ThreadingHTTPServer):
    """Answers everything, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        self.cut_next = False


class Handler(BaseHTTPRequestHandler):
    """One connection, many requests."""

    protocol_version = "HTTP/1.1"
    server: StandIn

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        sent = {name.lower(): text for name, text in self.headers.items()}
        self.server.received.append((self.command, self.path, sent, body))
        if self.server.cut_next:
            self.server.cut_next, self.close_connection = False, True
            return
        self.send_response(200)
        self.send_header("X-Trino-Set-Session", "a=b")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")

    do_GET = do_POST = do_DELETE = do_HEAD = do_any  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def engine() -> Iterator[StandIn]:
    """On a free port of loopback."""
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def worker(engine: StandIn) -> Iterator[http.client.HTTPConnection]:
    """A worker's connection to its relay."""
    ours, theirs = socket.socketpair()
    url = f"http://127.0.0.1:{engine.server_port}"
    options = {"url": url, "auth": "password", "user": "acme"}
    relay = threading.Thread(target=serve_connection, args=(theirs, options, SECRET))
    relay.start()
    connection = http.client.HTTPConnection("trino.invalid", timeout=20)
    connection.sock = ours
    yield connection
    connection.close()
    ours.close()
    relay.join()
    theirs.close()


def test_a_request_is_passed_on_as_the_sources_user(
    engine: StandIn, worker: http.client.HTTPConnection
) -> None:
    sent = {"X-Trino-Catalog": "memory", "X-Trino-Client-Tags": "queryrun"}
    worker.request("POST", "/v1/statement", b"SELECT 1", sent)
    response = worker.getresponse()
    assert (response.status, response.read()) == (200, b"firstsecond")
    assert response.headers["X-Trino-Set-Session"] == "a=b"
    (_, path, headers, body) = engine.received[0]
    assert (path, body, headers["x-trino-user"]) == ("/v1/statement", b"SELECT 1", "acme")
    assert headers["authorization"] == "Basic YWNtZTpzM2NyM3Q="
    assert headers["x-trino-catalog"] == "memory"
    assert headers["host"] == f"127.0.0.1:{engine.server_port}"


def test_nobody_else_can_be_named(engine: StandIn, worker: http.client.HTTPConnection) -> None:
    foreign = {
        "X-Trino-User": "root",
        "X-Trino-Original-User": "root",
        "X-Trino-Role": "system=ROLE{admin}",
        "X-Trino-Extra-Credential": "key=value",
        "X-Trino-Session": "query_max_run_time=9d",
        "Authorization": "Bearer other",
        "Cookie": "session=1",
        "X-Forwarded-For": "10.0.0.1",
    }
    worker.request("GET", "/v1/statement/executing/q1/y1/0?slug=x", headers=foreign)
    assert worker.getresponse().read() == b"firstsecond"
    headers = engine.received[0][2]
    assert headers["x-trino-user"] == "acme"
    assert headers["authorization"].startswith("Basic ")
    assert not headers.keys() & {
        name.lower() for name in foreign if name not in ("X-Trino-User", "Authorization")
    }


@pytest.mark.parametrize(
    "path",
    [
        "/v1/query",
        "/v1/query/20200101_000000_00000_aaaaa",
        "/v1/info",
        "/ui/",
        "/v1/statement/../query",
        "/v1/statement//../../query",
        "/v1/statement/./../query",
        "/v1/statement/%2e%2e/query",
        "/v1/statement/a%2f..%2f../query",
        "/v1/statement/;/../query",
        "/v1/statements",
        "http://elsewhere.test/v1/statement",
    ],
)
def test_nothing_else_of_the_engine_is_reached(
    engine: StandIn, worker: http.client.HTTPConnection, path: str
) -> None:
    worker.request("GET", path)
    assert worker.getresponse().status == 403
    assert engine.received == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "CONNECT", "OPTIONS"])
def test_nor_by_another_method(
    engine: StandIn, worker: http.client.HTTPConnection, method: str
) -> None:
    worker.request(method, "/v1/statement")
    assert worker.getresponse().status == 501
    assert engine.received == []


def test_a_body_without_a_length_is_refused(
    engine: StandIn, worker: http.client.HTTPConnection
) -> None:
    """Two readers could see two requests in it."""
    worker.request("POST", "/v1/statement", headers={"Transfer-Encoding": "chunked"})
    assert worker.getresponse().status == 403
    assert engine.received == []


def test_a_statement_is_sent_once_and_a_page_again(
    engine: StandIn, worker: http.client.HTTPConnection
) -> None:
    page = "/v1/statement/executing/q1/y1/0"
    worker.request("GET", page)
    worker.getresponse().read()
    engine.cut_next = True
    worker.request("GET", page)
    assert worker.getresponse().read() == b"firstsecond"
    engine.cut_next = True
    worker.request("POST", "/v1/statement", b"SELECT 1")
    with pytest.raises(http.client.RemoteDisconnected):
        worker.getresponse()
    assert [method for method, *_ in engine.received] == ["GET", "GET", "GET", "POST"]

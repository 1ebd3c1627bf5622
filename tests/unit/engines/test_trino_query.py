"""The protocol on a bad network: a statement is sent once, a page may be requested twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.query import CanceledHereError, HttpRefusal, Query, QueryRequest

COLUMN = {"name": "x", "type": "bigint", "typeSignature": {"rawType": "bigint", "arguments": []}}


Script = dict[str, list[tuple[int, dict[str, Any]]]]


class Coordinator(ThreadingHTTPServer):
    """Responds by a script: for each path a list of statuses and bodies, in turn."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.seen: list[str] = []
        self.received = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _respond(self) -> None:
        server = self.server
        assert isinstance(server, Coordinator)
        size = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(size)
        server.seen.append(f"{self.command} {self.path}")
        if self.command == "DELETE":
            server.received.set()
            status, response = 204, None
        else:
            left = server.script[self.path]
            status, page = left.pop(0) if len(left) > 1 else left[0]
            response = _page(server.url, page)
        body = b"" if response is None else json.dumps(response).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_HEAD = _respond  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing is written."""


def _page(url: str, page: dict[str, Any]) -> dict[str, Any]:
    following = {"nextUri": url + page["next"]} if "next" in page else {}
    rest = {name: value for name, value in page.items() if name != "next"}
    return {"id": "q", "infoUri": "", "stats": {}, **following, **rest}


@contextmanager
def coordinator(script: Script) -> Iterator[Coordinator]:
    """A running one."""
    with Coordinator(script) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def query_at(server: Coordinator) -> Iterator[Query]:
    """A query that is closed afterwards."""
    query = Query(TrinoEndpoint(server.url), QueryRequest("SELECT 1", "queryrun-x-1", "UTC"))
    try:
        yield query
    finally:
        query.end()


STATEMENT = "/v1/statement"
SENT: tuple[int, dict[str, Any]] = (200, {"next": "/1"})
FIRST: tuple[int, dict[str, Any]] = (200, {"next": "/2", "columns": [COLUMN], "data": [[1]]})
LAST: tuple[int, dict[str, Any]] = (200, {"columns": [COLUMN], "data": [[2]]})


def test_pages_are_read_to_the_end() -> None:
    with coordinator({STATEMENT: [SENT], "/1": [FIRST], "/2": [LAST]}) as server:
        with query_at(server) as query:
            query.start()
            assert list(query.pages()) == [[[1]], [[2]]]
        assert server.seen == [f"POST {STATEMENT}", "GET /1", "GET /2"]


def test_a_page_that_did_not_arrive_is_requested_again() -> None:
    script: Script = {
        STATEMENT: [SENT],
        "/1": [(503, {}), FIRST],
        "/2": [(502, {}), (429, {}), LAST],
    }
    with coordinator(script) as server, query_at(server) as query:
        query.start()
        assert list(query.pages()) == [[[1]], [[2]]]


def test_a_statement_is_never_sent_twice() -> None:
    """The first one may have begun, whatever the response was."""
    with coordinator({STATEMENT: [(503, {})]}) as server, query_at(server) as query:
        with pytest.raises(HttpRefusal) as refused:
            query.start()
        assert refused.value.status == 503
        assert server.seen == [f"POST {STATEMENT}"]


def test_a_refused_page_is_not_requested_again() -> None:
    with coordinator({STATEMENT: [SENT], "/1": [(401, {})]}) as server, query_at(server) as query:
        with pytest.raises(HttpRefusal):
            query.start()
        assert server.seen.count("GET /1") == 1


def test_a_cancel_reaches_trino_and_wakes_the_waiting_reader() -> None:
    waiting: tuple[int, dict[str, Any]] = (200, {"next": "/2", "columns": [COLUMN]})
    script: Script = {STATEMENT: [SENT], "/1": [waiting], "/2": [waiting]}
    with coordinator(script) as server, query_at(server) as query:
        query.start()
        pages = query.pages()
        query.cancel()
        with pytest.raises(CanceledHereError):
            next(pages)
        assert server.received.wait(30)


def test_a_statement_canceled_before_it_was_sent_ends_with_its_first_response() -> None:
    with coordinator({STATEMENT: [SENT], "/1": [FIRST]}) as server, query_at(server) as query:
        query.cancel()
        with pytest.raises(CanceledHereError):
            query.start()
        assert server.seen == [f"POST {STATEMENT}", "DELETE /1"]


def test_closing_a_finished_query_sends_no_request() -> None:
    with coordinator({STATEMENT: [LAST]}) as server:
        with query_at(server) as query:
            query.start()
        assert server.seen == [f"POST {STATEMENT}"]

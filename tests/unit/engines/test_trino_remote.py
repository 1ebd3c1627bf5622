"""What a remote stop requests of a coordinator: all that may be alive, and no more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from queryrun.engines.base import RemoteEndpoint
from queryrun.engines.trino.remote import ALIVE, TrinoRemote

NAME = "queryrun-r1-1"


class Coordinator(ThreadingHTTPServer):
    """One query runs until it is deleted. An older server uses the first requested state only."""

    daemon_threads = True

    def __init__(self, version: str, *, filters_all_states: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = version
        self.filters_all_states = filters_all_states
        self.state = "RUNNING"
        self.requested_states: list[list[str]] = []

    @property
    def endpoint(self) -> RemoteEndpoint:
        return RemoteEndpoint({"url": f"http://127.0.0.1:{self.server_address[1]}"})

    def listed(self, states: list[str]) -> list[dict[str, object]]:
        """Its list, of these states or of all."""
        self.requested_states.append(states)
        listed_states = states if self.filters_all_states else states[:1]
        query: dict[str, object] = {
            "queryId": "q1",
            "state": self.state,
            "session": {"source": NAME},
        }
        return [query] if not states or self.state in listed_states else []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        coordinator, url = self._coordinator(), urlsplit(self.path)
        if url.path == "/v1/info":
            self._send({"nodeVersion": {"version": coordinator.version}, "starting": False})
        else:
            self._send(coordinator.listed(parse_qs(url.query).get("state", [])))

    def do_DELETE(self) -> None:
        self._coordinator().state = "FAILED"
        self._send({})

    def _coordinator(self) -> Coordinator:
        assert isinstance(self.server, Coordinator)
        return self.server

    def _send(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def coordinator(request: pytest.FixtureRequest) -> Iterator[Coordinator]:
    """One of the version that the test names."""
    version, filters_all_states = request.param
    server = Coordinator(version, filters_all_states=filters_all_states)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


_NEW = pytest.mark.parametrize(
    "coordinator", [("476", True), ("480-e.1", True)], indirect=True, ids=["476", "480-e.1"]
)
_OLD = pytest.mark.parametrize(
    "coordinator", [("400", False), ("dev", False)], indirect=True, ids=["400", "dev"]
)


@_NEW
def test_only_queries_that_may_be_alive_are_requested(coordinator: Coordinator) -> None:
    TrinoRemote().stop(coordinator.endpoint, NAME)
    assert coordinator.state == "FAILED"
    assert coordinator.requested_states == [list(ALIVE)] * 2


@_OLD
def test_the_whole_list_is_requested_from_an_older_coordinator(coordinator: Coordinator) -> None:
    """It would show none but those of the first state, and a running query would be missed."""
    TrinoRemote().stop(coordinator.endpoint, NAME)
    assert coordinator.state == "FAILED"
    assert coordinator.requested_states == [[]] * 2

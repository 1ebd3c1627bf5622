"""Connections that are opened and then not used, or used slowly."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, address_of
from tests.attack.wire import HEALTH, connect, exchange, is_closed, status_of
from tests.e2e.conftest import Server

BEGINNINGS = (b"", b"G", b"GET / HTTP/1.1\r\n", HEALTH, HEALTH + b"X: y")
"""What a connection may have sent when it falls silent."""
FEW_DESCRIPTORS = 1024
SHORT_TIMEOUT_S = 1.0
SLACK_S = 15.0
"""A busy machine closes late. Where there is no wall, connections stay open for far longer."""


@contextmanager
def _opened(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connections that have sent something and fall silent. Some may be closed by the server."""
    _allow_descriptors()
    streams: list[socket.socket] = []
    try:
        for number in range(count):
            with contextlib.suppress(OSError):
                streams.append(connect(server, 2))
                streams[-1].sendall(BEGINNINGS[number % len(BEGINNINGS)])
        yield streams
    finally:
        for stream in streams:
            stream.close()


def _allow_descriptors() -> None:
    """The attacker may open as many files as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@attack("front", "200 silent or half-sent connections", before="200", bar=0, unit="open afterwards")
def silent_connections(targets: Targets) -> Outcome:
    """After the time that a head may take, none is left."""
    timeout_s = SHORT_TIMEOUT_S if targets.quick else 10.0
    environ = {"QUERYRUN_SERVER__HEADER_TIMEOUT_S": str(timeout_s)}
    server = targets.shared(environ)
    with _opened(server, 200) as streams:
        deadline_s = time.monotonic() + timeout_s + SLACK_S
        left = streams
        while left and time.monotonic() < deadline_s:
            time.sleep(0.1)
            left = [stream for stream in left if not is_closed(stream, 0.001)]
    return Outcome(len(left), 200, f"after {timeout_s + SLACK_S:g} s")


@attack("front", "heads of a byte each 0.2 s", before="-", bar=0, unit="open afterwards")
def dripping_heads(targets: Targets) -> Outcome:
    """Bytes that arrive do not extend the time of a head; nor does an empty line."""
    timeout_s = SHORT_TIMEOUT_S if targets.quick else 10.0
    server = targets.shared({"QUERYRUN_SERVER__HEADER_TIMEOUT_S": str(timeout_s)})
    with _opened(server, 50) as streams:
        deadline_s = time.monotonic() + timeout_s + SLACK_S
        left = streams
        while left and time.monotonic() < deadline_s:
            for stream in left:
                with contextlib.suppress(OSError):
                    stream.sendall(b"x")
            time.sleep(0.2)
            left = [stream for stream in left if not is_closed(stream, 0.001)]
    return Outcome(len(left), 50, f"after {timeout_s + SLACK_S:g} s")


@attack(
    "front",
    "1,100 connections on 1,024 descriptors",
    before="all, and the download broke",
    bar=0,
    unit="requests of others refused",
    timeout_s=180,
)
def descriptors_used_up(targets: Targets) -> Outcome:
    """Others are served, a running download ends whole, and `/readyz` names the limit."""
    server = targets.fresh(descriptors=FEW_DESCRIPTORS)
    link = _result_of(server, 30_000)
    refused = 0
    with _downloading(server, link) as download, _opened(server, 1100):
        ready = _readiness_near_the_limit(server)
        for _ in range(20):
            response = exchange(server, HEALTH + b"Connection: close\r\n\r\n")
            refused += status_of(response) != 200
        run = server.finished(server.submit("SELECT 1")["id"])
        refused += run["state"] != "complete"
        size = _read_download(download)
    refused += size < 30_000 * 1000
    refused += "near" not in ready["checks"]["limit connections"]
    return Outcome(refused, 1100, f"{ready['checks']}, download {size} bytes")


def _readiness_near_the_limit(server: Server) -> Any:
    """What `/readyz` says once the server has taken the connections: they wait in its backlog."""
    deadline = time.monotonic() + 20
    while True:
        ready = server.http.get("/readyz").json()
        if "near" in ready["checks"]["limit connections"] or time.monotonic() > deadline:
            return ready
        time.sleep(0.05)


@attack("front", "all connections of one address", before="-", bar=0, unit="others refused")
def one_address_takes_its_share(targets: Targets) -> Outcome:
    """Requests in progress on every connection that one address may have: another is served."""
    limits = {"CONNECTIONS": "60", "CONNECTIONS_PER_ADDRESS": "30"}
    server = targets.fresh({f"QUERYRUN_SERVER__MAX_{name}": text for name, text in limits.items()})
    token = str(server.http.headers["authorization"])
    run_id = server.submit("SELECT list_sum(range(200000000))")["id"]
    wait = f"GET /v2/query_runs/{run_id} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
    busy = [_from(server, "127.0.0.2") for _ in range(40)]
    for stream in busy:
        with contextlib.suppress(OSError):
            stream.sendall(wait.encode() + b"Prefer: wait=30\r\n\r\n")
    refused = 0
    for number in range(10):
        with _from(server, f"127.0.0.{number + 3}") as stream:
            stream.sendall(HEALTH + b"Connection: close\r\n\r\n")
            refused += status_of(stream.recv(1000)) != 200
    for stream in busy:
        stream.close()
    return Outcome(refused, 40)


def _from(server: Server, address: str) -> socket.socket:
    """A connection from another address of loopback."""
    return socket.create_connection(address_of(server), 10, source_address=(address, 0))


def _result_of(server: Server, rows: int) -> str:
    """The link to a result with a kilobyte per row."""
    submitted = server.submit(f"SELECT repeat('x', 1000) AS x FROM range({rows})")
    run = server.finished(submitted["id"])
    return str(run["file"]["url"])


@contextmanager
def _downloading(server: Server, link: str) -> Iterator[socket.socket]:
    """A download that has begun, and of which little is read."""
    target = urlsplit(link)
    with connect(server) as stream:
        request = (
            f"GET {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        stream.sendall(request.encode())
        stream.recv(1000)
        yield stream


def _read_download(stream: socket.socket) -> int:
    size = 0
    with contextlib.suppress(OSError):
        while chunk := stream.recv(1 << 20):
            size += len(chunk)
    return size

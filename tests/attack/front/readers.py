"""Peers that do not read what they asked for, or do not send what they announced."""

from __future__ import annotations

import contextlib
import socket
import time
from urllib.parse import urlsplit

from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, memory_mib
from tests.attack.wire import connect, is_closed
from tests.e2e.conftest import Server

MEBIBYTE = 2**20
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
"""A response of about 200 kB to a request of 40 bytes."""
CUT_AFTER_S = 45.0
"""Two windows in which a transfer must move something, and a bit."""


def _peak_mib(server: Server, streams: list[socket.socket], sent: bytes) -> float:
    """Send on every connection whatever it takes, without reading; the most memory meanwhile."""
    peak_mib = 0.0
    for stream in streams:
        stream.settimeout(0.1)
        with contextlib.suppress(OSError):
            stream.sendall(sent)
        peak_mib = max(peak_mib, memory_mib(server))
    for _ in range(10):
        time.sleep(0.1)
        peak_mib = max(peak_mib, memory_mib(server))
    return peak_mib


@attack(
    "front",
    "pipelined requests, answers not read",
    before="280 MB",
    bar=40,
    unit="MiB more resident",
)
def pipelined_and_unread(targets: Targets) -> Outcome:
    """100 connections with 10,000 requests each, for a document."""
    server = targets.fresh()
    server.http.get("/openapi.json")
    before_mib = memory_mib(server)
    streams = [connect(server) for _ in range(100)]
    peak_mib = _peak_mib(server, streams, DOCUMENT * 10_000)
    for stream in streams:
        stream.close()
    return Outcome(max(0.0, peak_mib - before_mib), 100)


@attack(
    "front",
    "150 slow readers of a large result",
    before="2 MiB each",
    bar=0.6,
    unit="MiB each",
    timeout_s=120,
)
def slow_readers(targets: Targets) -> Outcome:
    """Each begins a download of 50 MB and stops to read. They are cut in the end."""
    server = targets.fresh()
    submitted = server.submit("SELECT repeat('x', 1000) AS x FROM range(50000)")
    link = urlsplit(server.finished(submitted["id"])["file"]["url"])
    before_mib = memory_mib(server)
    streams = [connect(server) for _ in range(150)]
    request = f"GET {link.path}?{link.query} HTTP/1.1\r\nHost: x\r\n\r\n"
    peak_mib = _peak_mib(server, streams, request.encode())
    each_mib = max(0.0, peak_mib - before_mib) / len(streams)
    remark = ""
    if not targets.quick:
        time.sleep(CUT_AFTER_S)
        cut = _cut_by(server)
        remark = f"{cut} cut after {CUT_AFTER_S:g} s"
        each_mib = each_mib if cut == len(streams) else float("inf")
    for stream in streams:
        stream.close()
    return Outcome(each_mib, 150, remark)


def _cut_by(server: Server) -> int:
    """How many transfers the server has cut for being too slow."""
    for line in server.http.get("/metrics").text.splitlines():
        if line.startswith('queryrun_http_connections_cut_total{reason="too_slow"}'):
            return int(float(line.split()[-1]))
    return 0


@attack("front", "50 bodies that do not arrive", before="50", bar=0, unit="open", timeout_s=120)
def slow_bodies(targets: Targets) -> Outcome:
    """A stranger's body is not awaited; one of a known client must move at a least rate."""
    server = targets.fresh()
    token = str(server.http.headers["authorization"])
    streams = []
    for number in range(50):
        stream = connect(server)
        authorization = f"Authorization: {token}\r\n" if number % 2 and not targets.quick else ""
        head = (
            f"POST /v2/query_runs HTTP/1.1\r\nHost: x\r\n{authorization}"
            "Content-Type: application/json\r\nContent-Length: 5000000\r\n\r\n"
        )
        stream.sendall(head.encode() + b"{")
        streams.append(stream)
    deadline_s = time.monotonic() + (20.0 if targets.quick else CUT_AFTER_S)
    left = streams
    while left and time.monotonic() < deadline_s:
        for stream in left:
            with contextlib.suppress(OSError):
                stream.sendall(b" ")
        time.sleep(0.3)
        left = [stream for stream in left if not is_closed(stream, 0.001)]
    for stream in streams:
        stream.close()
    return Outcome(len(left), 50)

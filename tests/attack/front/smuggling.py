"""Requests that two servers could read in two ways, and upgrades to another protocol."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets
from tests.attack.wire import connect, exchange, is_closed, read_all, status_of
from tests.e2e.conftest import RUNAWAY, Server

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
GET = b"GET /readyz HTTP/1.1\r\n"
POST = b"POST /readyz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
JSON = b'{"sql": "SELECT 1", "content_type": "csv"}'


def _ambiguous() -> Iterator[bytes]:
    """Each is to be refused with 4xx or 5xx, and the connection closed."""
    length = b"Content-Length: %d\r\n" % len(SMUGGLED)
    yield POST + length + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield CHUNKED + length + b"\r\n0\r\n\r\n"
    yield POST + length + b"Content-Length: 0\r\n\r\n"
    yield POST + b"Content-Length: 0\r\n" + length + b"\r\n"
    yield POST + length + length + b"\r\n"
    for value in (
        b"0, 0",
        b"+0",
        b"-0",
        b"0x0",
        b"0_0",
        b"0 0",
        b"",
        b"\x0b0",
        b"1e1",
        b"\xd9\xa0",
    ):
        yield POST + b"Content-Length: %b\r\n\r\n" % value
    for value in (
        b"chunked, chunked",
        b"gzip, chunked",
        b"chunked, identity",
        b"identity",
        b"xchunked",
        b"chunked\x00",
        b"\x0bchunked",
        b"chunk\xe9d",
        b",chunked",
        b"chunked;q=1",
        b"",
    ):
        yield POST + b"Transfer-Encoding: %b\r\n\r\n0\r\n\r\n" % value
    for name in (b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer-Encoding\t", b"\x00TE"):
        yield POST + name + b": chunked\r\n\r\n0\r\n\r\n"
    for value in (b"chunked\xa0", b"chunked\x0b", b"chunked\x85", b"\xa0chunked"):
        yield POST + b"Transfer-Encoding: %b\r\n\r\n0\r\n\r\n" % value
    for value in (b"200-ok", b"100-continue, 100-continue", b"100-continue;a=b", b'"100-continue"'):
        yield POST + length + b"Expect: %b\r\n\r\n" % value
    yield POST + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield POST + b"X: y\r\n\tz\r\n\r\n"
    yield b"POST /readyz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield b"GET /readyz HTTP/1.1\nHost: x\n\n"
    yield GET + b"Host: x\n\r\n"
    yield GET + b"Host: x\r\nX: y\nZ: z\r\n\r\n"
    yield GET + b"Host: x\r\nX: y\rZ: z\r\n\r\n"
    yield GET + b"Host: x\r\nX: y\x00z\r\n\r\n"
    yield GET + b"Host: x\r\nX\r\n\r\n"
    yield GET + b"Host: x\r\n: y\r\n\r\n"
    yield GET + b"Host: x\r\nHost: y\r\n\r\n"
    yield GET + b"Host: x, y\x01\r\n\r\n"
    yield GET + b"\r\n"
    yield b"GET  /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /readyz  HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET\t/readyz\tHTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /ready z HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /readyz\x00 HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /readyz\x0c HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /readyz HTTP/1.1\x00\r\nHost: x\r\n\r\n"
    yield b"GET readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /readyz HTTP/2.0\r\nHost: x\r\n\r\n"
    yield b"GET /readyz HTTQ/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /readyz\r\n\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"
    yield b"GET http://a@b/readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /readyz#x HTTP/1.1\r\nHost: x\r\n\r\n"
    yield GET + b"Host: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"
    yield b"CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\n\r\n"


def _malformed_chunks() -> Iterator[bytes]:
    """Bodies whose end is a matter of opinion. The app has not asked for them."""
    for chunks in (
        b"0\n\n",
        b"0\r\n\n",
        b"0x0\r\n\r\n",
        b"+0\r\n\r\n",
        b" 0\r\n\r\n",
        b"0 \r\n\r\n",
        b"1\r\na0\r\n\r\n",
        b"1\r\nab\r\n0\r\n\r\n",
        b"1\naa\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"-1\r\n\r\n",
        b"\xd9\xa0\r\n\r\n",
        b"0\r\r\n\r\n",
        b"000000000\r\n\r\n",
        b'0;a="b\r\n\r\n',
        b"0;=b\r\n\r\n",
        b"0;" + b"a= ;" * 50 + b"\r\n\r\n",
        b"0;a=\nb\r\n\r\n",
        b"0;a=\rb\r\n\r\n",
        b"0;" + b"a" * 300 + b"\r\n\r\n",
        b"0\r\nX: y\nZ: z\r\n\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
        b"0\r\n X: y\r\n\r\n",
        b"1\r\na\r\n" * 5000 + b"0\r\n\r\n",
    ):
        yield CHUNKED + b"\r\n" + chunks


@attack("front", "ambiguous requests", before="11 of 76", bar=0, unit="not refused")
def ambiguous_requests(targets: Targets) -> Outcome:
    """Whatever follows an ambiguous request on the connection is never executed."""
    server = targets.shared()
    wrong, tried = [], 0
    for sent in _ambiguous():
        tried += 1
        response = exchange(server, sent + SMUGGLED, timeout_s=5)
        if status_of(response) < 400 or response.count(b"HTTP/1.1 ") != 1:
            wrong.append(f"{sent[:70]!r} -> {response[:40]!r}")
    for sent in _malformed_chunks():
        tried += 1
        response = exchange(server, sent + SMUGGLED, timeout_s=5)
        if b'{"status":"ok"}' in response or response.count(b"HTTP/1.1 ") > 1:
            wrong.append(f"{sent[-70:]!r} -> {response[:40]!r}")
    return Outcome(len(wrong), tried, "; ".join(wrong[:5]))


def _submit(server: Server, more: bytes, body: bytes) -> bytes:
    token = str(server.http.headers["authorization"]).encode()
    return (
        b"POST /v2/query_runs HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\n"
        b"Content-Type: application/json\r\n%bContent-Length: %d\r\n\r\n" % (token, more, len(body))
    )


@attack("front", "Upgrade: h2c and others", before="12 of 16", bar=0, unit="misread")
def upgrades(targets: Targets) -> Outcome:
    """The request is answered as it is, whether its body comes at once or later, and a request
    in the body is not executed."""
    server = targets.shared()
    wrong, tried = [], 0
    for upgrade in (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Connection: Upgrade\r\nUpgrade: TLS/1.0, foo\r\n",
        b"Upgrade: h2c\r\n",
    ):
        for pause_s in (0.0, 0.3):
            for body, expected in ((JSON, 201), (SMUGGLED, 400)):
                tried += 1
                with connect(server) as stream:
                    stream.sendall(_submit(server, upgrade, body))
                    time.sleep(pause_s)
                    stream.sendall(body + GET + b"Host: x\r\nConnection: close\r\n\r\n")
                    response = read_all(stream, 10)
                first, _, second = response.partition(b"HTTP/1.1 200")
                good = status_of(first) == expected and b'"checks"' in second
                if not good or response.count(b"HTTP/1.1 ") != 2:
                    wrong.append(f"{upgrade[:30]!r} {pause_s}: {response[:60]!r}")
    return Outcome(len(wrong), tried, "; ".join(wrong[:3]))


@attack(
    "front", "names that a body has twice", before="the last one won", bar=0, unit="not refused"
)
def repeated_names(targets: Targets) -> Outcome:
    """Two readers of a body must not see two statements."""
    server = targets.shared()
    padding = b'"tags":{"a":"' + b"x" * 70_000 + b'"}'
    bodies = (
        b'{"sql":"SELECT 1","content_type":"csv","sql":"SELECT 2"}',
        b'{"sql":"SELECT 1","content_type":"csv","\\u0073ql":"SELECT 2"}',
        b'{"sql":"SELECT 1","content_type":"csv","content_type":"csv"}',
        b'{"sql":"SELECT 1","sql" : null,"content_type":"csv"}',
        b'{"sql":"SELECT 1","content_type":"csv","tags":{"a":"1","a":"2"}}',
        b'{"sql":"SELECT 1","content_type":"csv",' + padding + b',"tags":{}}',
        b'{"sql":"' + b" " * 70_000 + b'SELECT 1","content_type":"csv","sql":"SELECT 2"}',
        b'{"sql":[' + b"{}," * 60_000 + b'1],"content_type":"csv","sql":"SELECT 2"}',
    )
    wrong = [body for body in bodies if status_of(_response(server, body)) != 400]
    job = {"query": "SELECT 1", "outputFormat": "CSV"}
    twice = f'{json.dumps(job)[:-1]}, "query": "SELECT 2"}}'
    headers = {"content-type": "application/json"}
    response = server.http.post("/query/jobs", content=twice, headers=headers)
    if response.status_code == 200 and response.json().get("data"):
        wrong.append(twice.encode())
    return Outcome(len(wrong), len(bodies) + 1, "; ".join(repr(body[:60]) for body in wrong))


def _response(server: Server, body: bytes) -> bytes:
    return exchange(server, _submit(server, b"Connection: close\r\n", body) + body)


@attack("front", "peers that close their own side", before="no response", bar=0, unit="misread")
def half_closed(targets: Targets) -> Outcome:
    """Whoever has sent a whole request gets its response, also a late one; a stream that would not
    end by itself, and a request that can never be whole, end at once."""
    server = targets.shared()
    run = server.submit(RUNAWAY)
    token = str(server.http.headers["authorization"]).encode()
    host = b"Host: x\r\nAuthorization: %b\r\n" % token
    path = b"/v2/query_runs/%b" % str(run["id"]).encode()
    cases = {
        GET + b"Host: x\r\n\r\n": (b'"checks"', 1),
        SMUGGLED * 3: (b'"ok"', 3),
        b"GET %b HTTP/1.1\r\n%bPrefer: wait=2\r\n\r\n" % (path, host): (b'"state":"', 1),
        b"GET %b/events HTTP/1.1\r\n%b\r\n" % (path, host): (b"HTTP/1.1 200", 1),
        _submit(server, b"", JSON) + JSON[:-1]: (b"HTTP/1.1", 0),
    }
    wrong = []
    for sent, (expected, count) in cases.items():
        with connect(server, 30) as stream:
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)
            response = read_all(stream, 30)
            if response.count(expected) != count or not is_closed(stream):
                wrong.append(f"{sent[:50]!r}: {response[-80:]!r}")
    server.cancel(str(run["id"]))
    return Outcome(len(wrong), len(cases), "; ".join(wrong))

"""Requests that two servers could read in two ways, and upgrades to another protocol."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets
from tests.attack.wire import connect, exchange, read_all, status_of
from tests.e2e.conftest import Server

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

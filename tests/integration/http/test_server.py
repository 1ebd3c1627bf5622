"""The HTTP server on real sockets, in front of small apps."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from queryrun.cli.serve import listen, url_of
from queryrun.http.server.exchange import HALF_CLOSED
from queryrun.http.server.limits import (
    BODY_HIGH_WATER_BYTES,
    DRAIN_BYTES,
    LINGER_BYTES,
    ServerLimits,
)
from queryrun.http.server.proxies import TrustedProxies
from queryrun.http.server.server import HttpServer

pytestmark = pytest.mark.anyio

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
TIMEOUT_S = 20.0
LARGE_BYTES = 30_000_000
"""More than the kernel and the server take for a peer that does not read."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with the method, the path and the body."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    text = f"{scope['method']} {scope['path']} {scope['client'][0]} ".encode() + body
    await _respond(send, text)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond without a look at the body."""
    await _respond(send, b"no", status=413)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Two parts of a body of unknown length."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for more in (True, False):
        await send({"type": "http.response.body", "body": b"part", "more_body": more})


async def _respond(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(
    app: App, *, host: str = "127.0.0.1", proxies: str = "", **limits: Any
) -> AsyncIterator[tuple[HttpServer, tuple[str, int]]]:
    """A server of this app, and its address."""
    server = HttpServer(app, ServerLimits(**limits), TrustedProxies(proxies))
    listener = listen(host, 0)
    address = listener.getsockname()[:2]
    await server.start(listener)
    async with asyncio.timeout(TIMEOUT_S):
        yield server, address
    await server.close(0.1)


async def exchange(address: tuple[str, int], sent: bytes) -> bytes:
    """Send, and read until the server closes the connection."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(sent)
        return await reader.read()
    finally:
        writer.close()


def post(path: bytes, body: bytes, *more: bytes) -> bytes:
    """A request with a counted body."""
    lines = b"".join(line + b"\r\n" for line in more)
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path,
        lines,
        len(body),
        body,
    )


GET = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_pipelined_requests_get_their_responses_in_order() -> None:
    chunked = (
        b"POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"
    )
    async with serving(echo) as (_, address):
        received = await exchange(address, post(b"/1", b"a") + chunked + post(b"/3", b"") + GET)
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [
        b"POST /1 127.0.0.1 a",
        b"POST /2 127.0.0.1 b",
        b"POST /3 127.0.0.1 ",
        b"GET /last 127.0.0.1 ",
    ]


async def test_a_request_may_arrive_byte_by_byte() -> None:
    async with serving(echo) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        for byte in post(b"/slow%20path", b"body", b"Connection: close"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.read()).endswith(b"POST /slow path 127.0.0.1 body")
        writer.close()


@pytest.mark.parametrize("sent", [GET, post(b"/last", b"", b"Connection: keep-alive")])
async def test_who_closes_the_own_side_gets_the_response_that_takes_its_time(sent: bytes) -> None:
    states: list[Any] = []

    async def wait_for_the_end(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        while HALF_CLOSED not in scope["state"]:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        states.append(scope["state"][HALF_CLOSED])
        await _respond(send, b"done")

    async with serving(wait_for_the_end) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(sent)
        writer.write_eof()
        assert (await reader.read()).endswith(b"done")
        writer.close()
    assert states == [True]


async def test_a_stream_without_an_end_ends_with_its_reader() -> None:
    received: asyncio.Queue[str] = asyncio.Queue()

    async def follow(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        while (kind := (await receive())["type"]) != "http.disconnect":
            pass
        received.put_nowait(kind)

    async with serving(follow) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        writer.write_eof()
        assert b"event" in await reader.read()
        assert await received.get() == "http.disconnect"
        writer.close()


async def test_a_body_that_ends_before_its_length_is_a_disconnect() -> None:
    received: asyncio.Queue[str] = asyncio.Queue()

    async def read(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (kind := (await receive())["type"]) != "http.disconnect":
            pass
        received.put_nowait(kind)

    async with serving(read) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        writer.write_eof()
        assert await reader.read() == b""
        assert await received.get() == "http.disconnect"
        writer.close()


async def test_http_1_0_gets_no_chunks_and_the_connection_closes() -> None:
    async with serving(stream) as (_, address):
        old = await exchange(address, b"GET / HTTP/1.0\r\n\r\n")
        new = await exchange(address, GET)
    assert old.endswith(b"\r\n\r\npartpart")
    assert b"transfer-encoding" not in old
    assert b"connection: close" in old
    assert new.endswith(b"\r\n\r\n4\r\npart\r\n4\r\npart\r\n0\r\n\r\n")


async def test_head_has_the_headers_and_no_body() -> None:
    async with serving(echo) as (_, address):
        received = await exchange(address, GET.replace(b"GET", b"HEAD"))
    assert b"content-length: 21" in received
    assert received.endswith(b"\r\n\r\n")


async def test_the_rest_of_a_short_body_is_skipped_and_the_connection_goes_on() -> None:
    async with serving(refuse) as (_, address):
        short = post(b"/", b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        assert len(short) < DRAIN_BYTES
        received = await exchange(address, short + GET)
    assert received.count(b"HTTP/1.1 413") == 2


async def test_a_long_body_that_nobody_reads_ends_the_connection_after_the_response() -> None:
    """The peer gets to read the response although it goes on sending; then it is cut."""

    async def send_on(writer: asyncio.StreamWriter) -> None:
        for _ in range(10 * LINGER_BYTES // 65536):
            writer.write(b"a" * 65536)
            await writer.drain()

    async with serving(refuse) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 413")
        with pytest.raises(ConnectionError):
            await send_on(writer)
        writer.close()


async def test_continue_is_sent_when_the_body_is_wanted_and_only_then() -> None:
    expecting = post(b"/", b"body", b"Expect: 100-continue")[: -len(b"body")]
    async with serving(echo) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(expecting)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body" + GET)
        assert b"POST / 127.0.0.1 body" in await reader.read()
        writer.close()
    async with serving(refuse) as (_, address):
        received = await exchange(address, expecting)
    assert received.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in received


async def test_a_body_is_read_no_faster_than_the_app_takes_it() -> None:
    taken: list[Message] = []
    ready = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await ready.wait()
        while True:
            taken.append(await receive())
            if not taken[-1]["more_body"]:
                break
        await _respond(send, b"done")

    async with serving(slow) as (_, address):
        body = b"a" * LARGE_BYTES
        sender = asyncio.create_task(exchange(address, post(b"/", body, b"Connection: close")))
        await asyncio.sleep(0.2)
        ready.set()
        assert (await sender).endswith(b"done")
    assert sum(len(message["body"]) for message in taken) == LARGE_BYTES
    assert max(len(message["body"]) for message in taken) < BODY_HIGH_WATER_BYTES + 65536


async def test_a_reader_that_stops_is_cut_and_the_app_is_told() -> None:
    finished = asyncio.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await _respond(send, b"a" * LARGE_BYTES)
        finished.set()

    async with serving(
        large, rate_window_s=0.5, min_rate_bytes_per_s=10**6, header_timeout_s=1
    ) as (server, address):
        peer = socket.create_connection(address)
        peer.sendall(GET)
        await finished.wait()
        assert server.state.connections.closed == {"too_slow": 1}
        peer.close()


async def test_a_reader_that_is_slow_but_reads_gets_everything() -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await _respond(send, b"a" * LARGE_BYTES)

    async with serving(
        large, rate_window_s=0.3, min_rate_bytes_per_s=10**5, header_timeout_s=1
    ) as (
        _,
        address,
    ):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        size = 0
        while chunk := await reader.read(1_000_000):
            size += len(chunk)
            await asyncio.sleep(0.02)
        assert size > LARGE_BYTES
        writer.close()


async def test_silent_connections_end_by_what_they_wait_for() -> None:
    async with serving(echo, header_timeout_s=0.4, idle_timeout_s=0.8) as (server, address):
        nothing, half, idle = [await asyncio.open_connection(*address) for _ in range(3)]
        half[1].write(b"GET / HTTP/1.1\r\n")
        idle[1].write(post(b"/", b"body"))
        assert await nothing[0].read() == b""
        assert (await half[0].read()).startswith(b"HTTP/1.1 408")
        assert (await idle[0].read()).endswith(b"body")
        assert server.state.connections.closed == {"header_timeout": 2, "idle_timeout": 1}
        for _, writer in (nothing, half, idle):
            writer.close()


@pytest.mark.parametrize("host", ["::1", "::"])
async def test_ipv6_is_served_and_every_address_means_both_kinds(host: str) -> None:
    async with serving(echo, host=host) as (_, (_, port)):
        assert (await exchange(("::1", port), GET)).endswith(b"GET /last ::1 ")
        if host == "::":
            assert (await exchange(("127.0.0.1", port), GET)).endswith(b"GET /last 127.0.0.1 ")
    with listen(host, 0) as listener:
        assert url_of(listener).startswith(f"http://[{host}]:")


async def test_a_trusted_proxy_names_the_client_and_nobody_else_does() -> None:
    forwarded = GET[:-2] + b"X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n\r\n"
    async with serving(echo) as (_, address):
        assert (await exchange(address, forwarded)).endswith(b" 127.0.0.1 ")
    async with serving(echo, proxies="127.0.0.0/8") as (_, address):
        assert (await exchange(address, forwarded)).endswith(b" 192.0.2.1 ")


async def test_an_app_that_fails_is_a_500_or_an_aborted_response() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret")

    async def fails_midway(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a secret")

    async with serving(fails) as (_, address):
        received = await exchange(address, GET)
    assert received.startswith(b"HTTP/1.1 500")
    assert b"secret" not in received
    async with serving(fails_midway) as (_, address):
        assert not (await exchange(address, GET)).endswith(b"0\r\n\r\n")


async def test_a_header_with_a_line_end_is_not_sent() -> None:
    async def injected(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x", b"y\r\nset-cookie: z"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async with serving(injected) as (_, address):
        received = await exchange(address, GET)
    assert received.startswith(b"HTTP/1.1 500")
    assert b"set-cookie" not in received


async def test_a_stopping_server_lets_a_response_end_and_closes_what_waits() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await go_on.wait()
        await _respond(send, b"done")

    async with serving(slow) as (server, address):
        waiting = await asyncio.open_connection(*address)
        sender = asyncio.create_task(exchange(address, post(b"/", b"")))
        await started.wait()
        closing = asyncio.create_task(server.close())
        assert await waiting[0].read() == b""
        go_on.set()
        received = await sender
        await closing
        waiting[1].close()
    assert received.endswith(b"done")
    assert b"connection: close" in received

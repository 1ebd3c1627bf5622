"""A load generator that costs little: keep-alive connections that send one prepared request."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

import uvloop


@dataclass
class Load:
    """What to send, how often, over how many connections at once."""

    port: int
    request: bytes
    connections: int
    requests: int
    expected_status: int
    latencies_s: list[float] = field(default_factory=list)
    duration_s: float = 0.0


def submit_request(port: int, token: str, sql: str, more_headers: str = "") -> bytes:
    """The bytes of one `POST /v2/query_runs`; more headers end with CRLF each."""
    body = json.dumps({"sql": sql, "content_type": "csv"}).encode()
    head = (
        f"POST /v2/query_runs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{more_headers}\r\n"
    )
    return head.encode() + body


def run(load: Load) -> Load:
    """Send everything; every response must have the expected status."""
    uvloop.run(_run(load))
    return load


async def _run(load: Load) -> None:
    left = iter(range(load.requests))
    began = time.monotonic()
    await asyncio.gather(*(_connection(load, left) for _ in range(load.connections)))
    load.duration_s = time.monotonic() - began


async def _connection(load: Load, left: object) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    try:
        for _ in left:  # type: ignore[attr-defined] # one iterator shared by all connections
            began = time.monotonic()
            writer.write(load.request)
            status = await _read_response(reader)
            load.latencies_s.append(time.monotonic() - began)
            if status != load.expected_status:
                raise RuntimeError(f"responded {status}")
    finally:
        writer.close()


async def _read_response(reader: asyncio.StreamReader) -> int:
    """Read one response; returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.index(b"content-length:") + 15
    await reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
    return int(head[9:12])

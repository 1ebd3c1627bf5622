"""`python -m tests.attack.flood KIND HOST PORT`: send one kind of flood until killed.

In a process of its own, so that what it costs is not taken from whoever measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

MEGABYTE = 10**6
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
WRONG_TOKEN = b"GET /v2/query_runs/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * 68
SUBMIT = b"POST /v2/query_runs HTTP/1.1\r\nHost: x\r\n"


async def _send(host: str, port: int, sent: bytes, *, reads: bool) -> None:
    """One connection after the other: send, read until it closes."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(sent)
                await writer.drain()
                while reads and await reader.read(65536):
                    pass
            finally:
                writer.close()
        await asyncio.sleep(0)


async def _repeat(host: str, port: int, sent: bytes) -> None:
    """One request after the other on one connection."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                while True:
                    writer.write(sent)
                    if not await reader.read(65536):
                        break
            finally:
                writer.close()
        await asyncio.sleep(0)


async def _hold(host: str, port: int) -> None:
    """Open a connection, send half a head, and hold it until it is closed."""
    await _send(host, port, HEALTH, reads=True)


KINDS: dict[str, tuple[int, Callable[[str, int], Awaitable[None]]]] = {
    "headers": (3, lambda h, p: _send(h, p, HEALTH + b"A: b\r\n" * (4 * MEGABYTE), reads=True)),
    "header": (3, lambda h, p: _send(h, p, HEALTH + b"A: " + b"a" * 24 * MEGABYTE, reads=True)),
    "url": (3, lambda h, p: _send(h, p, b"GET /" + b"a" * 24 * MEGABYTE, reads=True)),
    "tokens": (400, lambda h, p: _repeat(h, p, WRONG_TOKEN + b"\r\n\r\n")),
    "requests": (400, lambda h, p: _repeat(h, p, HEALTH + b"\r\n")),
    "churn": (200, lambda h, p: _send(h, p, HEALTH + b"Connection: close\r\n\r\n", reads=True)),
    "held": (600, _hold),
    "pipeline": (50, lambda h, p: _send(h, p, (HEALTH + b"\r\n") * 5000, reads=False)),
    "chunks": (
        100,
        lambda h, p: _send(
            h,
            p,
            SUBMIT + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 20000,
            reads=True,
        ),
    ),
}
"""By name: how many connections at once, and what each does."""


async def main(kind: str, host: str, port: int) -> None:
    """Flood until the process is killed."""
    count, attack = KINDS[kind]
    await asyncio.gather(*(attack(host, port) for _ in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

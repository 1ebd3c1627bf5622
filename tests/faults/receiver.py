"""A real receiver of webhooks on loopback, that fails in every way a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

LOOPBACK = "127.0.0.1"

OK = "200 OK"


@dataclass(frozen=True, slots=True)
class Message:
    """What has arrived: its path, headers and body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The body's JSON object."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """Takes messages. `behave` names what it does with one: a status line, or a way to fail."""

    url: str = ""
    behave: Callable[[Message], str] = lambda _message: OK
    messages: list[Message] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                message = await _read(reader)
                async with self.arrived:
                    self.messages.append(message)
                    self.arrived.notify_all()
                await _respond(self.behave(message), writer)
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def until(self, count: int, timeout_s: float = 60.0) -> list[Message]:
        """The messages, once there are so many."""
        async with asyncio.timeout(timeout_s), self.arrived:
            await self.arrived.wait_for(lambda: len(self.messages) >= count)
        return list(self.messages)


async def _read(reader: asyncio.StreamReader) -> Message:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")
    pairs = (one.partition(": ") for one in fields if ": " in one)
    headers = {name.lower(): value for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Message(line.split(" ")[1], headers, body)


async def _respond(how: str, writer: asyncio.StreamWriter) -> None:
    if how == "hang":
        await asyncio.sleep(3600)
    elif how == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        writer.transport.abort()
    elif how == "slow body":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nso")
        await writer.drain()
        await asyncio.sleep(3600)
    elif how == "huge body":
        writer.write(b"HTTP/1.1 500 Oops\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
    elif how == "huge head":
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"x-filler: y\r\n" * 20000)
        await writer.drain()
    elif how == "nonsense":
        writer.write(b"SMTP ready\r\n\r\n")
    elif how == "close":
        return
    else:
        writer.write(f"HTTP/1.1 {how}\r\ncontent-length: 4\r\n\r\ndone".encode())
    await writer.drain()


@asynccontextmanager
async def receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that listens on loopback, on a free port."""
    made = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(made.take(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, LOOPBACK, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    made.url = f"{'https' if tls else 'http'}://{LOOPBACK}:{port}/hook"
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""The server: it listens, runs the app for each request, checks the clock, and stops."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from starlette.types import ASGIApp

from queryrun.http.server.connection import Connection
from queryrun.http.server.connections import Connections
from queryrun.http.server.limits import NOT_SENT_LOW_WATER_BYTES, ServerLimits
from queryrun.http.server.proxies import TrustedProxies
from queryrun.http.server.state import ServerState, date_header
from queryrun.http.server.turns import KnownCallers

CLOSE_CONNECTIONS_S = 5.0
"""How long responses in progress may take when the server stops."""
BACKLOG = 2048
"""Connections that the kernel completes before they are accepted."""
_CHECK_INTERVAL_S = 1.0
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)


class HttpServer:
    """Serves an ASGI app on one listening socket. `start`, then `close`."""

    def __init__(
        self,
        app: ASGIApp,
        limits: ServerLimits,
        proxies: TrustedProxies | None = None,
        connections: Connections | None = None,
        callers: KnownCallers | None = None,
    ) -> None:
        """Without `proxies` nobody's X-Forwarded-For counts. `connections` are for a watch;
        `callers` are those whom the app has authorized."""
        counted = Connections(limits) if connections is None else connections
        self.state = ServerState(
            app, limits, proxies or TrustedProxies(), counted, callers or KnownCallers()
        )
        self._server: asyncio.Server | None = None
        self._clock: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections from now on. The socket is ours, and closed by `close`."""
        with suppress(OSError):  # accepted connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOT_SENT_LOW_WATER_BYTES)
        self._server = await self.state.loop.create_server(
            lambda: Connection(self.state), sock=listener, backlog=BACKLOG
        )
        self._clock = asyncio.create_task(self._watch_time())

    async def close(self, timeout_s: float = CLOSE_CONNECTIONS_S) -> None:
        """Accept nothing more, let responses in progress end for `timeout_s`, cut the others."""
        self.state.is_closing = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.state.connections):
            connection.shut_down()
        if self.state.tasks:
            await asyncio.wait(self.state.tasks, timeout=timeout_s)
        for task in list(self.state.tasks):
            task.cancel()
        await asyncio.gather(*self.state.tasks, return_exceptions=True)
        for connection in list(self.state.connections):
            connection.abort()
        if self._clock is not None:
            self._clock.cancel()

    async def _watch_time(self) -> None:
        """One timer for all connections costs less than one for each."""
        interval_s = min(_CHECK_INTERVAL_S, self.state.limits.header_timeout_s / 4)
        while True:
            await asyncio.sleep(interval_s)
            self.state.date_header = date_header()
            now_s = self.state.now_s()
            for connection in list(self.state.connections):
                connection.check_time(now_s)

"""What the connections of a server share, and the run of the app for one request."""

from __future__ import annotations

import asyncio
import traceback
from email.utils import formatdate

import structlog
from starlette.types import ASGIApp

from queryrun.http.server.connections import Connections
from queryrun.http.server.exchange import Exchange
from queryrun.http.server.limits import READ_BYTES, ServerLimits
from queryrun.http.server.proxies import TrustedProxies
from queryrun.http.server.turns import KnownCallers, Turns

log = structlog.get_logger("queryrun.http")

_MAX_FRAMES = 8


class ServerState:
    """What the connections of a server share."""

    def __init__(
        self,
        app: ASGIApp,
        limits: ServerLimits,
        proxies: TrustedProxies,
        connections: Connections,
        callers: KnownCallers,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.now_s = self.loop.time
        self.limits = limits
        self.proxies = proxies
        self.connections = connections
        self.callers = callers
        self.turns: Turns[Exchange] = Turns(self.loop, self._begin)
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self.date_header = date_header()
        self.is_closing = False
        self.tasks: set[asyncio.Task[None]] = set()
        self._app = app

    def _begin(self, exchange: Exchange) -> None:
        if exchange.disconnected:
            return
        task = self.loop.create_task(self._run(exchange))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, exchange: Exchange) -> None:
        """Run the app for one request. It responds to its own errors; this is for what is left."""
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
            origins = [f"{frame.filename}:{frame.lineno}" for frame in frames]
            log.error("app_error", error=type(error).__name__, frames=origins)  # noqa: TRY400 no message
        finally:
            if not exchange.response_complete:
                exchange.abort()


def date_header() -> bytes:
    """The line of the response header with the time of now."""
    return b"date: " + formatdate(usegmt=True).encode("ascii") + b"\r\n"

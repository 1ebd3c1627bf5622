"""Remote engines as a node sees them: stop work by its name, list it, check their health.

One process makes all calls. It is started when it is first needed, and again when it has died.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from queryrun.engines.base import REMOTE_BOUND_S
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Unavailable
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode
from queryrun.services.base import ServiceProcess, ServiceProcesses
from queryrun.services.remote_stop.frames import RemoteCall, RemoteRequest, RemoteResponse

_log = structlog.get_logger(__name__)

ROLE = "remote_stop"
"""Of its processes, in the fork server's table."""
RESPONSE_TIMEOUT_S = 2 * REMOTE_BOUND_S
"""A process that has not responded by then is replaced."""


class RemoteStopClient:
    """Calls to remote engines. Used from the event loop of the main thread alone.

    Every method raises `Unavailable` when the engine does not respond, or not as expected: then
    its state is unknown, and the caller retries.
    """

    def __init__(self, fork_client: ForkClient) -> None:
        decode = msgspec.msgpack.Decoder(RemoteResponse).decode
        self._processes = ServiceProcesses(
            fork_client, ROLE, decode, "remote engines cannot be called at the moment"
        )
        self._connection: _Connection | None = None
        self._starting = asyncio.Lock()

    async def stop(self, source: SourceSpec, name: str) -> None:
        """Stop all work of this name; returns when the engine reports that none is left."""
        await self._call("stop", source, name)

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """The names of all work of ours that the engine runs or has queued."""
        return (await self._call("names", source)).names

    async def check(self, source: SourceSpec) -> None:
        """Return if the engine would accept a statement."""
        await self._call("check", source)

    async def close(self) -> None:
        """Kill the process. Calls in progress fail. Idempotent."""
        await self._processes.close()
        if self._connection is not None:
            await self._connection.closed()

    async def _call(self, call: RemoteCall, source: SourceSpec, name: str = "") -> RemoteResponse:
        """A timeout kills the process: the stuck call holds a thread, and others may follow."""
        connection = await self._connect()
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                response = await connection.call(call, source, name)
        except TimeoutError:
            _log.error("remote_stop_timeout", call=call, engine=source.engine)
            await self._processes.end(connection.process)
            raise Unavailable("the engine did not respond in time") from None
        if response.problem is not None:
            raise Unavailable(response.problem)
        return response

    async def _connect(self) -> _Connection:
        """The lock keeps concurrent calls from starting a process each."""
        async with self._starting:
            if self._connection is None or self._connection.lost:
                if self._connection is not None:
                    await self._processes.end(self._connection.process)
                self._connection = _Connection(await self._processes.start())
            return self._connection


class _Connection:
    """One process, from its start to its exit: many concurrent calls, responses in any order."""

    def __init__(self, process: ServiceProcess[RemoteResponse]) -> None:
        self.process = process
        self.lost = False
        self._number = 0
        self._pending: dict[int, asyncio.Future[RemoteResponse]] = {}
        self._listening = asyncio.create_task(self._listen(), name="remote_stop")

    async def call(self, call: RemoteCall, source: SourceSpec, name: str) -> RemoteResponse:
        """Its response. `Unavailable` when the process dies first."""
        if self.lost:
            raise Unavailable("the remote-stop process has ended")
        self._number += 1
        number = self._number
        pending: asyncio.Future[RemoteResponse] = asyncio.get_running_loop().create_future()
        self._pending[number] = pending
        try:
            self.process.send(encode(RemoteRequest(number, call, source, name)))
            return await pending
        finally:
            self._pending.pop(number, None)

    async def closed(self) -> None:
        """Wait until the process has closed its end and every pending call has failed."""
        await self._listening

    async def _listen(self) -> None:
        """A response without a waiting caller is dropped: that was cancelled or timed out."""
        while (response := await self.process.receive()) is not None:
            pending = self._pending.get(response.number)
            if pending is not None and not pending.done():
                pending.set_result(response)
        self.lost = True
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(Unavailable("the remote-stop process has ended"))

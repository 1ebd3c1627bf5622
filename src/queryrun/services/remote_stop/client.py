"""Remote engines as a node sees them: stop work by its name, list it, check their health.

One process makes all calls. It is started when it is first needed, and again when it has died.
"""

from __future__ import annotations

import asyncio
import socket

import msgspec
import structlog

from queryrun.engines.base import REMOTE_BOUND_S
from queryrun.engines.source_spec import SourceSpec
from queryrun.errors import Unavailable
from queryrun.processes.child_process import ChildProcess
from queryrun.processes.errors import ForkServerLost
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import encode, receive_body
from queryrun.services.remote_stop.frames import RemoteCall, RemoteRequest, RemoteResponse

_log = structlog.get_logger(__name__)

ROLE = "remote_stop"
"""Of its processes, in the fork server's table."""
ANSWER_BOUND_S = 2 * REMOTE_BOUND_S
"""A stopper that has not answered by then is replaced."""


class Stopper:
    """Calls to engines elsewhere. Used from the event loop of the main thread alone.

    Every method raises `Unavailable` when the engine does not answer, or not as hoped: then
    nothing is known, and the caller asks again.
    """

    def __init__(self, fork_client: ForkClient) -> None:
        self._fork_client = fork_client
        self._process: _Process | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    async def stop(self, source: SourceSpec, name: str) -> None:
        """End all work of this name; returns when the engine says that none is left."""
        await self._ask("stop", source, name)

    async def names(self, source: SourceSpec) -> tuple[str, ...]:
        """The names of all work of ours that the engine runs or has queued."""
        return (await self._ask("names", source)).names

    async def check(self, source: SourceSpec) -> None:
        """Return when the engine would take a statement."""
        await self._ask("check", source)

    async def close(self) -> None:
        """End the process. Calls under way fail. Idempotent."""
        self._closed = True
        if self._process is not None:
            await self._process.end()

    async def _ask(self, call: RemoteCall, source: SourceSpec, name: str = "") -> RemoteResponse:
        process = await self._any()
        try:
            async with asyncio.timeout(ANSWER_BOUND_S):
                answer = await process.ask(call, source, name)
        except TimeoutError:
            _log.error("stopper_stuck", call=call, engine=source.engine)
            await process.end()
            raise Unavailable("the engine did not answer in time") from None
        if answer.problem is not None:
            raise Unavailable(answer.problem)
        return answer

    async def _any(self) -> _Process:
        async with self._starting:
            if self._closed:
                raise Unavailable("the node is closing")
            if self._process is None or self._process.lost:
                if self._process is not None:
                    await self._process.end()
                self._process = await self._start()
            return self._process

    async def _start(self) -> _Process:
        try:
            child, control = await self._fork_client.fork(ROLE)
        except (ForkServerLost, OSError) as error:
            raise Unavailable("engines elsewhere cannot be asked at the moment") from error
        process = _Process(child)
        await process.connect(control)
        return process


class _Process:
    """One life of the stopper: many questions under way, answers in any order."""

    def __init__(self, child: ChildProcess) -> None:
        self._child = child
        self._number = 0
        self._waiting: dict[int, asyncio.Future[RemoteResponse]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._ended = False
        self.lost = False

    async def connect(self, control: socket.socket) -> None:
        reader, self._writer = await asyncio.open_unix_connection(sock=control)
        self._listening = asyncio.create_task(self._listen(reader), name="stopper")

    async def ask(self, call: RemoteCall, source: SourceSpec, name: str) -> RemoteResponse:
        """Its answer. `Unavailable` when it dies first."""
        if self.lost:
            raise Unavailable("the stopper process has ended")
        self._number += 1
        number = self._number
        waiting: asyncio.Future[RemoteResponse] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            self._writer.write(encode(RemoteRequest(number, call, source, name)))
            return await waiting
        finally:
            self._waiting.pop(number, None)

    async def end(self) -> None:
        """Kill and reap it; whoever waits is told. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self._child.kill()
        if self._listening is not None:
            await self._listening
        await self._child.reap()
        self._writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        answers = msgspec.msgpack.Decoder(RemoteResponse)
        try:
            while True:
                body = await receive_body(reader)
                answer = answers.decode(body)
                waiting = self._waiting.get(answer.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (OSError, EOFError, ValueError, msgspec.MsgspecError):
            self._lose()

    def _lose(self) -> None:
        self.lost = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Unavailable("the stopper process has ended"))

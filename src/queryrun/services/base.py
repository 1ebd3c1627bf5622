"""What the clients of all services share: starting, using and stopping processes of one role."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

import msgspec

from queryrun.errors import Unavailable
from queryrun.processes.child_process import ChildProcess
from queryrun.processes.errors import ForkServerLost
from queryrun.processes.fork_client import ForkClient
from queryrun.processes.frames import receive_body

Response = TypeVar("Response")
Key = TypeVar("Key")
Value = TypeVar("Value")


class ServiceProcess(Generic[Response]):
    """One process of a service and our end of its socket. `ServiceProcesses` manages it."""

    def __init__(self, child: ChildProcess, decode: Callable[[bytes], Response]) -> None:
        self.child = child
        self._decode = decode

    async def connect(self, control: socket.socket) -> None:
        """Begin to communicate over our end of its socket. Takes over the socket."""
        self._reader, self._writer = await asyncio.open_unix_connection(sock=control)

    async def request(self, frame: bytes) -> Response | None:
        """Send an encoded frame and wait for the next response; None as for `receive`."""
        self.send(frame)
        return await self.receive()

    def send(self, frame: bytes) -> None:
        """Send an encoded frame. Does nothing when the process has exited: `receive` reports it."""
        with contextlib.suppress(OSError):
            self._writer.write(frame)

    async def sent(self) -> None:
        """Wait until the process has taken most of what was sent. For large frames."""
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def receive(self) -> Response | None:
        """Its next response; None when it died or broke the protocol. Then pass it to `end`."""
        try:
            return self._decode(await receive_body(self._reader))
        except (OSError, EOFError, ValueError, msgspec.MsgspecError):
            return None

    async def end(self) -> None:
        """For `ServiceProcesses`: kill, reap, close the socket. Once."""
        self.child.kill()
        await self.child.reap()
        self._writer.close()


class ServiceProcesses(Generic[Response]):
    """The processes of one role. None outlives `close`, and none is left when a call is cancelled.

    Used from the event loop of the main thread alone.
    """

    def __init__(
        self,
        fork_client: ForkClient,
        role: str,
        decode: Callable[[bytes], Response],
        unavailable: str,
    ) -> None:
        """`unavailable`: what a caller reads when no process can be started."""
        self._fork_client = fork_client
        self._role = role
        self._decode = decode
        self._unavailable = unavailable
        self._living: set[ServiceProcess[Response]] = set()
        self._starting: set[asyncio.Task[ServiceProcess[Response]]] = set()
        self._ending: dict[ServiceProcess[Response], asyncio.Task[None]] = {}
        self._closed = False

    async def start(self) -> ServiceProcess[Response]:
        """A new process. The caller must hand it to `end`.

        Raises `Unavailable` when none can be started or this is closed. Cancelling the call kills
        the process as soon as it exists: a fork cannot be undone.
        """
        if self._closed:
            raise Unavailable("the node is closing")
        starting = asyncio.ensure_future(self._start())
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._end_unused)
            raise

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[ServiceProcess[Response]]:
        """A process for one conversation, killed afterwards. Raises the errors of `start`."""
        process = await self.start()
        try:
            yield process
        finally:
            await self.end(process)

    async def end(self, process: ServiceProcess[Response]) -> None:
        """Kill it and return when it is reaped. Idempotent; a cancelled call still kills it."""
        ending = self._begin_to_end(process)
        if ending is not None:
            await asyncio.shield(ending)

    async def close(self) -> None:
        """Kill every process, and start no more. Idempotent."""
        self._closed = True
        await asyncio.gather(*self._starting, return_exceptions=True)
        for process in list(self._living):
            self._begin_to_end(process)
        await asyncio.gather(*self._ending.values())

    async def _start(self) -> ServiceProcess[Response]:
        """Counts as living before it is connected, so that `close` never misses it."""
        try:
            child, control = await self._fork_client.fork(self._role)
        except (ForkServerLost, OSError) as error:
            raise Unavailable(self._unavailable) from error
        process = ServiceProcess(child, self._decode)
        self._living.add(process)
        await process.connect(control)
        return process

    def _end_unused(self, starting: asyncio.Task[ServiceProcess[Response]]) -> None:
        if starting.exception() is None:
            self._begin_to_end(starting.result())

    def _begin_to_end(self, process: ServiceProcess[Response]) -> asyncio.Task[None] | None:
        if process in self._living:
            self._living.discard(process)
            ending = asyncio.ensure_future(process.end())
            self._ending[process] = ending
            ending.add_done_callback(lambda _: self._ending.pop(process, None))
        return self._ending.get(process)


class RecentResults(Generic[Key, Value]):
    """The last results by key; beyond `max_entries` the least recently used is evicted."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def get(self, key: Key) -> Value | None:
        """The result, marked as recently used; None when there is none."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a result; it replaces an earlier one."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

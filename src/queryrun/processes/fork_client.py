"""The node's side of the fork server: start it, request processes, restart it when it dies."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping

import structlog

from queryrun.causes import Cause, cause_of
from queryrun.processes.child_process import ChildProcess
from queryrun.processes.errors import ForkServerLost
from queryrun.processes.fork_frames import (
    MAX_PACKET_BYTES,
    Fork,
    Forked,
    ForkRequest,
    ForkResponse,
    LeftProcesses,
    Reap,
    Reaped,
    Refused,
    decode_response,
)
from queryrun.processes.frames import encode
from queryrun.processes.sandbox import SandboxMode

_log = structlog.get_logger(__name__)

_PASSED_ENVIRONMENT = (
    *("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
"""The variables that children inherit from the node. Not the rest: it may contain secrets."""

_LEFT_PROCESSES_RETRY_S = 1.0

Roles = Mapping[str, str]
"""What a process of each role runs, as `module:function`, a `fork_server.EntryPoint`.

The modules are imported in the fork server, once, before its first fork."""


class ForkClient:
    """Starts child processes. One per node; used from the event loop of the main thread alone.

    The kernel kills the fork server with the *thread* that started it, hence the main thread.
    """

    def __init__(self, roles: Roles, sandbox: SandboxMode = SandboxMode.BEST_EFFORT) -> None:
        self._roles = roles
        self._sandbox = sandbox
        self._server: _Server | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The fork server's pid; None when none runs."""
        return None if self._server is None or self._server.lost else self._server.pid

    def start(self) -> None:
        """Start the fork server if none runs. Returns at once, long before it is ready."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the fork server must be started from the main thread")
        if self._closed:
            raise ForkServerLost("closed")
        if self.pid is None:
            self._server = _Server(self._roles, self._sandbox)

    async def fork(self, role: str) -> tuple[ChildProcess, socket.socket]:
        """A new process, and our end of its socket. Starts the fork server when it is not running.

        Raises `ForkServerLost` when the fork server exits meanwhile or cannot fork. Do not cancel
        the call: a process without a caller exits, but only once the response arrives.
        """
        self.start()
        assert self._server is not None  # noqa: S101 - start() has just made it
        return await self._server.fork(role)

    async def close(self) -> None:
        """Kill the fork server, and with it all processes that it forked. Idempotent."""
        self._closed = True
        if self._server is not None:
            self._server.end()


class _Server:
    """One fork server process, from its start to its exit."""

    def __init__(self, roles: Roles, sandbox: SandboxMode) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        self._pending: dict[int, asyncio.Future[tuple[ForkResponse, list[int]]]] = {}
        self._reaps: set[asyncio.Task[None]] = set()
        self._number = 0
        self.lost = False
        with theirs:
            self._process = _spawn(roles, sandbox, theirs.fileno())
        self.pid = self._process.pid
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours, self._on_readable)

    async def fork(self, role: str) -> tuple[ChildProcess, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                request = Fork(self._next(), role)
                response, descriptors = await self._request(request, theirs.fileno())
        except BaseException:
            ours.close()
            raise
        if not isinstance(response, Forked):
            ours.close()
            raise _refusal(response)
        if not descriptors:  # the kernel drops them when this process may open no more files
            self._abandon(response.pid, ours)
            raise ForkServerLost("no descriptor is left to watch it", Cause.NO_DESCRIPTORS)
        try:
            return ChildProcess(response.pid, descriptors[0], self), ours
        except OSError as error:  # what cannot be named could not be stopped by another node
            os.close(descriptors[0])
            self._abandon(response.pid, ours)
            raise ForkServerLost("it cannot be named", cause_of(error)) from error

    def _abandon(self, pid: int, ours: socket.socket) -> None:
        """The process exits when its socket is closed; it is reaped when it has."""
        ours.close()
        self._reaps.add(task := asyncio.ensure_future(self._reap_unwatched(pid)))
        task.add_done_callback(self._reaps.discard)

    async def reap(self, pid: int) -> int:
        """The wait status of a dead child. Raises `ForkServerLost` when it is unknown.

        Returns when nothing that it started is left either, however long that takes.
        """
        response, _ = await self._request(Reap(self._next(), pid))
        while isinstance(response, LeftProcesses):
            _log.error("child_left_processes", pid=pid, reason=response.reason)
            await asyncio.sleep(_LEFT_PROCESSES_RETRY_S)
            response, _ = await self._request(Reap(self._next(), pid))
        if not isinstance(response, Reaped):
            raise ForkServerLost("not reaped")
        return response.wait_status

    async def _reap_unwatched(self, pid: int) -> None:
        """Reap a process without a pidfd once it has exited: asking is the only way to find out."""
        with contextlib.suppress(ForkServerLost):
            while True:
                response, _ = await self._request(Reap(self._next(), pid))
                if isinstance(response, Reaped):
                    return
                await asyncio.sleep(_LEFT_PROCESSES_RETRY_S)

    def end(self) -> None:
        """Kill it, reap it, and fail every pending request. Idempotent."""
        if self.lost:
            return
        self.lost = True
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._process.kill()
        self._process.wait()  # a small process that was just killed: a millisecond
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(ForkServerLost("the fork server has ended"))
        self._pending.clear()

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _request(
        self, request: ForkRequest, *descriptors: int
    ) -> tuple[ForkResponse, list[int]]:
        """Never blocks on a full socket: a fork server that does not read counts as lost."""
        if self.lost:
            raise ForkServerLost("the fork server has ended")
        pending = self._loop.create_future()
        self._pending[request.number] = pending
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        try:
            self._socket.sendmsg([encode(request)], attached if descriptors else [])
        except BlockingIOError:
            del self._pending[request.number]
            raise ForkServerLost("the fork server does not keep up") from None
        except OSError:
            self.end()
        response: tuple[ForkResponse, list[int]] = await pending
        return response

    def _on_readable(self) -> None:
        """Read until the socket is empty: one wake-up may stand for several responses."""
        while not self.lost:
            try:
                packet, descriptors = self._receive()
            except BlockingIOError:
                return
            except OSError:
                packet, descriptors = b"", []
            if not packet:
                _log.error("fork_server_lost", pid=self.pid)
                self.end()
                return
            self._deliver(decode_response(packet), descriptors)

    def _receive(self) -> tuple[bytes, list[int]]:
        """Close-on-exec, so that no process that the node starts inherits a pidfd."""
        ancillary_bytes = socket.CMSG_SPACE(array.array("i").itemsize)
        packet, attached, _, _ = self._socket.recvmsg(
            MAX_PACKET_BYTES, ancillary_bytes, socket.MSG_CMSG_CLOEXEC
        )
        found = array.array("i")
        for _, _, descriptors in attached:
            found.frombytes(descriptors)
        return packet, list(found)

    def _deliver(self, response: ForkResponse, descriptors: list[int]) -> None:
        pending = self._pending.pop(response.number, None)
        if pending is not None and not pending.done():
            pending.set_result((response, descriptors))
            return
        for descriptor in descriptors:  # no caller waits: closing the socket stops the process
            os.close(descriptor)


def _refusal(response: ForkResponse) -> ForkServerLost:
    """The fork server's refusal, with its cause if the kernel was it."""
    if not isinstance(response, Refused):
        return ForkServerLost("no process")
    number = response.error_number
    return ForkServerLost(response.reason, cause_of(OSError(number, "")) if number else None)


def _spawn(roles: Roles, sandbox: SandboxMode, control_fd: int) -> subprocess.Popen[bytes]:
    """A new interpreter rather than a fork: the node has threads, whose locks a fork would copy."""
    entry_points = [f"{role}={name}" for role, name in roles.items()]
    arguments = [str(control_fd), str(os.getpid()), sandbox.value, *entry_points]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "queryrun.processes.fork_server", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[control_fd],
        cwd="/",
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ENVIRONMENT if name in os.environ}
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - '' means here
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}

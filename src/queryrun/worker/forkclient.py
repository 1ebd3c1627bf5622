"""The node's side of the fork-server: start it, ask for processes, start it again when it dies."""

from __future__ import annotations

import array
import asyncio
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass

import structlog

from queryrun.worker.errors import ForkServerLost
from queryrun.worker.forkframes import (
    MAX_MESSAGE_BYTES,
    Answer,
    Fork,
    Forked,
    Reap,
    Reaped,
    Refused,
    Request,
    Role,
    pack,
    unpack_answer,
)
from queryrun.worker.process import ChildProcess

_log = structlog.get_logger(__name__)

_PASSED_ENVIRONMENT = (
    *("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
"""What children get of the node's environment. Not the rest: secrets may be in there."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What the forked processes run, as `module:function`; imported in the fork-server alone."""

    opener: str = "queryrun.worker.entry:open_session"
    """A `runtime.Opener`: what a worker opens when it is bound."""
    check: str = "queryrun.sql.check:check_statement"
    """`(statement: str) -> Verdict`: what a checker answers with."""
    remote: str = "queryrun.worker.entry:open_remote"
    """A `stopping.OpenRemote`: how the stopper speaks to engines elsewhere."""
    catalog: str = "queryrun.worker.entry:open_catalog"
    """A `cataloging.OpenCatalog`: how a source's tables are listed."""


class ForkClient:
    """Gives out fresh processes. One per node; used from the event loop of the main thread alone.

    The kernel ends the fork-server with the *thread* that started it, hence the main thread.
    """

    def __init__(self, roles: Roles | None = None) -> None:
        self._roles = roles or Roles()
        self._server: _Server | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The fork-server's pid; None when none runs."""
        return None if self._server is None or self._server.lost else self._server.pid

    def start(self) -> None:
        """Start the fork-server if none runs. Returns at once, long before it is ready."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the fork-server must be started from the main thread")
        if self._closed:
            raise ForkServerLost("closed")
        if self._server is None or self._server.lost:
            self._server = _Server(self._roles)

    async def fork(self, role: Role) -> tuple[ChildProcess, socket.socket]:
        """A new process, and our end of its socket. Starts the fork-server when it is gone.

        Raises `ForkServerLost` when the fork-server ends meanwhile or cannot fork. Not to be
        cancelled: a process that nobody takes is killed, but only once it answers.
        """
        self.start()
        assert self._server is not None  # noqa: S101 - start() has just made it
        return await self._server.fork(role)

    async def close(self) -> None:
        """End the fork-server, and with it whatever it had forked. Idempotent."""
        self._closed = True
        if self._server is not None:
            self._server.end()


class _Server:
    """One life of the fork-server."""

    def __init__(self, roles: Roles) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        self._pending: dict[int, asyncio.Future[tuple[Answer, list[int]]]] = {}
        self._number = 0
        self.lost = False
        with theirs:
            self._process = _spawn(roles, theirs.fileno())
        self.pid = self._process.pid
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours, self._on_readable)

    async def fork(self, role: Role) -> tuple[ChildProcess, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                answer, descriptors = await self._ask(Fork(self._next(), role), theirs.fileno())
        except BaseException:
            ours.close()
            raise
        if not isinstance(answer, Forked):
            ours.close()
            raise ForkServerLost(answer.reason if isinstance(answer, Refused) else "no process")
        return ChildProcess(answer.pid, descriptors[0], self), ours

    async def reap(self, pid: int) -> int:
        """The wait status of a dead child. Raises `ForkServerLost` when it cannot be had."""
        answer, _ = await self._ask(Reap(self._next(), pid))
        if not isinstance(answer, Reaped):
            raise ForkServerLost("not reaped")
        return answer.wait_status

    def end(self) -> None:
        """Kill it, collect it, and tell everyone who still waits. Idempotent."""
        if self.lost:
            return
        self.lost = True
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._process.kill()
        self._process.wait()  # a small process that was just killed: a millisecond
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(ForkServerLost("the fork-server has ended"))
        self._pending.clear()

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _ask(self, request: Request, *descriptors: int) -> tuple[Answer, list[int]]:
        if self.lost:
            raise ForkServerLost("the fork-server has ended")
        waiting = self._loop.create_future()
        self._pending[request.number] = waiting
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        try:
            self._socket.sendmsg([pack(request)], attached if descriptors else [])
        except BlockingIOError:
            del self._pending[request.number]
            raise ForkServerLost("the fork-server does not keep up") from None
        except OSError:
            self.end()
        answer: tuple[Answer, list[int]] = await waiting
        return answer

    def _on_readable(self) -> None:
        while not self.lost:
            try:
                data, descriptors = self._receive()
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                _log.error("fork_server_lost", pid=self.pid)
                self.end()
                return
            self._deliver(unpack_answer(data), descriptors)

    def _receive(self) -> tuple[bytes, list[int]]:
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        data, attached, _, _ = self._socket.recvmsg(
            MAX_MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC
        )
        found = array.array("i")
        for _, _, descriptors in attached:
            found.frombytes(descriptors)
        return data, list(found)

    def _deliver(self, answer: Answer, descriptors: list[int]) -> None:
        waiting = self._pending.pop(answer.number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result((answer, descriptors))
            return
        for descriptor in descriptors:  # nobody takes it: its socket is closed, so it ends
            os.close(descriptor)


def _spawn(roles: Roles, control_fd: int) -> subprocess.Popen[bytes]:
    module = "queryrun.worker.forkserver"
    names = [roles.opener, roles.check, roles.remote, roles.catalog]
    arguments = [str(control_fd), str(os.getpid()), *names]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", module, *arguments],
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

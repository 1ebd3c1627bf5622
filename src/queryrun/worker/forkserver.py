"""The fork-server: a small process with the engine imported and one thread, that forks workers.

Started by the node's main thread (`forkclient.py`) as `python -m queryrun.worker.forkserver`.
It knows nothing of runs. It never collects a dead child by itself: a zombie keeps its pid from
being reused until the node, which watches the pidfd, asks for it.
"""

from __future__ import annotations

import array
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

import duckdb  # noqa: F401 - imported here so that no worker has to
import msgspec
from isal import igzip, isal_zlib  # noqa: F401 - the same

from queryrun.worker.cataloging import run_catalog
from queryrun.worker.checking import run_checker
from queryrun.worker.child import become_child, die_with_parent, outlive_the_terminal
from queryrun.worker.forkframes import (
    MAX_MESSAGE_BYTES,
    Answer,
    Fork,
    Forked,
    Reap,
    Reaped,
    Refused,
    Role,
    pack,
    unpack_request,
)
from queryrun.worker.main import run_worker
from queryrun.worker.stopping import run_stopper

_DESCRIPTORS_PER_MESSAGE = 4

Start = Callable[[socket.socket], NoReturn]


def main(arguments: list[str]) -> None:
    """`<control descriptor> <node pid>`, and `module:function` for each of `forkclient.Roles`."""
    control_fd, node_pid, *names = arguments
    outlive_the_terminal()
    die_with_parent(int(node_pid))
    roles = _roles(*names)
    gc.collect()
    gc.freeze()  # what was imported stays on pages that every child shares
    ForkServer(socket.socket(fileno=int(control_fd)), roles).serve()


def _roles(opener: str, check: str, remote: str, catalog: str) -> dict[Role, Start]:
    open_session, check_statement, open_remote = _named(opener), _named(check), _named(remote)
    open_catalog = _named(catalog)
    return {
        Role.WORKER: lambda control: run_worker(control, open_session),
        Role.CHECKER: lambda control: run_checker(control, check_statement),
        Role.STOPPER: lambda control: run_stopper(control, open_remote),
        Role.CATALOG: lambda control: run_catalog(control, open_catalog),
    }


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


class ForkServer:
    """Answers one node's requests until the node is gone. Survives whatever it is sent."""

    def __init__(self, control: socket.socket, roles: dict[Role, Start]) -> None:
        self._control = control
        self._roles = roles
        self._pid = os.getpid()

    def serve(self) -> None:
        """Returns when the node has closed its end."""
        while True:
            data, descriptors = self._receive()
            if not data:
                return
            self._take_in(data, descriptors)

    def _receive(self) -> tuple[bytes, list[int]]:
        room = socket.CMSG_SPACE(_DESCRIPTORS_PER_MESSAGE * array.array("i").itemsize)
        data, attached, _, _ = self._control.recvmsg(
            MAX_MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC
        )
        return data, _descriptors(attached)

    def _take_in(self, data: bytes, descriptors: list[int]) -> None:
        try:
            request = unpack_request(data)
        except msgspec.DecodeError:
            request = None
        try:
            if isinstance(request, Fork):
                self._fork(request, descriptors)
            elif isinstance(request, Reap):
                self._answer(_reap(request))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, request: Fork, descriptors: list[int]) -> None:
        if len(descriptors) != 1:
            self._answer(Refused(request.number, "one descriptor must come along"))
            return
        _insist_on_one_thread()
        try:
            pid = os.fork()
        except OSError as error:
            self._answer(Refused(request.number, f"fork: {error.strerror}"))
            return
        if pid == 0:
            self._be_child(request.role, descriptors[0])
        self._announce(request.number, pid)

    def _announce(self, number: int, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # the child does it too; whoever comes first
        pidfd = os.pidfd_open(pid)
        try:
            self._answer(Forked(number, pid), pidfd)
        finally:
            os.close(pidfd)

    def _be_child(self, role: Role, control_fd: int) -> NoReturn:
        try:
            become_child(self._pid, control_fd)
            self._roles[role](socket.socket(fileno=control_fd))
        finally:  # never back into the server's loop; a traceback may hold SQL
            os._exit(1)

    def _answer(self, answer: Answer, *descriptors: int) -> None:
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._control.sendmsg([pack(answer)], attached if descriptors else [])


def _descriptors(attached: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in attached:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def _reap(request: Reap) -> Answer:
    try:
        pid, status = os.waitpid(request.pid, os.WNOHANG) if request.pid > 0 else (0, 0)
    except ChildProcessError:
        return Refused(request.number, "no such child")
    if pid == 0:
        return Refused(request.number, "it has not ended")
    return Reaped(request.number, status)


def _insist_on_one_thread() -> None:
    """A fork copies only the calling thread; locks that others held would stay locked for good."""
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - only their number matters
    if threads != 1:
        sys.stderr.write(f"fork-server: {threads} threads instead of one; ending\n")
        os._exit(1)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the node is gone
        main(sys.argv[1:])
    os._exit(0)

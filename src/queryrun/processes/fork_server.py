"""The fork server: a small process with one thread that has everything imported, and forks.

Started by the node's main thread (`fork_client.py`) as `python -m queryrun.processes.fork_server`.
It gets the entry points of its children by name and knows nothing else of them. It reaps a
dead child only on request: a zombie keeps its pid from being reused until the node, which watches
the pidfd, requests the reap.
"""

from __future__ import annotations

import array
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NoReturn, cast

from queryrun.processes import seccomp
from queryrun.processes.child_setup import (
    adopt_orphans,
    become_child,
    die_with_parent,
    ignore_terminal_signals,
    keep_exit_statuses,
)
from queryrun.processes.descendants import kill_adopted
from queryrun.processes.fork_frames import (
    MAX_PACKET_BYTES,
    Fork,
    Forked,
    ForkResponse,
    LeftProcesses,
    Reap,
    Reaped,
    Refused,
    decode_request,
)
from queryrun.processes.frames import encode
from queryrun.processes.no_pandas import hide_pandas
from queryrun.processes.sandbox import SandboxMode, set_mode

_DESCRIPTORS_PER_PACKET = 4

EntryPoint = Callable[[socket.socket], NoReturn]
"""What a child runs, on its end of a socket pair. Its module starts no thread when imported."""


def main(arguments: list[str]) -> None:
    """`<control descriptor> <node pid> <sandbox mode>`, then `role=module:function` for each."""
    control_fd, node_pid, mode, *roles = arguments
    ignore_terminal_signals()
    keep_exit_statuses()
    die_with_parent(int(node_pid))
    adopt_orphans()
    set_mode(SandboxMode(mode))
    seccomp.prepare()
    hide_pandas()
    gc.disable()  # what is imported stays, so there is nothing to collect
    entry_points = {role: _load(name) for role, _, name in (one.partition("=") for one in roles)}
    gc.freeze()  # what was imported stays on pages that every child shares
    gc.enable()
    ForkServer(socket.socket(fileno=int(control_fd)), entry_points).serve()


def _load(name: str) -> EntryPoint:
    module, _, attribute = name.partition(":")
    return cast("EntryPoint", getattr(import_module(module), attribute))


class ForkServer:
    """Serves one node's requests until the node exits. Malformed requests do not stop it."""

    def __init__(self, control: socket.socket, entry_points: Mapping[str, EntryPoint]) -> None:
        self._control = control
        self._entry_points = entry_points
        self._pid = os.getpid()
        self._forked: set[int] = set()
        """Children of ours that are not reaped yet. Any other child is an orphan of one of them."""

    def serve(self) -> None:
        """Returns when the node has closed its end."""
        while True:
            packet, descriptors = self._receive()
            if not packet:
                return
            self._handle(packet, descriptors)

    def _receive(self) -> tuple[bytes, list[int]]:
        ancillary_bytes = socket.CMSG_SPACE(_DESCRIPTORS_PER_PACKET * array.array("i").itemsize)
        packet, attached, _, _ = self._control.recvmsg(
            MAX_PACKET_BYTES, ancillary_bytes, socket.MSG_CMSG_CLOEXEC
        )
        return packet, _descriptors(attached)

    def _handle(self, packet: bytes, descriptors: list[int]) -> None:
        """Descriptors are closed whatever the packet contains: each one kept would be a leak."""
        try:
            request = decode_request(packet)
        except ValueError:
            request = None
        try:
            if isinstance(request, Fork):
                self._fork(request, descriptors)
            elif isinstance(request, Reap):
                self._respond(self._reap(request))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, request: Fork, descriptors: list[int]) -> None:
        """Every refusal comes before the fork, so that a refused request has started nothing."""
        entry_point = self._entry_points.get(request.role)
        if entry_point is None:
            self._respond(Refused(request.number, f"no role '{request.role}'"))
            return
        if len(descriptors) != 1:
            reason = "exactly one descriptor must be attached"
            self._respond(Refused(request.number, reason, 0 if descriptors else errno.EMFILE))
            return
        try:
            _exit_unless_single_threaded()
            pid = os.fork()
        except OSError as error:
            self._respond(Refused(request.number, f"fork: {error.strerror}", error.errno or 0))
            return
        if pid == 0:
            self._run_child(entry_point, descriptors[0])
        self._forked.add(pid)
        self._announce(request.number, pid)

    def _reap(self, request: Reap) -> ForkResponse:
        """Reap a dead child, once nothing that it started is left either.

        The kernel gives orphans to this process, wherever they moved. Pids up to 0 would mean a
        group or any child, so they are never passed to waitpid.
        """
        if request.pid not in self._forked:
            return Refused(request.number, "no such child")
        try:
            if not kill_adopted(self._forked):
                return LeftProcesses(request.number, "they do not die")
        except OSError as error:  # this process may open no more files: it cannot tell
            return LeftProcesses(request.number, f"they cannot be listed: {error.strerror}")
        pid, status = os.waitpid(request.pid, os.WNOHANG)
        if pid == 0:
            return Refused(request.number, "it has not ended")
        self._forked.discard(pid)
        return Reaped(request.number, status)

    def _announce(self, number: int, pid: int) -> None:
        """The pidfd is opened before the node knows the pid, so the pid cannot have been reused."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # the child does it too; the first call counts
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            self._undo_fork(pid)
            reason = f"pidfd_open: {error.strerror}"
            self._respond(Refused(number, reason, error.errno or 0))
            return
        try:
            self._respond(Forked(number, pid), pidfd)
        finally:
            os.close(pidfd)

    def _undo_fork(self, pid: int) -> None:
        """A process that nobody can watch must not exist. It has had no work yet."""
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._forked.discard(pid)

    def _run_child(self, entry_point: EntryPoint, control_fd: int) -> NoReturn:
        try:
            become_child(self._pid, control_fd)
            entry_point(socket.socket(fileno=control_fd))
        finally:  # never back into the server's loop; a traceback may hold SQL
            os._exit(1)

    def _respond(self, response: ForkResponse, *descriptors: int) -> None:
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._control.sendmsg([encode(response)], attached if descriptors else [])


def _descriptors(attached: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in attached:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def _exit_unless_single_threaded() -> None:
    """A fork copies only the calling thread; locks that others held would stay locked for good."""
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - only their number matters
    if threads != 1:
        sys.stderr.write(f"fork server: {threads} threads instead of one; exiting\n")
        os._exit(1)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the node has exited
        main(sys.argv[1:])
    os._exit(0)

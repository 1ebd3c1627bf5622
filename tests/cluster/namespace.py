"""A network namespace for one node, whose cable can be cut.

The node runs in a network namespace whose only interface is its loopback. Bridges carry single
ports across: they listen on 127.0.0.1 on one side and connect on the other. Cutting takes the
namespace's interface down, so that packets vanish as on a pulled cable: connections stay open and
silent. Unix sockets (between a node and its workers) are not affected.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_HOLDER = """
import ctypes, fcntl, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x40000000) != 0:
    sys.exit(f"unshare: errno {ctypes.get_errno()}")
def set_up(is_up):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = 0x1 if is_up else 0  # IFF_UP; SIOCSIFFLAGS
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", flags))
set_up(True)
print("ready", flush=True)
for line in sys.stdin:
    set_up(line.strip() == "up")
    print("done", flush=True)
"""
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace that exists as long as its holder process lives."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._reply() != "ready":
            assert self._holder.stderr is not None
            raise PermissionError(self._holder.stderr.read())
        self.path = f"/proc/{self._holder.pid}/ns/net"

    @property
    def prefix(self) -> tuple[str, ...]:
        """The beginning of a command line that runs inside."""
        return ("nsenter", f"--net={self.path}", "--")

    def cut(self) -> None:
        """Drop all packets from now on."""
        self._send("down")

    def mend(self) -> None:
        """Undo `cut`."""
        self._send("up")

    def close(self) -> None:
        """Release it. It ends with the last process inside."""
        for pipe in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if pipe is not None:
                pipe.close()
        self._holder.wait()

    def _send(self, word: str) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.write(f"{word}\n")
        self._holder.stdin.flush()
        assert self._reply() == "done"

    def _reply(self) -> str:
        assert self._holder.stdout is not None
        return self._holder.stdout.readline().strip()


def enter(path: str) -> None:
    """Bring the calling thread, and no other, into a network namespace."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


HERE = "/proc/self/ns/net"
Connect = Callable[[], socket.socket]


def tcp(port: int) -> Connect:
    """Connect to a port of the loopback of wherever the calling thread is."""
    return lambda: socket.create_connection(("127.0.0.1", port), timeout=5)


def unix(path: str) -> Connect:
    """Connect to a Unix socket, which has no namespace."""

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        return connection

    return connect


class Bridge:
    """Carries connections to one port from one namespace into another."""

    def __init__(self, listen_in: str, connect_in: str, connect: Connect, port: int = 0) -> None:
        self._connect_in = connect_in
        self._connect = connect
        self._listening = threading.Event()
        self._threads = [threading.Thread(target=self._serve, args=(listen_in, port), daemon=True)]
        self._threads[0].start()
        assert self._listening.wait(10)
        self.port: int = self._listener.getsockname()[1]

    def close(self) -> None:
        """Accept no more connections. Existing ones end with their peers."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, listen_in: str, port: int) -> None:
        enter(listen_in)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listening.set()
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        enter(self._connect_in)
        try:
            far = self._connect()
        except OSError:
            near.close()
            return
        far.settimeout(None)
        back = threading.Thread(target=_copy, args=(far, near), daemon=True)
        back.start()
        _copy(near, far)
        back.join()
        near.close()
        far.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def why_not() -> str:
    """Why namespaces cannot be created here; empty when they can."""
    if shutil.which("nsenter") is None:
        return "nsenter (util-linux) is missing"
    try:
        Namespace().close()
    except PermissionError:
        return "this user may not create network namespaces"
    return ""


@contextmanager
def own_network() -> Iterator[Namespace]:
    """A namespace for the block."""
    namespace = Namespace()
    try:
        yield namespace
    finally:
        namespace.close()

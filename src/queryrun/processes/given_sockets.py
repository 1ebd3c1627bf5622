"""Connected sockets for a process that can open none: it asks another one, which hands them over.

The two share a socket pair of packets. A request is the name of what to connect to, and the one
who connects knows what each name means: it is no address.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable

GIVE_TIMEOUT_S = 20.0
"""Longer than a connection takes where somebody answers, over all addresses of a host."""
_MAX_NAME_BYTES = 64
_GIVEN, _REFUSED = b"given", b"refused"

GiveSocket = Callable[[str], socket.socket]
"""A connected socket to what this name means. Raises `OSError`."""


def request_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends: one for each side."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_descriptor(over: socket.socket, descriptor: int) -> None:
    """The first thing on a fresh stream: `receive_socket` must be the first to read it."""
    socket.send_fds(over, [b"\0"], [descriptor])


def receive_socket(over: socket.socket, kind: socket.SocketKind) -> socket.socket | None:
    """The socket that `send_descriptor` sent; None when the other side has ended."""
    data, descriptors, _, _ = socket.recv_fds(over, 1, 1, socket.MSG_CMSG_CLOEXEC)
    if not data or not descriptors:
        return None
    return socket.socket(socket.AF_UNIX, kind, 0, fileno=descriptors[0])


class SocketRequests:
    """The side that gets sockets. Thread-safe; one request at a time."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._requests.settimeout(GIVE_TIMEOUT_S)
        self._lock = threading.Lock()

    def give(self, name: str) -> socket.socket:
        """`GiveSocket`. `ConnectionError` when it is refused or nobody is there to ask."""
        with self._lock:
            self._requests.send(name.encode())
            response, descriptors, _, _ = socket.recv_fds(
                self._requests, _MAX_NAME_BYTES, 1, socket.MSG_CMSG_CLOEXEC
            )
        if response != _GIVEN or len(descriptors) != 1:
            for descriptor in descriptors:
                os.close(descriptor)
            raise ConnectionRefusedError
        return socket.socket(fileno=descriptors[0])


def give_sockets(requests: socket.socket, give: GiveSocket) -> None:
    """The side that has sockets: respond until the other side has ended."""
    while name := requests.recv(_MAX_NAME_BYTES):
        try:
            given = give(name.decode("ascii", "replace"))
        except OSError:
            requests.send(_REFUSED)
            continue
        with given, contextlib.suppress(BrokenPipeError):
            socket.send_fds(requests, [_GIVEN], [given.fileno()])

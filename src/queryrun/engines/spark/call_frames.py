"""One call of Spark Connect on a connection between a worker and its relay.

The worker sends a `CallHeader` and one message, then nothing; when it closes the connection, the
call is canceled. The relay sends messages and at last a `CallEnd`. Each is a frame: a byte for its
kind, four for its length, and that many of content.
"""

from __future__ import annotations

import socket
import struct

import msgspec

MAX_MESSAGE_BYTES = 128 * 1024**2
"""As in Spark's own client: one batch is about 4 MB, but never less than one row."""
HEADER, MESSAGE, END = b"h", b"m", b"e"
_PREFIX = struct.Struct("!cI")


class CallHeader(msgspec.Struct, frozen=True):
    """The full name of a method, and how long the call may take; None: as long as it does."""

    method: str
    timeout_s: float | None = None


class CallEnd(msgspec.Struct, frozen=True):
    """gRPC's status of a call that has ended: the number of its code, 0 for success."""

    code: int
    details: str = ""
    metadata: list[tuple[str, bytes]] = []


def send_frame(connection: socket.socket, kind: bytes, content: bytes) -> None:
    """Send one frame. Blocks while the other side does not read."""
    connection.sendall(_PREFIX.pack(kind, len(content)))
    if content:  # whoever has read the length of nothing may have ended the connection
        connection.sendall(content)


def receive_frame(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """The next frame: its kind and content. None when the other side has closed the connection,
    also in the middle of a frame. `ValueError` for more than `MAX_MESSAGE_BYTES`."""
    prefix = _receive(connection, _PREFIX.size)
    if prefix is None:
        return None
    kind, size = _PREFIX.unpack(prefix)
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a frame of {size} bytes")
    content = _receive(connection, size)
    return None if content is None else (kind, content)


def _receive(connection: socket.socket, size: int) -> bytes | None:
    content = bytearray(size)
    view = memoryview(content)
    at = 0
    while at < size:
        count = connection.recv_into(view[at:])
        if not count:
            return None
        at += count
    return bytes(content)

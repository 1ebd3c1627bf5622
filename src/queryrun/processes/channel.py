"""A child's end of its socket: blocking reads by one thread, whole frames sent by any."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from queryrun.processes.frames import PREFIX_BYTES, Frame, body_length, encode

Received = TypeVar("Received")


class Channel(Generic[Received]):
    """Frames in and out of a child process. Reading is for one thread; sending is safe from any."""

    def __init__(self, control: socket.socket, decode: Callable[[bytes], Received]) -> None:
        self._socket = control
        self._decode = decode
        self._sending = threading.Lock()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def send(self, frame: Frame) -> None:
        """Send one frame, whole. Raises `OSError` when the node has exited."""
        data = encode(frame)
        with self._sending:
            self._socket.sendall(data)

    def readable(self, timeout_s: float | None) -> bool:
        """Wait until there is something to receive, or the end; False after `timeout_s`."""
        return bool(self._poll.poll(None if timeout_s is None else timeout_s * 1000))

    def receive(self) -> Received | None:
        """The next frame; None at the end of the stream: the node has exited or closed its end.

        Raises `ValueError` (`msgspec.DecodeError`) for bytes that `decode` does not accept.
        """
        prefix = self._exactly(PREFIX_BYTES)
        if prefix is None:
            return None
        body = self._exactly(body_length(prefix))
        return None if body is None else self._decode(body)

    def _exactly(self, count: int) -> bytes | None:
        """Into one buffer of the final size: a frame may be megabytes."""
        data = bytearray(count)
        view = memoryview(data)
        got = 0
        while got < count:
            received = self._socket.recv_into(view[got:])
            if received == 0:
                return None
            got += received
        return bytes(data)

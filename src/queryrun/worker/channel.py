"""A worker's end of its socket: blocking reads by one thread, whole frames sent by any."""

from __future__ import annotations

import select
import socket
import threading

from queryrun.worker.frames import (
    Frame,
    ToWorker,
    body_length,
    decode_to_worker,
    encode,
)

_PREFIX_BYTES = 4


class Channel:
    """Frames in and out of a worker. Reading is for one thread; sending is safe from any."""

    def __init__(self, control: socket.socket) -> None:
        self._socket = control
        self._sending = threading.Lock()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def send(self, frame: Frame) -> None:
        """Send one frame, whole. Raises `OSError` when the node is gone."""
        data = encode(frame)
        with self._sending:
            self._socket.sendall(data)

    def readable(self, timeout_s: float | None) -> bool:
        """Wait until there is something to receive, or the end; False after `timeout_s`."""
        return bool(self._poll.poll(None if timeout_s is None else timeout_s * 1000))

    def receive(self) -> ToWorker | None:
        """The next frame; None at the end of the stream: the node is gone or has let go.

        Raises `ValueError` or `msgspec.DecodeError` for bytes that are no frame.
        """
        body = self.receive_body()
        return None if body is None else decode_to_worker(body)

    def receive_body(self) -> bytes | None:
        """The next frame's body as it came; None at the end of the stream."""
        prefix = self._exactly(_PREFIX_BYTES)
        return None if prefix is None else self._exactly(body_length(prefix))

    def _exactly(self, count: int) -> bytes | None:
        data = bytearray(count)
        view = memoryview(data)
        got = 0
        while got < count:
            received = self._socket.recv_into(view[got:])
            if received == 0:
                return None
            got += received
        return bytes(data)

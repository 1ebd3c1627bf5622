"""A loopback TCP proxy that can refuse, reset or silence the connections it carries."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """Carries connections to a port, on a thread of its own."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._is_silent = threading.Event()
        self._is_refusing = threading.Event()
        self._to_reset = threading.Event()
        self._is_closed = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Connections stay open, and nothing passes, as on a cut cable."""
        self._is_silent.set()
        try:
            yield
        finally:
            self._is_silent.clear()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Connections are reset, and new ones at once."""
        self._is_refusing.set()
        self.reset()
        try:
            yield
        finally:
            self._is_refusing.clear()

    def reset(self) -> None:
        """Reset the connections that there are."""
        self._to_reset.set()

    def close(self) -> None:
        """End."""
        self._is_closed.set()
        self._thread.join()
        self._reset_all()
        self._listener.close()
        self._selector.close()

    # --- on the thread ----------------------------------------------------------------------

    def _carry(self) -> None:
        while not self._is_closed.is_set():
            if self._to_reset.is_set():
                self._to_reset.clear()
                self._reset_all()
            if self._is_silent.is_set():
                self._is_closed.wait(0.02)
                continue
            for key, _ in self._selector.select(0.02):
                with contextlib.suppress(OSError):
                    self._serve(key.fileobj)

    def _serve(self, ready: object) -> None:
        if ready is self._listener:
            self._accept()
        elif isinstance(ready, socket.socket) and ready in self._pairs:
            self._pass_on(ready)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self._is_refusing.is_set():
            _reset(near)
            return
        try:
            far = socket.create_connection(self._target, timeout=5)
        except OSError:
            _reset(near)
            return
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, ready: socket.socket) -> None:
        """An end on one side is an end on both: these protocols need no half-open connection."""
        try:
            data = ready.recv(65536)
            if data:
                self._pairs[ready].sendall(data)
                return
        except OSError:
            data = b""
        self._drop(ready)

    def _drop(self, one: socket.socket) -> None:
        for end in (one, self._pairs.pop(one)):
            self._pairs.pop(end, None)
            self._selector.unregister(end)
            end.close()

    def _reset_all(self) -> None:
        for one in list(self._pairs):
            if one in self._pairs:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._drop(one)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()

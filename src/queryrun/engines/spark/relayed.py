"""Spark Connect for a worker, which opens no connection: each call is one of its relay's sockets.

As much of gRPC's interface as `SparkConnectServiceStub`, `client.py` and `execution.py` use.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
import msgspec

from queryrun.engines.base import GiveSocket
from queryrun.engines.spark.call_frames import (
    END,
    HEADER,
    MESSAGE,
    CallEnd,
    CallHeader,
    receive_frame,
    send_frame,
)

CONNECTION = "engine"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_CANCELED = CallEnd(grpc.StatusCode.CANCELLED.value[0], "canceled here")
_BROKEN = CallEnd(grpc.StatusCode.UNAVAILABLE.value[0], "the relay has ended the connection")

Serialize = Callable[[Any], bytes]
Deserialize = Callable[[bytes], Any]


class RelayedError(grpc.RpcError, grpc.Call):  # type: ignore[misc]  # gRPC has no types
    """A call that has failed, as gRPC has it."""

    def __init__(self, end: CallEnd) -> None:
        super().__init__(end.details)
        self._end = end

    def code(self) -> grpc.StatusCode:
        """Its status."""
        return _CODES.get(self._end.code, grpc.StatusCode.UNKNOWN)

    def details(self) -> str:
        """What the server says of it."""
        return self._end.details

    def trailing_metadata(self) -> list[tuple[str, bytes]]:
        """What came along, such as Spark's own details."""
        return self._end.metadata

    def initial_metadata(self) -> list[tuple[str, bytes]]:
        """Not passed on."""
        return []

    def is_active(self) -> bool:
        """It has ended."""
        return False

    def time_remaining(self) -> None:
        """None: it has ended."""

    def cancel(self) -> bool:
        """Too late."""
        return False

    def add_callback(self, callback: Callable[[], None]) -> bool:  # noqa: ARG002 - gRPC's interface
        """Too late."""
        return False


class RelayedCall:
    """One call. It begins when its first message is read; `cancel` from any thread."""

    def __init__(
        self, give: GiveSocket, header: CallHeader, request: bytes, deserialize: Deserialize
    ) -> None:
        self._give = give
        self._header = header
        self._request = request
        self._deserialize = deserialize
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._is_canceled = False

    def messages(self) -> Iterator[Any]:
        """All of them, to the end. Raises `RelayedError`; what was canceled ends as `CANCELLED`."""
        try:
            with self._connected() as connection:
                send_frame(connection, HEADER, msgspec.msgpack.encode(self._header))
                send_frame(connection, MESSAGE, self._request)
                while (frame := receive_frame(connection)) is not None:
                    kind, content = frame
                    if kind == END:
                        return self._check_end(msgspec.msgpack.decode(content, type=CallEnd))
                    yield self._deserialize(content)
        except OSError:
            pass
        finally:
            with self._lock:
                self._connection = None
        self._fail(_BROKEN)

    def cancel(self) -> None:
        """End it here, which ends it at the server. Idempotent."""
        with self._lock:
            self._is_canceled = True
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    @property
    def is_canceled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._is_canceled

    def _connected(self) -> socket.socket:
        connection = self._give(CONNECTION)
        connection.setblocking(True)
        with self._lock:
            self._connection = connection
            if self._is_canceled:
                connection.shutdown(socket.SHUT_RDWR)
        return connection

    def _check_end(self, end: CallEnd) -> None:
        if end.code:
            self._fail(end)

    def _fail(self, end: CallEnd) -> NoReturn:
        raise RelayedError(_CANCELED if self._is_canceled else end)


class RelayedStream:
    """The responses of a call that has many, as `grpc.Call` and an iterator of them."""

    def __init__(self, call: RelayedCall) -> None:
        self._call = call
        self._messages = call.messages()

    def __iter__(self) -> RelayedStream:
        return self

    def __next__(self) -> Any:
        return next(self._messages)

    def cancel(self) -> None:
        """End it, also while another thread waits for a response."""
        self._call.cancel()


class RelayedFuture:
    """The response of a call that has one, which a thread of its own waits for."""

    def __init__(self, call: RelayedCall) -> None:
        self._call = call
        self._finished = threading.Event()
        self._response: Any = None
        self._error: RelayedError | None = None
        self._callbacks: list[Callable[[RelayedFuture], None]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._wait, daemon=True, name="spark call").start()

    def result(self) -> Any:
        """The response. Raises `RelayedError`, and what gRPC raises when it was canceled."""
        self._finished.wait()
        if self._error is not None:
            if self._call.is_canceled:
                raise grpc.FutureCancelledError
            raise self._error
        return self._response

    def cancel(self) -> None:
        """Give it up."""
        self._call.cancel()

    def add_done_callback(self, callback: Callable[[RelayedFuture], None]) -> None:
        """Call it once this has ended, in any thread."""
        with self._lock:
            if not self._finished.is_set():
                self._callbacks.append(callback)
                return
        callback(self)

    def _wait(self) -> None:
        try:
            for message in self._call.messages():
                self._response = message
        except RelayedError as error:
            self._error = error
        with self._lock:
            self._finished.set()
        for callback in self._callbacks:
            callback(self)


class RelayedMethod:
    """One method of the service."""

    def __init__(
        self,
        channel: RelayedChannel,
        name: str,
        coding: tuple[Serialize, Deserialize],
        *,
        is_stream: bool,
    ) -> None:
        self._channel = channel
        self._name = name
        self._serialize, self._deserialize = coding
        self._is_stream = is_stream

    def __call__(self, request: object, timeout: float | None = None) -> Any:
        """The response, or the stream of responses."""
        if self._is_stream:
            return RelayedStream(self._call(request, timeout))
        return self.future(request, timeout).result()

    def future(self, request: object, timeout: float | None = None) -> RelayedFuture:
        """The response, once there is one."""
        return RelayedFuture(self._call(request, timeout))

    def _call(self, request: object, timeout_s: float | None) -> RelayedCall:
        header = CallHeader(self._name, timeout_s)
        call = RelayedCall(self._channel.give, header, self._serialize(request), self._deserialize)
        self._channel.keep(call)
        return call


class RelayedChannel:
    """`grpc.Channel` over the connections that a relay gives. Once closed, calls are refused with
    `ValueError`, as gRPC does."""

    def __init__(self, give: GiveSocket) -> None:
        self.give = give
        self._calls: weakref.WeakSet[RelayedCall] = weakref.WeakSet()
        self._is_closed = False

    def unary_unary(
        self,
        method: str,
        request_serializer: Serialize,
        response_deserializer: Deserialize,
        **_: object,
    ) -> RelayedMethod:
        """A method with one response."""
        coding = (request_serializer, response_deserializer)
        return RelayedMethod(self, method, coding, is_stream=False)

    def unary_stream(
        self,
        method: str,
        request_serializer: Serialize,
        response_deserializer: Deserialize,
        **_: object,
    ) -> RelayedMethod:
        """A method with many responses."""
        coding = (request_serializer, response_deserializer)
        return RelayedMethod(self, method, coding, is_stream=True)

    def stream_unary(self, method: str, *_: object, **__: object) -> None:
        """No session sends a stream: the relay would refuse it."""

    def keep(self, call: RelayedCall) -> None:
        """Remember a call, to end it with the channel."""
        if self._is_closed:
            raise ValueError("the channel has been closed")
        self._calls.add(call)

    def close(self) -> None:
        """End every call. Idempotent."""
        self._is_closed = True
        for call in tuple(self._calls):
            call.cancel()
        self._calls.clear()

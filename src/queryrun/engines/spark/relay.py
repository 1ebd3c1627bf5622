"""What a worker may say to Spark: calls of Spark Connect, one per connection, as the source's user.

The worker's connection is a socket of this process. Encryption, user and token are added here. No
other service of the server can be called, and no other user can be named.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import grpc
import msgspec
from google.protobuf.message import DecodeError

from queryrun.engines.spark.call_frames import (
    END,
    HEADER,
    MESSAGE,
    CallEnd,
    CallHeader,
    receive_frame,
    send_frame,
)
from queryrun.engines.spark.channel import open_channel
from queryrun.engines.spark.endpoint import SparkEndpoint, endpoint_from_options
from queryrun.engines.spark.proto import (
    AnalyzePlanRequest,
    ConfigRequest,
    ExecutePlanRequest,
    FetchErrorDetailsRequest,
    GetStatusRequest,
    InterruptRequest,
    ReattachExecuteRequest,
    ReleaseExecuteRequest,
    ReleaseSessionRequest,
    UserContext,
)

_SERVICE = "/spark.connect.SparkConnectService/"
_REQUESTS: Mapping[str, Any] = {
    _SERVICE + "AnalyzePlan": AnalyzePlanRequest,
    _SERVICE + "Config": ConfigRequest,
    _SERVICE + "ExecutePlan": ExecutePlanRequest,
    _SERVICE + "FetchErrorDetails": FetchErrorDetailsRequest,
    _SERVICE + "GetStatus": GetStatusRequest,
    _SERVICE + "Interrupt": InterruptRequest,
    _SERVICE + "ReattachExecute": ReattachExecuteRequest,
    _SERVICE + "ReleaseExecute": ReleaseExecuteRequest,
    _SERVICE + "ReleaseSession": ReleaseSessionRequest,
}
"""What a session calls, and nothing else: no clone of a session, no artifacts."""
_PERMISSION_DENIED = CallEnd(grpc.StatusCode.PERMISSION_DENIED.value[0], "not relayed")
_OK = CallEnd(0)


def serve_connection(
    connection: socket.socket, options: Mapping[str, str], secret: str | None
) -> None:
    """Pass the worker's call on, until it ends or the worker closes; then `connection` is
    closed."""
    endpoint = endpoint_from_options(options, secret)
    with connection, contextlib.suppress(OSError, ValueError):
        end = _serve(connection, endpoint)
        send_frame(connection, END, msgspec.msgpack.encode(end))
        connection.shutdown(socket.SHUT_RDWR)


def _serve(connection: socket.socket, endpoint: SparkEndpoint) -> CallEnd:
    """Make the call and send its messages; returns how it has ended."""
    requested = _request(connection, endpoint)
    if requested is None:
        return _PERMISSION_DENIED
    header, request = requested
    call = _channel(endpoint).unary_stream(header.method)(request, timeout=header.timeout_s)
    threading.Thread(target=_cancel_at_close, args=(connection, call), daemon=True).start()
    try:
        for message in call:
            send_frame(connection, MESSAGE, message)
    except grpc.RpcError as error:
        return _end_of(error)
    finally:
        call.cancel()
    return _OK


def _request(connection: socket.socket, endpoint: SparkEndpoint) -> tuple[CallHeader, bytes] | None:
    """The call that the worker makes, in the name of the source's user; None when it may not."""
    frames = [receive_frame(connection), receive_frame(connection)]
    if [frame and frame[0] for frame in frames] != [HEADER, MESSAGE]:
        return None
    content, message = (frame[1] for frame in frames if frame is not None)
    try:
        header = msgspec.msgpack.decode(content, type=CallHeader)
        request = _REQUESTS[header.method].FromString(message)
    except (msgspec.DecodeError, DecodeError, KeyError):
        return None
    user = UserContext(user_id=endpoint.user, user_name=endpoint.user)
    request.user_context.CopyFrom(user)
    return header, request.SerializeToString()


def _cancel_at_close(connection: socket.socket, call: Any) -> None:
    """The worker sends nothing more: whatever comes means that it has given up the call."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    call.cancel()


def _end_of(error: grpc.RpcError) -> CallEnd:
    if not isinstance(error, grpc.Call):
        return CallEnd(grpc.StatusCode.UNKNOWN.value[0])
    return CallEnd(
        error.code().value[0], error.details() or "", list(_texts(error.trailing_metadata() or ()))
    )


def _texts(metadata: Any) -> Iterator[tuple[str, bytes]]:
    for key, value in metadata:
        yield key, value if isinstance(value, bytes) else value.encode()


@lru_cache(maxsize=1)
def _channel(endpoint: SparkEndpoint) -> grpc.Channel:
    """A relay has one worker, and a worker has one source."""
    return open_channel(endpoint)

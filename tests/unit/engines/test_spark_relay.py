"""What a worker may say to Spark through its relay, and what comes back of a call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import msgspec
import pytest

from queryrun.engines.source_spec import SourceSpec
from queryrun.engines.spark.call_frames import (
    END,
    HEADER,
    MESSAGE,
    CallEnd,
    CallHeader,
    receive_frame,
    send_frame,
)
from queryrun.engines.spark.proto import (
    ConfigRequest,
    ExecutePlanRequest,
    ExecutePlanResponse,
    InterruptRequest,
    SparkConnectServiceStub,
    UserContext,
)
from queryrun.engines.spark.relayed import RelayedChannel, RelayedError
from tests.contract.relayed import relay_of

SERVICE = "/spark.connect.SparkConnectService/"
BATCHES = 50


@dataclass
class Spark(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC has no types
    """A server that notes whom it hears, and sends batches until nobody listens."""

    users: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    batch: bytes = b"x" * 1000

    def service(self, details: Any) -> Any:
        """The handler of a method."""
        self.methods.append(details.method.removeprefix(SERVICE))
        if details.method == SERVICE + "ExecutePlan":
            return grpc.unary_stream_rpc_method_handler(self.execute)
        return grpc.unary_unary_rpc_method_handler(self.config)

    def config(self, message: bytes, context: Any) -> bytes:
        """Fails as Spark does, with details beside the status."""
        self.users.append(ConfigRequest.FromString(message).user_context.user_id)
        context.set_trailing_metadata((("reason-bin", b"\x00why"),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such setting")
        raise AssertionError

    def execute(self, message: bytes, context: Any) -> Iterator[bytes]:
        """All batches, or for the operation `endless` as many as are read."""
        request = ExecutePlanRequest.FromString(message)
        self.users.append(request.user_context.user_id)
        context.add_callback(self.left.set)
        number = 0
        while request.operation_id == "endless" or number < BATCHES:
            number += 1
            response = ExecutePlanResponse(response_id=str(number))
            response.arrow_batch.data = self.batch
            yield response.SerializeToString()


@pytest.fixture
def spark() -> Spark:
    """What the server has heard."""
    return Spark()


@pytest.fixture
def channel(spark: Spark) -> Iterator[RelayedChannel]:
    """A worker's channel to it, through a relay whose source's user is `ann`."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[spark])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    source = SourceSpec("spark", {"url": f"sc://127.0.0.1:{port}", "user": "ann"})
    channel = RelayedChannel(relay_of(source))
    yield channel
    channel.close()
    server.stop(grace=None).wait()


def stub_of(channel: RelayedChannel) -> Any:
    """Spark's own client code over it."""
    return SparkConnectServiceStub(channel)  # type: ignore[no-untyped-call]


def test_a_call_is_made_as_the_user_of_the_source(spark: Spark, channel: RelayedChannel) -> None:
    forged = ExecutePlanRequest(user_context=UserContext(user_id="root", user_name="root"))
    responses = list(stub_of(channel).ExecutePlan(forged))
    assert [one.response_id for one in responses] == [str(n + 1) for n in range(BATCHES)]
    assert spark.users == ["ann"]


def test_a_failure_has_the_status_and_what_came_along(channel: RelayedChannel) -> None:
    pending = stub_of(channel).Config.future(ConfigRequest(), timeout=60)
    with pytest.raises(RelayedError) as failed:
        pending.result()
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.details() == "no such setting"
    assert ("reason-bin", b"\x00why") in failed.value.trailing_metadata()


@pytest.mark.parametrize("way", ["call", "channel"])
def test_whoever_stops_listening_ends_the_call_at_the_server(
    spark: Spark, channel: RelayedChannel, way: str
) -> None:
    call = stub_of(channel).ExecutePlan(ExecutePlanRequest(operation_id="endless"))
    next(call)
    (call.cancel if way == "call" else channel.close)()
    assert spark.left.wait(60)
    with pytest.raises(RelayedError) as failed:
        list(call)
    assert failed.value.code() is grpc.StatusCode.CANCELLED


def test_a_batch_may_be_large(spark: Spark, channel: RelayedChannel) -> None:
    spark.batch = b"x" * (8 * 1024**2)
    call = stub_of(channel).ExecutePlan(ExecutePlanRequest())
    assert next(call).arrow_batch.data == spark.batch
    call.cancel()


def test_a_closed_channel_starts_nothing(spark: Spark, channel: RelayedChannel) -> None:
    channel.close()
    with pytest.raises(ValueError, match="closed"):
        stub_of(channel).Interrupt.future(InterruptRequest())
    assert spark.methods == []


@pytest.mark.parametrize("method", ["AddArtifacts", "CloneSession", "../Config", ""])
def test_nothing_else_of_the_server_can_be_called(
    spark: Spark, channel: RelayedChannel, method: str
) -> None:
    end = end_of(channel.give("engine"), CallHeader(SERVICE + method), b"")
    assert end.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert spark.methods == []


@pytest.mark.parametrize(
    "frames",
    [
        [(MESSAGE, b"")],
        [(HEADER, b"\xff"), (MESSAGE, b"")],
        [(HEADER, msgspec.msgpack.encode(CallHeader(SERVICE + "Config"))), (MESSAGE, b"\xff")],
    ],
)
def test_what_is_no_call_is_refused(
    spark: Spark, channel: RelayedChannel, frames: list[tuple[bytes, bytes]]
) -> None:
    connection = channel.give("engine")
    with connection:
        for kind, content in frames:
            send_frame(connection, kind, content)
        connection.shutdown(socket.SHUT_WR)
        assert receive_frame(connection) is not None
    assert spark.methods == []


def test_a_relay_that_ends_breaks_its_calls() -> None:
    def give(_name: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours

    with pytest.raises(RelayedError) as failed:
        list(stub_of(RelayedChannel(give)).ExecutePlan(ExecutePlanRequest()))
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


def end_of(connection: socket.socket, header: CallHeader, message: bytes) -> CallEnd:
    """How the relay ends this call."""
    with connection:
        send_frame(connection, HEADER, msgspec.msgpack.encode(header))
        send_frame(connection, MESSAGE, message)
        frame = receive_frame(connection)
        assert frame is not None
        assert frame[0] == END
        return msgspec.msgpack.decode(frame[1], type=CallEnd)

"""A statement is sent to Spark once, whatever the network does; against a server of gRPC's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import grpc
import pytest

from queryrun.engines.spark import execution
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import endpoint_from_options
from queryrun.engines.spark.error_details import SparkError
from queryrun.engines.spark.proto import (
    ExecutePlanRequest,
    ExecutePlanResponse,
    ReattachExecuteRequest,
)


def response(number: int, *, is_last: bool = False) -> ExecutePlanResponse:
    """One response of a stream."""
    respond = ExecutePlanResponse(response_id=f"r{number}")
    if is_last:
        respond.result_complete.CopyFrom(ExecutePlanResponse.ResultComplete())
    return respond


class Server:
    """Responds as scripted: per call its responses, and whether the stream breaks after them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.script: list[tuple[list[ExecutePlanResponse], bool]] = []

    def handler(self) -> Any:
        """What gRPC serves."""
        methods: dict[str, Any] = {
            "ExecutePlan": ExecutePlanRequest,
            "ReattachExecute": ReattachExecuteRequest,
        }
        return grpc.method_handlers_generic_handler(
            "spark.connect.SparkConnectService",
            {
                name: grpc.unary_stream_rpc_method_handler(
                    self._respond, request.FromString, ExecutePlanResponse.SerializeToString
                )
                for name, request in methods.items()
            },
        )

    def _respond(self, request: Any, context: Any) -> Iterator[ExecutePlanResponse]:
        is_first = isinstance(request, ExecutePlanRequest)
        self.calls.append("execute" if is_first else f"reattach after {request.last_response_id}")
        responses, breaks = self.script.pop(0)
        yield from responses
        if breaks:
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


@pytest.fixture
def server() -> Server:
    """A server without requests yet."""
    return Server()


@pytest.fixture
def client(server: Server) -> Iterator[SparkClient]:
    """A client of it."""
    running = grpc.server(ThreadPoolExecutor(2))
    running.add_generic_rpc_handlers((server.handler(),))
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    with closing(
        SparkClient(endpoint_from_options({"url": f"sc://127.0.0.1:{port}"}, None), "s")
    ) as one:
        yield one
    running.stop(None).wait()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "REATTACH_PAUSES_S", (0.0, 0.0))


def ids(client: SparkClient) -> list[str]:
    """The responses that a statement gets."""
    return [one.response_id for one in client.execute("SELECT 1", "tag").responses()]


def test_a_stream_that_ends_early_is_resumed(server: Server, client: SparkClient) -> None:
    server.script = [([response(1)], False), ([response(2, is_last=True)], False)]
    assert ids(client) == ["r1", "r2"]
    assert server.calls == ["execute", "reattach after r1"]


def test_a_stream_that_breaks_is_resumed(server: Server, client: SparkClient) -> None:
    server.script = [([response(1)], True), ([], True), ([response(2, is_last=True)], False)]
    assert ids(client) == ["r1", "r2"]
    assert server.calls == ["execute", "reattach after r1", "reattach after r1"]


def test_a_stream_that_breaks_too_often_is_given_up(server: Server, client: SparkClient) -> None:
    server.script = [([response(1)], True), ([], True), ([], True)]
    with pytest.raises(SparkError) as failed:
        ids(client)
    assert failed.value.details.status == "UNAVAILABLE"
    assert server.calls.count("execute") == 1


def test_a_statement_that_may_be_running_is_not_sent_again(
    server: Server, client: SparkClient
) -> None:
    server.script = [([], True)]
    with pytest.raises(SparkError):
        ids(client)
    assert server.calls == ["execute"]


def test_an_interrupted_statement_is_neither_started_nor_resumed(
    server: Server, client: SparkClient
) -> None:
    server.script = [([response(1)], False)]
    statement = client.execute("SELECT 1", "tag")
    responses = statement.responses()
    assert next(responses).response_id == "r1"
    statement.interrupt()
    with pytest.raises(SparkError) as failed:
        list(responses)
    assert failed.value.details.status == "CANCELLED"
    assert server.calls == ["execute"]

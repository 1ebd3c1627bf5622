"""One statement running on Spark, and its responses: sent once, reattached to when cut off."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from typing import Any

import grpc

from queryrun.engines.spark.error_details import SparkError, SparkErrorDetails
from queryrun.engines.spark.proto import (
    ExecutePlanRequest,
    ExecutePlanResponse,
    InterruptRequest,
    ReattachExecuteRequest,
    ReleaseExecuteRequest,
    SparkConnectServiceStub,
)

REATTACH_PAUSES_S = (0.0, 0.1, 0.5, 2.0)
"""Waits before each try to take a broken stream up again; they begin anew with each response."""
INTERRUPT_BOUND_S = 1.0
"""How long the answer to an interrupt is waited for before we stop listening to the statement."""
RELEASE_BOUND_S = 5.0


class Execution:
    """A statement that starts when its responses are first read. `interrupt` from any thread."""

    def __init__(
        self,
        stub: SparkConnectServiceStub,
        request: ExecutePlanRequest,
        explain: Callable[[grpc.RpcError], SparkErrorDetails],
    ) -> None:
        self._stub = stub
        self._request = request
        self._explain = explain
        self._call: Any = None
        self._last_response_id = ""
        self._reattach_count = 0
        self._pending_calls: set[Any] = set()
        """Kept until they are answered: gRPC cancels a call that nobody holds."""
        self._is_interrupted = threading.Event()

    def responses(self) -> Generator[ExecutePlanResponse]:
        """Start the statement and read to its end; the server waits while we do not read.

        Raises `SparkError`: for an error of the statement, for a server that cannot be reached
        before its first response (whether the statement has started is then unknown, and it is
        *not* sent again), and after an interrupt.
        """
        self._listen(self._stub.ExecutePlan, self._request)
        while True:
            try:
                for response in self._call:
                    self._reattach_count = 0
                    self._last_response_id = response.response_id
                    yield response
                    self._release(response)
                    if response.HasField("result_complete"):
                        return
            except grpc.RpcError as error:
                self._endure(error)
            self._listen(self._stub.ReattachExecute, self._reattach_request())

    def interrupt(self) -> None:
        """Ask Spark to end the statement, and stop listening as soon as it has answered.

        Does not block. The first call counts; one before the statement has reached Spark is
        lost there, but nobody listens to the statement any more.
        """
        if self._is_interrupted.is_set() or self._call is None:
            return
        self._is_interrupted.set()
        request = InterruptRequest(
            interrupt_type=InterruptRequest.INTERRUPT_TYPE_TAG,
            operation_tag=self._request.tags[0],
            session_id=self._request.session_id,
            user_context=self._request.user_context,
            client_type=self._request.client_type,
        )
        with contextlib.suppress(ValueError):  # the channel has been closed
            pending = self._stub.Interrupt.future(request, timeout=INTERRUPT_BOUND_S)
            self._pending_calls.add(pending)
            pending.add_done_callback(lambda _: self._call.cancel())

    def _listen(self, method: Any, request: object) -> None:
        """Open a stream, unless we have been interrupted: then nothing is started any more."""
        if self._is_interrupted.is_set():
            raise SparkError(SparkErrorDetails("CANCELLED"))
        self._call = method(request)

    def _endure(self, error: grpc.RpcError) -> None:
        """Wait before the next try; raise when the error is one that trying does not mend."""
        is_broken = isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE
        if self._is_interrupted.is_set():
            raise SparkError(SparkErrorDetails("CANCELLED")) from error
        if (
            not is_broken
            or not self._last_response_id
            or self._reattach_count >= len(REATTACH_PAUSES_S)
        ):
            raise SparkError(self._explain(error)) from error
        self._is_interrupted.wait(REATTACH_PAUSES_S[self._reattach_count])
        self._reattach_count += 1

    def _reattach_request(self) -> ReattachExecuteRequest:
        return ReattachExecuteRequest(
            operation_id=self._request.operation_id,
            last_response_id=self._last_response_id or None,
            **self._session(),
        )

    def _release(self, response: ExecutePlanResponse) -> None:
        """Let the server forget what it keeps in case that we reattach. Nobody waits for it."""
        is_over = response.HasField("result_complete")
        if not is_over and not response.HasField("arrow_batch"):
            return
        request = ReleaseExecuteRequest(operation_id=self._request.operation_id, **self._session())
        if is_over:
            request.release_all.CopyFrom(ReleaseExecuteRequest.ReleaseAll())
        else:
            request.release_until.response_id = response.response_id
        pending = self._stub.ReleaseExecute.future(request, timeout=RELEASE_BOUND_S)
        self._pending_calls.add(pending)
        pending.add_done_callback(self._pending_calls.discard)

    def _session(self) -> dict[str, Any]:
        """A call that names the observed session cannot start work in a new one of the same id."""
        seen = self._request.client_observed_server_side_session_id
        return {
            "session_id": self._request.session_id,
            "user_context": self._request.user_context,
            "client_type": self._request.client_type,
            "client_observed_server_side_session_id": seen or None,
        }

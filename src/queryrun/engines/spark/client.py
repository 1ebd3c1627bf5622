"""One session on a Spark Connect server: its settings, its statements, its end. gRPC is only here.

What makes double starts impossible: a statement is sent once and never again by itself, under an
operation id of our own; a broken stream is taken up again by `ReattachExecute`, which starts
nothing; and every call names the session that we saw first, so that a call that comes late finds
no other session of the same id to start in.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import grpc

from queryrun.engines.base import GiveSocket
from queryrun.engines.spark.channel import open_channel
from queryrun.engines.spark.endpoint import SparkEndpoint
from queryrun.engines.spark.error_details import (
    SparkError,
    SparkErrorDetails,
    error_details_of,
    with_fetched,
)
from queryrun.engines.spark.execution import Execution
from queryrun.engines.spark.proto import (
    SQL,
    AnalyzePlanRequest,
    ConfigRequest,
    DataType,
    ExecutePlanRequest,
    FetchErrorDetailsRequest,
    GetStatusRequest,
    GetStatusResponse,
    InterruptRequest,
    KeyValue,
    Plan,
    ReattachOptions,
    Relation,
    ReleaseExecuteRequest,
    ReleaseSessionRequest,
    SparkConnectServiceStub,
    UserContext,
)
from queryrun.engines.spark.relayed import RelayedChannel

CALL_BOUND_S = 20.0
"""How long a call that computes nothing may take: analysis may have to list many files."""
DETAILS_BOUND_S = 5.0
_CLIENT = "queryrun"


class SparkClient:
    """A session named by `session_id`; it is made on the server by the first call.

    `interrupt` may be called from other threads, everything else from one at a time. All calls
    raise `SparkError`, and are bounded by `bound_s` each.
    """

    def __init__(
        self,
        endpoint: SparkEndpoint,
        session_id: str,
        bound_s: float = CALL_BOUND_S,
        give: GiveSocket | None = None,
    ) -> None:
        """`give` is where a worker gets its connections; None: from the endpoint itself."""
        self._channel = open_channel(endpoint) if give is None else RelayedChannel(give)
        self.stub = SparkConnectServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._bound_s = bound_s
        self._current: grpc.Future | None = None
        self.session: dict[str, Any] = {
            "session_id": session_id,
            "user_context": UserContext(user_id=endpoint.user, user_name=endpoint.user),
            "client_type": _CLIENT,
        }

    @property
    def is_open(self) -> bool:
        """Whether there has been a session that we know of."""
        return "client_observed_server_side_session_id" in self.session

    def open(self, settings: Mapping[str, str]) -> None:
        """Make the session and set it up; from now on all calls insist on this very session."""
        pairs = [KeyValue(key=key, value=value) for key, value in settings.items()]
        change = ConfigRequest.Operation(set=ConfigRequest.Set(pairs=pairs))
        response = self._call(self.stub.Config, ConfigRequest(operation=change, **self.session))
        self._pin_server_session(response.server_side_session_id)

    def touch(self) -> None:
        """Make the session if need be. `INVALID_HANDLE.SESSION_CLOSED`: it has been released."""
        get = ConfigRequest.Operation(get=ConfigRequest.Get(keys=["spark.sql.ansi.enabled"]))
        self._call(self.stub.Config, ConfigRequest(operation=get, **self.session))

    def schema(self, sql: str) -> DataType:
        """The columns of a query, which is analyzed and not executed."""
        schema = AnalyzePlanRequest.Schema(plan=_plan(sql))
        response = self._call(
            self.stub.AnalyzePlan, AnalyzePlanRequest(schema=schema, **self.session)
        )
        found: DataType = response.schema.schema
        return found

    def explained(self, sql: str) -> str:
        """The query's plan with its statistics, as text; it is planned and not executed.

        Row counts that `ANALYZE TABLE` has stored are in it from now on.
        """
        pairs = [KeyValue(key="spark.sql.cbo.planStats.enabled", value="true")]
        change = ConfigRequest.Operation(set=ConfigRequest.Set(pairs=pairs))
        self._call(self.stub.Config, ConfigRequest(operation=change, **self.session))
        cost = AnalyzePlanRequest.Explain.EXPLAIN_MODE_COST
        explain = AnalyzePlanRequest.Explain(plan=_plan(sql), explain_mode=cost)
        response = self._call(
            self.stub.AnalyzePlan, AnalyzePlanRequest(explain=explain, **self.session)
        )
        found: str = response.explain.explain_string
        return found

    def execute(self, sql: str, tag: str, *more_tags: str) -> Execution:
        """What will run `sql` once its responses are read; it can be found by `tag`."""
        reattachable = ExecutePlanRequest.RequestOption(
            reattach_options=ReattachOptions(reattachable=True)
        )
        request = ExecutePlanRequest(
            plan=_plan(sql),
            operation_id=str(uuid.uuid4()),
            tags=[tag, *more_tags],
            request_options=[reattachable],
            **self.session,
        )
        return Execution(self.stub, request, self._explained)

    def command(self, sql: str, tag: str) -> None:
        """Run a statement of ours that has no rows."""
        for _ in self.execute(sql, tag).responses():
            pass

    def interrupt(self) -> None:
        """Give up the call that is waiting at this moment, if there is one."""
        if self._current is not None:
            self._current.cancel()

    def interrupt_all(self) -> None:
        """Interrupt everything that the session runs; returns when Spark has acknowledged it."""
        kind = InterruptRequest.INTERRUPT_TYPE_ALL
        request = InterruptRequest(interrupt_type=kind, **self.session)
        self._call(self.stub.Interrupt, request)

    def operations(self) -> list[GetStatusResponse.OperationStatus]:
        """The operations of the session that Spark still knows, with their states.

        Empty before Spark 4.2, which cannot report them: the response to the interrupt has to do.
        """
        every = GetStatusRequest.OperationStatusRequest()
        request = GetStatusRequest(operation_status=every, **self.session)
        try:
            return list(self._call(self.stub.GetStatus, request).operation_statuses)
        except SparkError as error:
            if error.details.status == "UNIMPLEMENTED":
                return []
            raise

    def release_operation(self, operation_id: str) -> None:
        """Let Spark forget the results of an operation; one that still runs is interrupted."""
        everything = ReleaseExecuteRequest.ReleaseAll()
        request = ReleaseExecuteRequest(
            operation_id=operation_id, release_all=everything, **self.session
        )
        self._call(self.stub.ReleaseExecute, request)

    def release(self, *, for_good: bool = True) -> None:
        """End the session and all it runs. `for_good`: the server refuses its id from now on.

        A session that does not exist is not remembered as ended: `touch` it first.
        """
        self._call(self.stub.ReleaseSession, self._release_request(for_good=for_good))

    def close(self) -> None:
        """Close the connection. The session on the server stays. Idempotent."""
        self._channel.close()

    def _release_request(self, *, for_good: bool) -> ReleaseSessionRequest:
        who = {key: self.session[key] for key in ("session_id", "user_context", "client_type")}
        return ReleaseSessionRequest(allow_reconnect=not for_good, **who)

    def _pin_server_session(self, server_side_session_id: str) -> None:
        self.session["client_observed_server_side_session_id"] = server_side_session_id

    def _call(self, method: Any, request: object) -> Any:
        try:
            self._current = method.future(request, timeout=self._bound_s)
            return self._current.result()
        except grpc.FutureCancelledError as error:
            raise SparkError(SparkErrorDetails("CANCELLED")) from error
        except grpc.RpcError as error:
            raise SparkError(self._explained(error)) from error
        except ValueError as error:  # the channel has been closed
            raise SparkError(SparkErrorDetails("CANCELLED")) from error
        finally:
            self._current = None

    def _explained(self, error: grpc.RpcError) -> SparkErrorDetails:
        """The details of an error, fetched from Spark when it has more."""
        details = error_details_of(error)
        if not details.error_id:
            return details
        request = FetchErrorDetailsRequest(error_id=details.error_id, **self.session)
        try:
            return with_fetched(
                details, self.stub.FetchErrorDetails(request, timeout=DETAILS_BOUND_S)
            )
        except (grpc.RpcError, ValueError):  # what came along must do
            return details


def _plan(sql: str) -> Plan:
    return Plan(root=Relation(sql=SQL(query=sql)))

"""What Spark says when a call fails, read from gRPC's status and Spark's own error details."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from queryrun.engines.spark.proto import FetchErrorDetailsResponse


@dataclass(frozen=True, slots=True)
class SparkErrorDetails:
    """One error. `status` is gRPC's word; the rest is Spark's and may be empty.

    `error_class` names the error (`CAST_INVALID_INPUT`), `sql_state` its kind; `offsets` is where
    it is in the SQL as sent, in characters, for one or more positions.
    """

    status: str
    message: str = ""
    error_class: str = ""
    sql_state: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    offsets: tuple[int, ...] = ()
    error_id: str = ""
    hierarchy: tuple[str, ...] = ()
    """The exception's Java classes, the nearest first, and those of its causes."""


class SparkError(Exception):
    """A call to Spark failed. Carries no text of its own: it may be logged, what Spark says not."""

    def __init__(self, details: SparkErrorDetails) -> None:
        super().__init__(details.error_class or details.status)
        self.details = details


def error_details_of(error: grpc.RpcError) -> SparkErrorDetails:
    """What comes along with the failed call itself; Spark cuts long messages short here."""
    status = error.code().name if isinstance(error, grpc.Call) else "UNKNOWN"
    message = (error.details() if isinstance(error, grpc.Call) else "") or ""
    info = _info(error)
    if info is None:
        return SparkErrorDetails(status, message)
    return SparkErrorDetails(
        status=status,
        message=message,
        error_class=info.get("errorClass", ""),
        sql_state=info.get("sqlState", ""),
        parameters=_texts(info.get("messageParameters", "{}")),
        error_id=info.get("errorId", ""),
        hierarchy=tuple(json.loads(info.get("classes", "[]"))),
    )


def with_fetched(
    details: SparkErrorDetails, response: FetchErrorDetailsResponse
) -> SparkErrorDetails:
    """The same error with its whole message, its position, and the causes below it.

    A failed job is wrapped in errors without a class: the first cause that has one speaks.
    """
    errors = list(response.errors)
    if not errors:
        return details
    hierarchy = tuple(name for error in errors for name in error.error_type_hierarchy)
    named = next((e for e in errors if e.spark_throwable.error_class), errors[0])
    throwable = named.spark_throwable
    return SparkErrorDetails(
        status=details.status,
        message=named.message or details.message,
        error_class=throwable.error_class or details.error_class,
        sql_state=throwable.sql_state or details.sql_state,
        parameters=dict(throwable.message_parameters) or details.parameters,
        offsets=tuple(context.start_index for context in throwable.query_contexts),
        error_id=details.error_id,
        hierarchy=hierarchy,
    )


def _info(error: grpc.RpcError) -> Mapping[str, str] | None:
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # the details are not of this call: then they are of no use
        return None
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Is(ErrorInfo.DESCRIPTOR) and detail.Unpack(info):
            return dict(info.metadata)
    return None


def _texts(text: str) -> Mapping[str, str]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in read.items()} if isinstance(read, dict) else {}

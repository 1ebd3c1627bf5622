"""Sends spans to a collector by OTLP, over HTTP or gRPC. Needs the extra `queryrun[otel]`.

The messages are those of `opentelemetry-proto`. The rest of OpenTelemetry's own library is not
used: its spans cost a submit several times as much as these.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from queryrun.tracing.span import Span, SpanSender, SpansRefusedError, Value

TRACES_PATH = "/v1/traces"
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_PASSING = frozenset({429, 502, 503, 504})
"""HTTP statuses after which OTLP tries again."""
_PASSING_CODES = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
_ERROR = trace_pb2.Status.STATUS_CODE_ERROR


@dataclass(frozen=True, slots=True)
class Collector:
    """Where to send spans, and what to say of this node."""

    endpoint: str
    """`http://host:4318` or `https://…`. Over HTTP, `/v1/traces` is appended if it has no path."""
    timeout_s: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""
    resource: Mapping[str, Value] = field(default_factory=dict)


def make_sender(protocol: str, collector: Collector) -> SpanSender:
    """A sender for `http/protobuf` or `grpc`. Connects to nothing yet."""
    return GrpcSender(collector) if protocol == "grpc" else HttpSender(collector)


class HttpSender:
    """OTLP over HTTP, in binary protobuf, on one connection that is kept."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        parts = urlsplit(collector.endpoint)
        self._netloc = parts.netloc
        self._path = parts.path if parts.path not in ("", "/") else TRACES_PATH
        self._context = _tls(collector) if parts.scheme == "https" else None
        self._headers = {"content-type": "application/x-protobuf", **collector.headers}
        self._connection: http.client.HTTPConnection | None = None

    def send(self, spans: list[Span]) -> None:
        """See `SpanSender.send`."""
        body = request_of(spans, self._collector.resource).SerializeToString()
        try:
            status = self._post(body)
        except (OSError, http.client.HTTPException):
            self.close()  # one that is kept may have been closed at the other end
            status = self._post(body)
        if status in _PASSING:
            raise OSError(f"the collector responds with status {status}")
        if status >= 300:
            raise SpansRefusedError(f"the collector responds with status {status}")

    def _post(self, body: bytes) -> int:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        response.read()
        return response.status

    def _connect(self) -> http.client.HTTPConnection:
        timeout_s = self._collector.timeout_s
        if self._context is None:
            return http.client.HTTPConnection(self._netloc, timeout=timeout_s)
        return http.client.HTTPSConnection(self._netloc, timeout=timeout_s, context=self._context)

    def close(self) -> None:
        """See `SpanSender.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class GrpcSender:
    """OTLP over gRPC."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        parts = urlsplit(collector.endpoint)
        if parts.scheme == "https":
            self._channel = grpc.secure_channel(parts.netloc, _grpc_credentials(collector))
        else:
            self._channel = grpc.insecure_channel(parts.netloc)
        self._export = self._channel.unary_unary(
            _EXPORT,
            request_serializer=ExportTraceServiceRequest.SerializeToString,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        self._metadata = [(name.lower(), value) for name, value in collector.headers.items()]

    def send(self, spans: list[Span]) -> None:
        """See `SpanSender.send`."""
        request = request_of(spans, self._collector.resource)
        try:
            self._export(request, timeout=self._collector.timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            code = error.code()
            if code in _PASSING_CODES:
                raise OSError(f"the collector responds with {code.name}") from error
            raise SpansRefusedError(f"the collector responds with {code.name}") from error

    def close(self) -> None:
        """See `SpanSender.close`."""
        self._channel.close()


def _tls(collector: Collector) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=collector.ca_file or None)


def _grpc_credentials(collector: Collector) -> Any:
    """Without a file of its own: the authorities that gRPC brings."""
    if not collector.ca_file:
        return grpc.ssl_channel_credentials()
    with open(collector.ca_file, "rb") as file:  # noqa: PTH123 - read once, when the node starts
        return grpc.ssl_channel_credentials(file.read())


def request_of(spans: list[Span], resource: Mapping[str, Value]) -> ExportTraceServiceRequest:
    """One request for these spans of this node."""
    scope_spans = trace_pb2.ScopeSpans(
        scope=InstrumentationScope(name="queryrun"), spans=map(_span, spans)
    )
    of_node = Resource(attributes=[_attribute(*pair) for pair in resource.items()])
    return ExportTraceServiceRequest(
        resource_spans=[trace_pb2.ResourceSpans(resource=of_node, scope_spans=[scope_spans])]
    )


def _span(span: Span) -> trace_pb2.Span:
    message = trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        name=span.name,
        kind=int(span.kind),  # type: ignore[arg-type]
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=[_attribute(key, value) for key, value in span.attributes],
    )
    if span.error:
        message.status.CopyFrom(trace_pb2.Status(code=_ERROR, message=span.error))
    return message


@lru_cache(maxsize=2048, typed=True)
def _attribute(key: str, value: Value) -> KeyValue:
    """Cached: most come again and again, and making one takes longer than copying it."""
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=key, value=AnyValue(double_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))

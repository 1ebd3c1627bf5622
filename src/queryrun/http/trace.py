"""The trace of a request: which one it belongs to, and the span of the request itself.

Recorded are requests that create a run, and those that their caller traces. Polls without a
`traceparent` are not: they would be most of all spans and say nothing.
"""

from __future__ import annotations

import time

from queryrun.http.request import ApiRequest
from queryrun.runs.trace import Tracer
from queryrun.tracing.context import HEADER, parse_traceparent
from queryrun.tracing.span import Span, SpanKind

_HEADER = HEADER.encode()


def traceparent_of_run(tracer: Tracer | None, request: ApiRequest) -> str | None:
    """What a run that this request creates keeps: the request's span, where traces are recorded,
    else what the request said."""
    if tracer is not None and request.trace is None:
        request.trace = tracer.request_span(None, request.request_id)
        request.is_traced = True
    return None if request.trace is None else request.trace.traceparent


def read_trace(tracer: Tracer | None, request: ApiRequest) -> None:
    """Note the trace of a request whose caller names one. Before it is handled."""
    if request.raw_header(_HEADER) is None:
        return
    incoming = parse_traceparent(request.header(_HEADER))
    if incoming is not None and tracer is not None:
        request.trace = tracer.request_span(incoming, request.request_id)
        request.is_traced = True
    else:
        request.trace = incoming


def record_request(
    tracer: Tracer | None, request: ApiRequest, status: int, duration_s: float
) -> None:
    """Record the request's span."""
    context = request.trace
    if tracer is None or context is None or not (request.is_traced and context.is_sampled):
        return
    end_ns = time.time_ns()
    incoming = parse_traceparent(request.header(_HEADER))
    attributes = (
        ("http.request.method", request.method),
        ("http.route", request.route),
        ("http.response.status_code", status),
        ("queryrun.request.id", request.request_id),
    )
    if request.run_id is not None:
        attributes = (*attributes, ("queryrun.run.id", request.run_id[:64]))  # type: ignore[assignment]
    tracer.sink.add(
        Span(
            f"{request.method} {request.route}",
            SpanKind.SERVER,
            context.trace_id,
            context.span_id,
            "" if incoming is None else incoming.span_id,
            end_ns - round(duration_s * 1e9),
            end_ns,
            attributes,
            str(status) if status >= 500 else "",
        )
    )

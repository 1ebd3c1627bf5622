"""One log line and one count per response. Never a query string, a header, a body or SQL."""

from __future__ import annotations

import traceback
from logging import INFO

import structlog

from queryrun.http.metrics import HttpMetrics
from queryrun.http.request import ApiRequest

MAX_FRAMES = 8

_log = structlog.get_logger("queryrun.http")


def record(metrics: HttpMetrics, request: ApiRequest, status: int, duration_s: float) -> None:
    """Log and count one response. `duration_s` ends when the response begins to be sent."""
    if _log.is_enabled_for(INFO):
        duration_ms = round(duration_s * 1000, 2)
        _log.info("request_completed", status=status, duration_ms=duration_ms, **_fields(request))
    method = request.method if request.route != "-" else "-"
    metrics.observe(request.route, method, status, duration_s)


def record_error(request: ApiRequest, error: Exception) -> None:
    """Log an unexpected error: type and frames, not the message, which may quote a statement."""
    frames = [
        f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    name = type(error).__name__
    _log.error("internal_error", error=name, frames=frames[-MAX_FRAMES:], **_fields(request))


def _fields(request: ApiRequest) -> dict[str, str]:
    """The fields of both lines. The run's id comes from the path, so it is truncated."""
    fields = {"method": request.method, "route": request.route, "request_id": request.request_id}
    fields["remote_address"] = request.client_address
    if request.track_id is not None:
        fields["track_id"] = request.track_id
    if request.authorized is not None:
        fields["client_id"] = request.authorized.client_id
        fields["entity_id"] = request.authorized.entity_id
        if request.authorized.login:
            fields["login"] = request.authorized.login
    if request.trace is not None:
        fields["trace_id"] = request.trace.trace_id
    if request.run_id is not None:
        fields["run_id"] = request.run_id[:64]
    return fields

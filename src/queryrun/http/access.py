"""One log line and one count per answer. Never a query string, a header, a body or a statement."""

from __future__ import annotations

import traceback

import structlog

from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest

_log = structlog.get_logger("queryrun.http")


def record(app: AppContext, request: ApiRequest, status: int, took_s: float) -> None:
    """Say that a request was answered, and count it."""
    method = request.method if request.route != "-" else "-"
    app.metrics.answered(request.route, method, status, took_s)
    _log.info("answered", status=status, ms=round(took_s * 1000, 2), **_facts(request))


def failed(request: ApiRequest, error: Exception) -> None:
    """Say where something went wrong that nobody raised on purpose: type and places, not its
    words, which may quote a statement."""
    places = [
        f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    _log.error("internal_error", error=type(error).__name__, places=places[-8:], **_facts(request))


def _facts(request: ApiRequest) -> dict[str, str]:
    facts = {"method": request.method, "route": request.route, "request_id": request.request_id}
    if request.track_id is not None:
        facts["track_id"] = request.track_id
    if request.principal is not None:
        facts["client_id"] = request.principal.client_id
        facts["entity_id"] = request.principal.entity_id
    if request.run_id is not None:
        facts["run_id"] = request.run_id[:64]
    return facts

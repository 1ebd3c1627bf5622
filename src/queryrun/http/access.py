"""One log line and one count per answer. Never a query string, a header, a body or a statement."""

from __future__ import annotations

import traceback

import structlog

from queryrun.http.call import Call
from queryrun.http.parts import HttpParts

_log = structlog.get_logger("queryrun.http")


def record(parts: HttpParts, call: Call, status: int, took_s: float) -> None:
    """Say that a request was answered, and count it."""
    method = call.method if call.route != "-" else "-"
    parts.metrics.answered(call.route, method, status, took_s)
    _log.info("answered", status=status, ms=round(took_s * 1000, 2), **_facts(call))


def failed(call: Call, error: Exception) -> None:
    """Say where something went wrong that nobody raised on purpose: type and places, not its
    words, which may quote a statement."""
    places = [
        f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    _log.error("internal_error", error=type(error).__name__, places=places[-8:], **_facts(call))


def _facts(call: Call) -> dict[str, str]:
    facts = {"method": call.method, "route": call.route, "request_id": call.request_id}
    if call.track_id is not None:
        facts["track_id"] = call.track_id
    if call.principal is not None:
        facts["client_id"] = call.principal.client_id
        facts["entity_id"] = call.principal.entity_id
    if call.run_id is not None:
        facts["run_id"] = call.run_id[:64]
    return facts

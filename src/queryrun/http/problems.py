"""Error -> status and body, per API version. The only module that knows either.

v2 has `{type, errors: [{code, parameter, message}], retryable}` (contract D1), v1
`{code, message}` (contract D2), the token endpoint RFC 6749's `{error, error_description}` plus the
`message` that one SDK reads (contract E).
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from queryrun import errors as e
from queryrun.http import errors as r
from queryrun.http.api_version import ApiVersion
from queryrun.http.responses import JsonResponse
from queryrun.runs.limits import LimitReached

TYPES: dict[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "payload_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "unprocessable_entity",
    429: "too_many_requests",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}
"""The `type` of every error status (contract D1)."""

RETRYABLE = frozenset({409, 429, 502, 503, 504})
"""Including the 409 of a request that is still in progress (contract H24, D1)."""

STATUSES: dict[type[Exception], int] = {
    e.InvalidRequest: 400,
    e.NotCancellable: 400,
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    r.LinkRefused: 403,
    e.NotFound: 404,
    r.PathNotFound: 404,
    r.MethodNotAllowed: 405,
    e.IdempotencyInFlight: 409,
    r.PayloadTooLarge: 413,
    r.UnsupportedMediaType: 415,
    r.RangeNotSatisfiable: 416,
    e.IdempotencyMismatch: 422,
    e.TooManyRequests: 429,
    e.Unavailable: 503,
    r.TimedOut: 504,
}

CODES: dict[type[Exception], tuple[str, str | None]] = {
    e.Forbidden: ("forbidden", None),
    r.LinkRefused: ("link_refused", "signature"),
    e.IdempotencyInFlight: ("idempotency_key_in_flight", "idempotency-key"),
    e.IdempotencyMismatch: ("idempotency_key_mismatch", "idempotency-key"),
    r.PayloadTooLarge: ("payload_too_large", "body"),
    r.RangeNotSatisfiable: ("range_not_satisfiable", "range"),
    r.UnsupportedMediaType: ("unsupported_media_type", "content-type"),
    e.QueueFull: ("queue_full", "source"),
    e.QuotaFull: ("quota_full", "sql"),
    LimitReached: ("limit_reached", None),
    e.Unavailable: ("service_unavailable", None),
}
"""Code and parameter of the one entry. Errors not here have `errors: []`, as documented."""

OAUTH_STATUSES = {"invalid_client": 401, "unauthorized_client": 403}
OAUTH_ERRORS = {403: "unauthorized_client", 429: "temporarily_unavailable"}
V1_UNAUTHORIZED = "Authentication error"
V1_BARE = frozenset({405, 415})
"""Statuses whose text is the web framework's own (contract D2)."""


@dataclass(frozen=True, slots=True)
class ErrorContent:
    """The content of an error response, before an API version gives it a body."""

    status: int
    entries: tuple[e.Problem, ...]
    message: str
    oauth_error: str | None = None


def response_for(error: Exception, version: ApiVersion) -> JsonResponse:
    """The response to an error. An exception that is no `RequestError` is a 500 without details."""
    content = _content(error)
    return JsonResponse(BODIES[version](content), content.status, _headers(error))


def status_of(error: Exception) -> int:
    """The status of an error: the nearest class that `STATUSES` knows, else 500."""
    if isinstance(error, r.TokenRefused):
        return OAUTH_STATUSES.get(error.error, 400)
    found = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return next(found, 500)


def _content(error: Exception) -> ErrorContent:
    """Only messages of our own errors are sent: those of others may quote a statement."""
    status = status_of(error)
    if not isinstance(error, e.RequestError):
        return ErrorContent(status, (), HTTPStatus(status).phrase)
    oauth_error = error.error if isinstance(error, r.TokenRefused) else None
    return ErrorContent(
        status, _entries(error), str(error) or HTTPStatus(status).phrase, oauth_error
    )


def _entries(error: e.RequestError) -> tuple[e.Problem, ...]:
    if isinstance(error, e.InvalidRequest):
        return error.problems
    if isinstance(error, (e.NotFound, e.NotCancellable)):
        return (error.problem,)
    known = CODES.get(type(error))
    return () if known is None else (e.Problem(known[0], known[1] or "", str(error)),)


def _v2(content: ErrorContent) -> dict[str, object]:
    return {
        "type": TYPES[content.status],
        "errors": [_entry(problem) for problem in content.entries],
        "retryable": content.status in RETRYABLE,
    }


def _entry(problem: e.Problem) -> dict[str, str]:
    entry = {"code": problem.code, "parameter": problem.parameter, "message": problem.message}
    if not problem.parameter:
        del entry["parameter"]
    return entry


def _v1(content: ErrorContent) -> dict[str, object]:
    if content.status == 401:
        return {"message": V1_UNAUTHORIZED}
    if content.entries and content.status not in V1_BARE:
        return {"code": content.status, "message": content.message}
    phrase = HTTPStatus(content.status).phrase
    return {"code": content.status, "message": f"HTTP {content.status} {phrase}"}


def _oauth(content: ErrorContent) -> dict[str, object]:
    name = content.oauth_error or OAUTH_ERRORS.get(content.status)
    if name is None:
        name = "server_error" if content.status >= 500 else "invalid_request"
    return {"error": name, "error_description": content.message, "message": content.message}


BODIES = {ApiVersion.V2: _v2, ApiVersion.V1: _v1, ApiVersion.OAUTH: _oauth}


def _headers(error: Exception) -> dict[str, str]:
    """The headers that a client needs to react to the error."""
    if isinstance(error, e.Unauthenticated):
        detail = f', error="invalid_token", error_description="{error}"' if str(error) else ""
        return {"www-authenticate": f'Bearer realm="queryrun"{detail}'}
    if isinstance(error, r.TokenRefused) and error.error == "invalid_client":
        return {"www-authenticate": 'Basic realm="queryrun"', "cache-control": "no-store"}
    if isinstance(error, r.MethodNotAllowed):
        return {"allow": error.allowed}
    if isinstance(error, r.RangeNotSatisfiable):
        return {"content-range": f"bytes */{error.size_bytes}"}
    if isinstance(error, e.TooManyRequests):
        return {"retry-after": str(error.retry_after_s)}
    if isinstance(error, (e.IdempotencyInFlight, e.Unavailable)):
        return {"retry-after": "1"}
    return {}

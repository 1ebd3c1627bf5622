"""Error -> status and body, per face. The only place that knows either.

v2 answers `{type, errors: [{code, parameter, message}], retryable}` (contract D1), v1
`{code, message}` (contract D2), the token endpoint RFC 6749's `{error, error_description}` plus the
`message` that one SDK reads (contract E).
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from queryrun import errors as e
from queryrun.http import refusals as r
from queryrun.http.request import ApiVersion, Response

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
"""Including the 409 of a request that is still in flight (contract H24, D1)."""

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
    e.Unavailable: ("service_unavailable", None),
}
"""Code and parameter of the one entry. Errors not here have `errors: []`, as documented."""

OAUTH_STATUSES = {"invalid_client": 401, "unauthorized_client": 403}
OAUTH_WORDS = {403: "unauthorized_client", 429: "temporarily_unavailable"}
V1_UNAUTHORIZED = "Authentication error"
V1_BARE = frozenset({405, 415})
"""Statuses whose text is the server framework's own (contract D2)."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An error as it will be answered, before its face gives it a body."""

    status: int
    entries: tuple[e.Problem, ...]
    message: str
    word: str | None = None


def response_for(error: Exception, api_version: ApiVersion) -> Response:
    """The answer to an error. Anything that was not raised on purpose is a 500 without a word."""
    shown = _rendered(error)
    body = msgspec.json.encode(BODIES[api_version](shown))
    return Response(shown.status, body, headers=_headers(error))


def status_of(error: Exception) -> int:
    """The status of an error: the nearest class that `STATUSES` knows, else 500."""
    if isinstance(error, r.TokenRefused):
        return OAUTH_STATUSES.get(error.error, 400)
    found = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return next(found, 500)


def _rendered(error: Exception) -> Rendered:
    status = status_of(error)
    if not isinstance(error, e.RequestError):
        return Rendered(status, (), HTTPStatus(status).phrase)
    word = error.error if isinstance(error, r.TokenRefused) else None
    return Rendered(status, _entries(error), str(error) or HTTPStatus(status).phrase, word)


def _entries(error: e.RequestError) -> tuple[e.Problem, ...]:
    if isinstance(error, e.InvalidRequest):
        return error.problems
    if isinstance(error, (e.NotFound, e.NotCancellable)):
        return (error.problem,)
    known = CODES.get(type(error))
    return () if known is None else (e.Problem(known[0], known[1] or "", str(error)),)


def _v2(shown: Rendered) -> dict[str, object]:
    return {
        "type": TYPES[shown.status],
        "errors": [_entry(problem) for problem in shown.entries],
        "retryable": shown.status in RETRYABLE,
    }


def _entry(problem: e.Problem) -> dict[str, str]:
    entry = {"code": problem.code, "parameter": problem.parameter, "message": problem.message}
    if not problem.parameter:
        del entry["parameter"]
    return entry


def _v1(shown: Rendered) -> dict[str, object]:
    if shown.status == 401:
        return {"message": V1_UNAUTHORIZED}
    if shown.entries and shown.status not in V1_BARE:
        return {"code": shown.status, "message": shown.message}
    phrase = HTTPStatus(shown.status).phrase
    return {"code": shown.status, "message": f"HTTP {shown.status} {phrase}"}


def _oauth(shown: Rendered) -> dict[str, object]:
    word = shown.word or OAUTH_WORDS.get(shown.status)
    if word is None:
        word = "server_error" if shown.status >= 500 else "invalid_request"
    return {"error": word, "error_description": shown.message, "message": shown.message}


BODIES = {ApiVersion.V2: _v2, ApiVersion.V1: _v1, ApiVersion.OAUTH: _oauth}


def _headers(error: Exception) -> list[tuple[str, str]]:
    if isinstance(error, e.Unauthenticated):
        detail = f', error="invalid_token", error_description="{error}"' if str(error) else ""
        return [("www-authenticate", f'Bearer realm="queryrun"{detail}')]
    if isinstance(error, r.TokenRefused) and error.error == "invalid_client":
        return [("www-authenticate", 'Basic realm="queryrun"'), ("cache-control", "no-store")]
    if isinstance(error, r.MethodNotAllowed):
        return [("allow", error.allowed)]
    if isinstance(error, r.RangeNotSatisfiable):
        return [("content-range", f"bytes */{error.size_bytes}")]
    if isinstance(error, e.TooManyRequests):
        return [("retry-after", str(error.retry_after_s))]
    if isinstance(error, (e.IdempotencyInFlight, e.Unavailable)):
        return [("retry-after", "1")]
    return []

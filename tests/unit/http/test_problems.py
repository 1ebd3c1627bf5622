"""Every error of a request has a status and a body on every API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from queryrun import errors as e
from queryrun.auth.oidc_tokens import WrongSignatureError
from queryrun.http import errors as r
from queryrun.http.api_version import ApiVersion
from queryrun.http.problems import RETRYABLE, STATUSES, TYPES, response_for, status_of
from queryrun.runs.limits import Level, LimitReached, LimitState, LimitValue

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def kinds(of: type[e.RequestError]) -> Iterator[type[e.RequestError]]:
    """Every class below, the leaves and those between."""
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


SAMPLES: dict[type[e.RequestError], e.RequestError] = {
    e.InvalidRequest: e.InvalidRequest.of("sql", "'sql' is required"),
    e.Unauthenticated: e.Unauthenticated("the token is unknown"),
    WrongSignatureError: WrongSignatureError("signed by another key"),
    e.Forbidden: e.Forbidden("not yours"),
    e.NotFound: e.NotFound("query_run_id", "could not be found"),
    e.NotCancellable: e.NotCancellable("id", "complete"),
    e.IdempotencyInFlight: e.IdempotencyInFlight("still in progress"),
    e.IdempotencyMismatch: e.IdempotencyMismatch("another request's"),
    e.TooManyRequests: e.TooManyRequests("too many", 7),
    e.QueueFull: e.QueueFull("full", 5),
    e.QuotaFull: e.QuotaFull("full", 5),
    LimitReached: LimitReached(
        LimitState(LimitValue(Level.ENTITY, "main", "submits_per_minute", 5), 5), NOW
    ),
    e.Unavailable: e.Unavailable("draining"),
    r.PathNotFound: r.PathNotFound("no such path"),
    r.MethodNotAllowed: r.MethodNotAllowed("GET"),
    r.PayloadTooLarge: r.PayloadTooLarge(10),
    r.UnsupportedMediaType: r.UnsupportedMediaType("not JSON"),
    r.LinkRefused: r.LinkRefused("no"),
    r.RangeNotSatisfiable: r.RangeNotSatisfiable(5),
    r.FileGone: r.FileGone("file", "gone"),
    r.TimedOut: r.TimedOut("late"),
    r.TokenRefused: r.TokenRefused("invalid_client", "no"),
}


def test_every_error_of_a_request_is_sampled_here() -> None:
    assert set(kinds(e.RequestError)) == set(SAMPLES)


@pytest.mark.parametrize("error", SAMPLES.values(), ids=lambda error: type(error).__name__)
def test_every_error_has_its_own_status(error: e.RequestError) -> None:
    assert 400 <= status_of(error) <= 504
    assert status_of(error) != 500


@pytest.mark.parametrize("error", SAMPLES.values(), ids=lambda error: type(error).__name__)
def test_every_error_has_a_body_on_every_api(error: e.RequestError) -> None:
    status = status_of(error)
    v2 = msgspec.json.decode(response_for(error, ApiVersion.V2).body)
    assert set(v2) == {"type", "errors", "retryable"}
    assert v2["type"] == TYPES[status]
    assert v2["retryable"] is (status in RETRYABLE)
    v1 = msgspec.json.decode(response_for(error, ApiVersion.V1).body)
    assert set(v1) == ({"message"} if status == 401 else {"code", "message"})
    oauth = msgspec.json.decode(response_for(error, ApiVersion.OAUTH).body)
    assert set(oauth) == {"error", "error_description", "message"}


def test_an_unexpected_error_is_a_500_without_details() -> None:
    response = response_for(RuntimeError("SELECT secret FROM account"), ApiVersion.V2)
    assert response.status_code == 500
    assert b"secret" not in response.body


def test_the_documented_bare_errors_have_no_entries() -> None:
    """As in the documented samples (contract D1)."""
    for error in (
        SAMPLES[e.Unauthenticated],
        SAMPLES[r.MethodNotAllowed],
        SAMPLES[e.TooManyRequests],
        SAMPLES[r.TimedOut],
        RuntimeError(),
    ):
        assert msgspec.json.decode(response_for(error, ApiVersion.V2).body)["errors"] == []


def test_what_is_retryable() -> None:
    """A 409 only because ours always means 'still in flight' (contract D1, H24)."""
    assert frozenset({409, 429, 502, 503, 504}) == RETRYABLE


def test_all_statuses_have_a_type() -> None:
    assert set(STATUSES.values()) <= set(TYPES)


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        (e.TooManyRequests, ("retry-after", "7")),
        (e.QueueFull, ("retry-after", "5")),
        (e.IdempotencyInFlight, ("retry-after", "1")),
        (e.Unavailable, ("retry-after", "1")),
        (r.MethodNotAllowed, ("allow", "GET")),
        (r.RangeNotSatisfiable, ("content-range", "bytes */5")),
    ],
)
def test_errors_carry_the_headers_that_help(
    kind: type[e.RequestError], header: tuple[str, str]
) -> None:
    assert response_for(SAMPLES[kind], ApiVersion.V2).headers[header[0]] == header[1]


def test_v1_returns_the_messages_of_the_contract() -> None:
    """Bodies of errors, and of a cancel that is too late (contract D2, A9)."""
    found = {
        kind: msgspec.json.decode(response_for(SAMPLES[kind], ApiVersion.V1).body)
        for kind in (r.UnsupportedMediaType, e.Unauthenticated, e.NotCancellable)
    }
    assert found[e.Unauthenticated] == {"message": "Authentication error"}
    assert found[r.UnsupportedMediaType] == {
        "code": 415,
        "message": "HTTP 415 Unsupported Media Type",
    }
    assert found[e.NotCancellable]["code"] == 400

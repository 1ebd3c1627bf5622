"""A run on v2 as the client reads it: fields that it asks for, and what headers alone say."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from queryrun.http.failure_headers import encoded_message
from queryrun.http.v2.fields import KNOWN_FIELDS
from queryrun_client.effects import Response
from queryrun_client.v2 import ApiV2

API = ApiV2("http://queries.test")
RUN: dict[str, Any] = {"id": "6a1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90", "state": "failed"}


def response(headers: dict[str, str], **more: object) -> Response:
    return Response(200, headers, msgspec.json.encode({**RUN, **more}))


def test_every_field_that_it_asks_for_is_one_of_the_server() -> None:
    query = parse_qs(urlsplit(API.read(RUN["id"]).url).query)
    names = set(query["fields[]"][0].split(","))
    assert names <= KNOWN_FIELDS
    assert {"error", "created_time", "file.size", "file.sha256"} <= names


@pytest.mark.parametrize("message", ["Column 'größe' cannot be resolved, 100% sure", "a + b", "漢"])
def test_a_failure_is_read_from_headers_when_the_body_has_none(message: str) -> None:
    """A server that refuses our fields, or a response that has not asked for any."""
    headers = {
        "queryrun-error-code": "name_not_found",
        "queryrun-error-message": encoded_message(message),
    }
    error = API.run(response(headers)).error
    assert error is not None
    assert (error.code, error.message) == ("name_not_found", message)


def test_the_body_has_the_better_reason() -> None:
    headers = {"queryrun-error-code": "x", "queryrun-error-message": "y"}
    body = {"code": "syntax_error", "message": "z", "retryable": False, "line": 2, "column": 3}
    error = API.run(response(headers, error=body)).error
    assert error is not None
    assert (error.code, error.message, error.line, error.column) == ("syntax_error", "z", 2, 3)


def test_without_either_there_is_no_reason() -> None:
    assert API.run(response({})).error is None

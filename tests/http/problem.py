"""`assert_problem`: every test of an error goes through it, so none loses the shape."""

from __future__ import annotations

import httpx2

from queryrun.http.problems import RETRYABLE, TYPES


def assert_problem(
    response: httpx2.Response,
    status: int,
    parameter: str | None = None,
    *,
    code: str = "invalid_parameter",
) -> None:
    """The response is an error of v2 with this status (contract D1) and, when given, an entry that
    names the parameter with this code."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["zuora-request-id"]
    body = response.json()
    assert set(body) == {"type", "errors", "retryable"}
    assert body["type"] == TYPES[status]
    assert body["retryable"] is (status in RETRYABLE)
    for entry in body["errors"]:
        assert set(entry) <= {"code", "parameter", "message"}
        assert all(isinstance(text, str) and text for text in entry.values())
    if parameter is not None:
        named = [(entry["code"], entry.get("parameter")) for entry in body["errors"]]
        assert (code, parameter) in named, body

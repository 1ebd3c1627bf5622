"""The shapes that rows of the conformance list name: exact keys, and the fixed values."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import httpx2

ALWAYS = {"created_by_id", "id", "sql", "remaining_attempts", "updated_time", "state"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

Check = Callable[[httpx2.Response], None]


def _run(state: str, *more: str) -> Check:
    def check(response: httpx2.Response) -> None:
        body = response.json()
        assert set(body) == ALWAYS | set(more)
        assert body["state"] == state
        assert UUID.fullmatch(body["id"])
        assert UUID.fullmatch(body["created_by_id"])
        assert TIME.fullmatch(body["updated_time"])
        assert body["remaining_attempts"] == 3

    return check


def _keys(*names: str) -> Check:
    def check(response: httpx2.Response) -> None:
        assert set(response.json()) == set(names)

    return check


def _separator(character: str) -> Check:
    def check(response: httpx2.Response) -> None:
        _run("accepted", "column_separator")(response)
        assert response.json()["column_separator"] == character

    return check


def _complete(response: httpx2.Response) -> None:
    _run("complete", "file", "number_of_rows", "processing_duration")(response)
    assert set(response.json()["file"]) == {"id", "url", "content_type", "type"}


def _only_file(response: httpx2.Response) -> None:
    assert set(response.json()) == {"file"}
    assert set(response.json()["file"]) == {"id", "url", "content_type", "type"}


def _whole_file(response: httpx2.Response) -> None:
    keys = {"id", "url", "content_type", "type", "size", "sha256"}
    assert set(response.json()["file"]) == keys


def _failed(response: httpx2.Response) -> None:
    _run("failed")(response)
    assert response.headers["queryrun-error-code"]
    assert unquote(response.headers["queryrun-error-message"])


def _only_error(response: httpx2.Response) -> None:
    assert set(response.json()) == {"error"}
    assert {"code", "message", "retryable"} <= set(response.json()["error"])


def _empty(response: httpx2.Response) -> None:
    assert response.content == b""
    assert int(response.headers["content-length"]) > 0


def _extensions(response: httpx2.Response) -> None:
    body = response.json()
    assert set(body) == {"id", "created_time", "cancellation", "attempts", "tags", "source"}
    assert TIME.fullmatch(body["created_time"])
    assert body["cancellation"]["reason"] == "user"


def _only_ids(response: httpx2.Response) -> None:
    assert response.json() == {"request_id": response.headers["zuora-request-id"]}


def _list(response: httpx2.Response) -> None:
    body = response.json()
    assert set(body) == {"next_page", "data"}
    assert isinstance(body["data"], list)


def _token(response: httpx2.Response) -> None:
    body = response.json()
    assert set(body) == {"access_token", "expires_in", "jti", "scope", "token_type"}
    assert isinstance(body["expires_in"], int)


def _oauth_error(response: httpx2.Response) -> None:
    assert set(response.json()) == {"error", "error_description", "message"}


JOB_ALWAYS = {
    *("id", "query", "queryStatus", "sourceData", "useIndexJoin", "remainingRetries", "retries"),
    *("createdOn", "updatedOn", "createdBy", "createdByUserEmail"),
}


def _job(status: str, *more: str, **values: object) -> Check:
    """A job of v1 with exactly these keys, wrapped in `data`."""

    def check(response: httpx2.Response) -> None:
        assert set(response.json()) == {"data"}
        job = response.json()["data"]
        assert set(job) == JOB_ALWAYS | set(more)
        assert job["queryStatus"] == status
        assert UUID.fullmatch(job["id"])
        assert UUID.fullmatch(job["createdBy"])
        assert TIME.fullmatch(job["createdOn"])
        assert TIME.fullmatch(job["updatedOn"])
        assert (job["remainingRetries"], job["retries"]) == (3, 3)
        expected = {"sourceData": "LIVE", "useIndexJoin": False, **values}
        assert {name: job[name] for name in expected} == expected

    return check


def _v1_list(response: httpx2.Response) -> None:
    assert set(response.json()) == {"data"}
    assert isinstance(response.json()["data"], list)


def _v1_error(response: httpx2.Response) -> None:
    assert set(response.json()) == {"code", "message"}
    assert response.json()["code"] == response.status_code
    assert response.json()["message"]


def _is(**body: object) -> Check:
    """Exactly this body."""

    def check(response: httpx2.Response) -> None:
        assert response.json() == body

    return check


def _too_late(response: httpx2.Response) -> None:
    _v1_error(response)
    assert response.json()["message"].endswith("is not in accepted or in_progress status")


SHAPES: dict[str, Check] = {
    "accepted": _run("accepted"),
    "accepted_dsv": _separator("|"),
    "accepted_tab": _separator("\t"),
    "in_progress": _run("in_progress"),
    "complete": _complete,
    "complete_long": _complete,
    "failed": _failed,
    "canceled": _run("canceled"),
    "only_id": _keys("id"),
    "id_and_state": _keys("id", "state"),
    "only_file": _only_file,
    "whole_file": _whole_file,
    "only_error": _only_error,
    "id_and_time": _keys("id", "created_time"),
    "extensions": _extensions,
    "empty": _empty,
    "only_ids": _only_ids,
    "list": _list,
    "token": _token,
    "oauth_error": _oauth_error,
    "v1_accepted": _job("accepted"),
    "v1_warehouse": _job("accepted", sourceData="WAREHOUSE"),
    "v1_index_join": _job("accepted", useIndexJoin=True),
    "v1_in_progress": _job("in_progress"),
    "v1_completed": _job("completed", "dataFile", "outputRows", "processingTime"),
    "v1_failed": _job("failed", "errorMessage"),
    "v1_cancelled": _job("cancelled"),
    "v1_list": _v1_list,
    "v1_error": _v1_error,
    "v1_too_late": _too_late,
    "v1_not_json": _is(code=400, message="Unable to process JSON"),
    "v1_401": _is(message="Authentication error"),
    "v1_404": _is(code=404, message="HTTP 404 Not Found"),
    "v1_405": _is(code=405, message="HTTP 405 Method Not Allowed"),
    "v1_415": _is(code=415, message="HTTP 415 Unsupported Media Type"),
}

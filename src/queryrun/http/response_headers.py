"""The headers that every response has, in addition to those of its handler."""

from __future__ import annotations

from starlette.responses import Response

from queryrun.http.api_version import ApiVersion
from queryrun.http.concurrency import concurrency_headers
from queryrun.http.request import ApiRequest


def add_headers(request: ApiRequest, response: Response) -> None:
    """The headers of every response (contract C7, D3). Appended raw: none of them is there yet."""
    headers = response.raw_headers
    headers.append((b"zuora-request-id", request.request_id.encode()))
    if request.track_id is not None:
        headers.append((b"zuora-track-id", request.track_id.encode()))
    if (quota := request.quota) is not None and request.api_version is not ApiVersion.OAUTH:
        headers.append((b"ratelimit-limit", quota.described.encode()))
        headers.append((b"ratelimit-remaining", str(quota.remaining).encode()))
        headers.append((b"ratelimit-reset", str(quota.reset_s).encode()))
    if request.concurrent_requests is not None:
        headers += concurrency_headers(request.concurrent_requests)

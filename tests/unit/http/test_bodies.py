"""Gzip in and out (contract C12, C13), and bounded reading."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Message, Receive

from queryrun.errors import InvalidRequest
from queryrun.http.bodies import inflate, read_body
from queryrun.http.compression import accepts_gzip, compress
from queryrun.http.errors import PayloadTooLarge
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JSON

pytestmark = pytest.mark.anyio


def request_with(
    chunks: list[bytes] | None = None, receive: Receive | None = None, **headers: str
) -> ApiRequest:
    """A request with these headers, whose body comes in chunks."""
    messages: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks or []
    ]
    messages.append({"type": "http.request", "body": b""})
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    source = iter(messages)

    async def next_message() -> Message:
        return next(source)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}
    return ApiRequest(scope, receive or next_message)


@given(st.binary(max_size=2000))
def test_gzipped_content_is_decompressed(data: bytes) -> None:
    assert inflate(gzip.compress(data), "gzip", 2000) == data


@given(st.binary(max_size=50).filter(lambda data: not data.startswith(b"\x1f\x8b")))
def test_content_that_only_claims_to_be_gzip_is_read_unchanged(data: bytes) -> None:
    assert inflate(data, "gzip", 100) == data


def test_a_bomb_is_stopped_at_the_limit() -> None:
    with pytest.raises(PayloadTooLarge):
        inflate(gzip.compress(b"0" * 10_000_000), "gzip", 1000)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"x", mtime=0)[:-1],
        gzip.compress(b"x", mtime=0) + b"more",
        gzip.compress(b"x", mtime=0)[:-8] + b"\0" * 8,
        b"\x1f\x8b",
    ],
)
def test_a_damaged_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        inflate(data, "gzip", 1000)


async def test_a_body_without_a_length_is_stopped_when_it_grows_too_large() -> None:
    with pytest.raises(PayloadTooLarge):
        await read_body(request_with([b"x" * 60, b"x" * 60]), 100)


async def test_a_body_that_announces_too_much_is_not_even_read() -> None:
    async def never() -> Message:
        raise AssertionError("must not read")

    request = request_with(receive=never, content_length="101")
    with pytest.raises(PayloadTooLarge):
        await read_body(request, 100)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert await read_body(request_with([b"x" * 50, b"y" * 50]), 100) == b"x" * 50 + b"y" * 50


async def test_a_connection_that_closes_early_is_a_bad_request() -> None:
    async def disconnect() -> Message:
        return {"type": "http.disconnect"}

    request = request_with(receive=disconnect)
    with pytest.raises(InvalidRequest):
        await read_body(request, 100)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("*", True),
        ("br, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=x", False),
        ("", False),
    ],
)
def test_accept_encoding_is_understood(text: str, *, accepted: bool) -> None:
    assert accepts_gzip(request_with(accept_encoding=text)) is accepted


@pytest.mark.parametrize(("size", "packed"), [(1000, False), (1001, True)])
def test_only_bodies_over_a_thousand_bytes_are_compressed(size: int, *, packed: bool) -> None:
    response = Response(b"x" * size, media_type=JSON)
    compress(request_with(accept_encoding="gzip"), response)
    assert (response.headers.get("content-encoding") == "gzip") is packed
    assert (zlib.decompress(response.body, 31) if packed else response.body) == b"x" * size
    assert response.headers["content-length"] == str(len(response.body))


@pytest.mark.parametrize("content_type", ["application/gzip", "image/png", None])
def test_other_types_are_not_compressed(content_type: str | None) -> None:
    response = Response(b"x" * 5000, media_type=content_type)
    before = list(response.raw_headers)
    compress(request_with(accept_encoding="gzip"), response)
    assert response.raw_headers == before


def test_vary_is_set_even_when_the_encoding_is_not_used() -> None:
    response = Response(b"x" * 5000, media_type=JSON)
    compress(request_with(), response)
    assert response.headers["vary"] == "accept-encoding"
    assert "content-encoding" not in response.headers

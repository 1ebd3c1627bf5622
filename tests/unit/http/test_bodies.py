"""Gzip in and out (contract C12, C13), and bounded reading."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from queryrun.errors import InvalidRequest
from queryrun.http.bodies import accepts_gzip, compress, inflated, read_body
from queryrun.http.refusals import PayloadTooLarge
from queryrun.http.request import ApiRequest, ApiVersion, Response

pytestmark = pytest.mark.anyio


def call_with(pieces: list[bytes] | None = None, **headers: str) -> ApiRequest:
    """A request with these headers, whose body comes in pieces."""
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces or []
    ]
    messages.append({"type": "http.request", "body": b""})
    raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    source = iter(messages)

    async def receive() -> Message:
        return next(source)

    scope = {"method": "POST", "path": "/", "query_string": b""}
    return ApiRequest(scope, receive, ApiVersion.V2, "id", raw)


@given(st.binary(max_size=2000))
def test_what_was_gzipped_comes_out(data: bytes) -> None:
    assert inflated(gzip.compress(data), "gzip", 2000) == data


@given(st.binary(max_size=50).filter(lambda data: not data.startswith(b"\x1f\x8b")))
def test_what_only_claims_to_be_gzip_is_taken_as_it_is(data: bytes) -> None:
    assert inflated(data, "gzip", 100) == data


def test_a_bomb_is_stopped_at_the_limit() -> None:
    with pytest.raises(PayloadTooLarge):
        inflated(gzip.compress(b"0" * 10_000_000), "gzip", 1000)


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
        inflated(data, "gzip", 1000)


async def test_a_body_without_a_length_is_stopped_when_it_grows_too_large() -> None:
    with pytest.raises(PayloadTooLarge):
        await read_body(call_with([b"x" * 60, b"x" * 60]), 100)


async def test_a_body_that_announces_too_much_is_not_even_read() -> None:
    request = call_with(content_length="101")

    async def never() -> Message:
        raise AssertionError("must not read")

    request.receive = never
    with pytest.raises(PayloadTooLarge):
        await read_body(request, 100)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert await read_body(call_with([b"x" * 50, b"y" * 50]), 100) == b"x" * 50 + b"y" * 50


async def test_a_connection_that_closes_early_is_a_bad_request() -> None:
    request = call_with()

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    request.receive = gone
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
    assert accepts_gzip(call_with(accept_encoding=text)) is accepted


@pytest.mark.parametrize(("size", "packed"), [(1000, False), (1001, True)])
def test_only_bodies_over_a_thousand_bytes_are_compressed(size: int, *, packed: bool) -> None:
    response = Response(200, b"x" * size)
    compress(call_with(accept_encoding="gzip"), response)
    assert (("content-encoding", "gzip") in response.headers) is packed
    assert (zlib.decompress(response.body, 31) if packed else response.body) == b"x" * size


@pytest.mark.parametrize("content_type", ["application/gzip", "image/png", None])
def test_other_types_are_not_compressed(content_type: str | None) -> None:
    response = Response(200, b"x" * 5000, content_type)
    compress(call_with(accept_encoding="gzip"), response)
    assert response.headers == []


def test_caches_are_told_that_the_encoding_varies_even_when_it_is_not_used() -> None:
    response = Response(200, b"x" * 5000)
    compress(call_with(), response)
    assert response.headers == [("vary", "accept-encoding")]

"""Gzip in and out (contract C12, C13), and bounded reading."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Message, Receive

from queryrun.auth.model import Principal
from queryrun.errors import (
    MAX_PROBLEMS,
    InvalidRequest,
    Problem,
    TooManyRequests,
    Unavailable,
)
from queryrun.http.bodies import LARGE_BYTES, body_limit_of, decode_object, inflate, read_body
from queryrun.http.body_limiter import THREADS, BodyLimiter
from queryrun.http.compression import accepts_gzip, compress
from queryrun.http.errors import PayloadTooLarge
from queryrun.http.properties import property_problems
from queryrun.http.repeated_names import check_names
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JSON
from queryrun.http.v2.body import BY_NAME as V2_NAMES
from queryrun.http.v2.body import PROPERTIES as V2_PROPERTIES

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


# --- what bodies hold of a node ----------------------------------------------------------------


async def _held(limiter: BodyLimiter, entity: str, size: int) -> ApiRequest:
    request = request_with([b"x" * size])
    request.authorized = Principal("t", "c", entity, frozenset())
    await read_body(request, size, body_limit_of(limiter, request))
    return request


async def test_an_entitys_large_bodies_are_bounded_until_their_responses() -> None:
    limiter = BodyLimiter(max_entity_bytes=3 * LARGE_BYTES, max_bytes=5 * LARGE_BYTES)
    first = await _held(limiter, "a", 2 * LARGE_BYTES)
    with pytest.raises(TooManyRequests):
        await _held(limiter, "a", 2 * LARGE_BYTES)
    await _held(limiter, "a", LARGE_BYTES)
    await _held(limiter, "b", 3 * LARGE_BYTES)
    with pytest.raises(Unavailable):
        await _held(limiter, "c", 2 * LARGE_BYTES)
    limit = body_limit_of(limiter, first)
    limit.close()
    limit.close()
    await _held(limiter, "a", 2 * LARGE_BYTES)
    limiter.close()


async def test_an_entity_with_many_large_bodies_delays_anothers_by_one() -> None:
    limiter, order, started = BodyLimiter(), list[str](), threading.Event()

    def first() -> None:
        started.wait(30)

    def work(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    running = [asyncio.create_task(limiter.run("a", first)) for _ in range(THREADS)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(limiter.run("a", work("a"))) for _ in range(20)]
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(limiter.run("b", work("b"))))
    await asyncio.sleep(0)
    started.set()
    await asyncio.gather(*running, *waiting)
    assert order.index("b") <= THREADS
    limiter.close()


# --- the cost of a body -----------------------------------------------------------------------

KNOWN = frozenset({"sql", "tags", "timeout_seconds"})


async def decode(raw: bytes) -> tuple[dict[str, object] | None, list[Problem]]:
    limiter = BodyLimiter()
    problems: list[Problem] = []
    try:
        return await decode_object(
            raw, KNOWN, problems, body_limit_of(limiter, request_with())
        ), problems
    finally:
        limiter.close()


@pytest.mark.parametrize("padding", ["", "x" * LARGE_BYTES])
async def test_a_body_decodes_to_the_same_whatever_its_size(padding: str) -> None:
    content = {"sql": f"SELECT '{padding}'", "tags": {"a": "\u20ac"}, "timeout_seconds": 2.5}
    assert await decode(json.dumps(content).encode()) == (content, [])


UNKNOWN = b",".join(b'"k%d":1' % number for number in range(60_000))
LARGE_BODIES = {
    "unknown names": (b"{" + UNKNOWN + b"}", "k0"),
    "a tag's object": (b'{"tags":{' + UNKNOWN + b"}}", "tags"),
    "a list of objects": (b'{"tags":[' + b",".join([b"{}"] * 40_000) + b"]}", "tags"),
    "a number": (b'{"timeout_seconds":' + b"1" * 100_000 + b"}", "timeout_seconds"),
    "nested lists": (b'{"tags":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "body"),
    "a list": (b"[" + b",".join([b"1"] * 60_000) + b"]", "body"),
    "a text": (b'"' + b"x" * 100_000 + b'"', "body"),
    "cut off": (b'{"sql":"' + b"x" * 100_000, "body"),
    "no text": (b'{"sql":"' + b"\xff" * 100_000 + b'"}', "body"),
}


@pytest.mark.parametrize("name", LARGE_BODIES)
async def test_a_large_body_that_nothing_can_hold_is_one_problem(name: str) -> None:
    raw, parameter = LARGE_BODIES[name]
    content, problems = await decode(raw)
    assert content is None
    assert [problem.parameter for problem in problems] == [parameter]


PADDING = b'"sql":"' + b"x" * LARGE_BYTES + b'"'
REPEATED = {
    "a property": (b'{"sql":"a","sql":"b"}', "sql"),
    "a property, escaped": (b'{"sql":"a","tags":{},"\\u0073ql":"b"}', "sql"),
    "with blanks": (b'{"sql" : "a", "tags"\n:{"a":"b"},\t"sql"\r\n: "a"}', "sql"),
    "in an object": (b'{"tags":{"a":"b","c":":","a":"b"}}', "a"),
    "in a list": (b'{"tags":[{"a":1},{"b":[],"b":[]}]}', "b"),
    "of a large body": (b'{"tags":{},' + PADDING + b',"tags":{"a":1}}', "tags"),
    "in a large body": (b"{" + PADDING + b',"tags":{"a":1,"a":1}}', "a"),
    "large, and not kept": (b'{"tags":[' + b"{}," * 100_000 + b'1],"tags":{}}', "body"),
}


@pytest.mark.parametrize("name", REPEATED)
async def test_a_name_that_is_given_twice_is_a_problem(name: str) -> None:
    raw, parameter = REPEATED[name]
    content, problems = await decode(raw)
    assert content is None
    assert [problem.parameter for problem in problems] == [parameter]


async def test_the_same_name_in_different_objects_is_none() -> None:
    raw = b'{"sql":"{\\"sql\\":1,\\"sql\\":2}","tags":{"sql":"sql","a":[{"a":1},{"a":"\\\\"}]}}'
    content, problems = await decode(raw)
    assert content == json.loads(raw)
    assert problems == []


@given(st.recursive(st.text() | st.integers(-9, 9), lambda inner: st.lists(inner)
                    | st.dictionaries(st.text(), inner), max_leaves=20))  # fmt: skip
def test_what_a_decoder_writes_has_no_name_twice(value: object) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        if not ascii_only:
            text = text.encode("utf-8", "replace").decode()
        check_names(text.encode())


def test_at_most_twenty_problems_of_a_body_are_reported() -> None:
    content: dict[str, object] = {f"k{number}": 1 for number in range(1000)}
    problems = property_problems(content, V2_PROPERTIES, V2_NAMES)
    assert len(problems) == MAX_PROBLEMS
    assert {"sql", "content_type"} <= {problem.parameter for problem in problems}


def test_at_most_twenty_problems_of_a_request_are_kept() -> None:
    problems = [Problem("invalid_parameter", str(number), "is wrong") for number in range(100)]
    error = InvalidRequest(*problems)
    assert len(error.problems) == MAX_PROBLEMS
    assert str(error).count("is wrong") == MAX_PROBLEMS

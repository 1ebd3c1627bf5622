"""Heads are read by RFC 9112, without leniencies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.http.server.head import HeadRefusedError, RequestHead, check_partial, read_head
from queryrun.http.server.limits import MAX_HEAD_BYTES, MAX_HEADER_LINES, MAX_TARGET_BYTES

GET = b"GET / HTTP/1.1\r\n"
HOST = b"Host: x\r\n"


def _status(raw: bytes) -> int:
    with pytest.raises(HeadRefusedError) as refused:
        read_head(raw)
    return refused.value.status


def _post(*lines: bytes, version: bytes = b"1.1") -> RequestHead:
    return read_head(
        b"POST / HTTP/%b\r\nHost: x\r\n" % version + b"".join(x + b"\r\n" for x in lines)
    )


def test_a_head_is_method_path_query_and_headers() -> None:
    head = read_head(b"GET /a%20b?c=d?e HTTP/1.1\r\nHost: x:80\r\nX-Y:\t z \t\r\nEmpty:\r\n")
    assert (head.method, head.raw_path, head.query) == ("GET", b"/a%20b", b"c=d?e")
    assert head.headers == [(b"host", b"x:80"), (b"x-y", b"z"), (b"empty", b"")]
    assert (head.content_length, head.chunked, head.keep_alive) == (0, False, True)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n",
        b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n",
        b"GET /  HTTP/1.1\r\nHost: x\r\n",
        b" GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET\t/ HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.1 \r\nHost: x\r\n",
        b"GET /\r\nHost: x\r\n",
        b"GET / http/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.11\r\nHost: x\r\n",
        b"GET / HTTP/1\r\nHost: x\r\n",
        b"G\0T / HTTP/1.1\r\nHost: x\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: x\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n",
        b"GET /#part HTTP/1.1\r\nHost: x\r\n",
        b"GET path HTTP/1.1\r\nHost: x\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n",
        b"GET http://u@x/ HTTP/1.1\r\nHost: x\r\n",
        GET + HOST + b"A: b\r\n c\r\n",
        GET + HOST + b"A: b\r\n\tc\r\n",
        GET + b" Host: x\r\n",
        GET + HOST + b"A : b\r\n",
        GET + HOST + b"A\r\n",
        GET + HOST + b": b\r\n",
        GET + HOST + b"A: b\0\r\n",
        GET + HOST + b"A: b\x7f\r\n",
        GET + HOST + b"A\xe4: b\r\n",
        GET,
        GET + HOST + HOST,
        GET + b"Host: x y\r\n",
        GET + b"Host: x/y\r\n",
        b"\r\n\r\n" + GET + HOST,
        b"",
    ],
)
def test_what_is_not_a_request_is_refused(raw: bytes) -> None:
    assert _status(raw) == 400


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"Content-Length: 3", b"Content-Length: 3"], 400),
        ([b"Content-Length: 3, 3"], 400),
        ([b"Content-Length: 3", b"Content-Length: 4"], 400),
        ([b"Content-Length: +3"], 400),
        ([b"Content-Length: -3"], 400),
        ([b"Content-Length: 0x3"], 400),
        ([b"Content-Length: 1_0"], 400),
        ([b"Content-Length: 3 3"], 400),
        ([b"Content-Length:"], 400),
        ([b"Content-Length: \xb2"], 400),
        ([b"Content-Length: " + b"9" * 19], 400),
        ([b"Content-Length: 3", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 3"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked, chunked"], 501),
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding: chunked, identity"], 501),
        ([b"Transfer-Encoding: xchunked"], 501),
        ([b"Transfer-Encoding: \x0bchunked"], 400),
        ([b'Transfer-Encoding: "chunked"'], 501),
        ([b"Transfer-Encoding:"], 501),
        ([b"Expect: 200-ok"], 417),
    ],
)
def test_a_body_whose_length_can_be_read_in_two_ways_is_refused(
    lines: list[bytes], status: int
) -> None:
    with pytest.raises(HeadRefusedError) as refused:
        _post(*lines)
    assert refused.value.status == status


def test_http_1_0_has_no_chunks_and_does_not_keep_the_connection() -> None:
    with pytest.raises(HeadRefusedError):
        _post(b"Transfer-Encoding: chunked", version=b"1.0")
    assert not _post(version=b"1.0").keep_alive
    assert read_head(b"GET / HTTP/1.0\r\n").method == "GET"


def test_a_later_minor_version_is_read_as_1_1_and_another_major_one_is_505() -> None:
    assert _post(version=b"1.9").is_http_1_1
    assert _status(b"PRI * HTTP/2.0\r\n") == 505


def test_a_whole_url_is_taken_as_its_path() -> None:
    assert read_head(b"GET http://x:8080/a?b HTTP/1.1\r\nHost: x\r\n").raw_path == b"/a"
    assert read_head(b"GET HTTP://x HTTP/1.1\r\nHost: x\r\n").raw_path == b"/"
    assert read_head(b"GET http://x?q HTTP/1.1\r\nHost: x\r\n").query == b"q"
    assert read_head(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n").raw_path == b"*"


def test_one_empty_line_before_a_request_is_skipped() -> None:
    assert read_head(b"\r\n" + GET + HOST).method == "GET"


def test_an_upgrade_changes_nothing() -> None:
    upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAM")
    head = _post(*upgrade, b"Content-Length: 3")
    assert (head.content_length, head.keep_alive) == (3, True)


def test_close_is_found_among_other_options() -> None:
    assert not _post(b"Connection: keep-alive , CLOSE").keep_alive
    assert _post(b"Connection: not-close").keep_alive


def test_limits_hold_at_their_edge() -> None:
    target = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert read_head(b"GET %b HTTP/1.1\r\nHost: x\r\n" % target).raw_path == target
    assert _status(b"GET %ba HTTP/1.1\r\nHost: x\r\n" % target) == 414
    lines = b"A: b\r\n" * (MAX_HEADER_LINES - 1)
    assert len(read_head(GET + HOST + lines).headers) == MAX_HEADER_LINES
    assert _status(GET + HOST + lines + b"A: b\r\n") == 431
    filler = b"A: " + b"b" * (MAX_HEAD_BYTES - len(GET + HOST) - 5) + b"\r\n"
    assert len(read_head(GET + HOST + filler).headers) == 2
    assert _status(GET + HOST + b"b" + filler) == 431


@pytest.mark.parametrize(
    ("beginning", "status"),
    [
        (b"GET /" + b"a" * 20_000, 414),
        (b"A" * 20_000, 400),
        (GET + b"A: " + b"b" * MAX_HEAD_BYTES, 431),
        (GET + b"A: b\r\n" * 101, 431),
        (GET + b"A: b\nC: d", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    ],
)
def test_a_head_is_refused_before_it_is_whole(beginning: bytes, status: int) -> None:
    with pytest.raises(HeadRefusedError) as refused:
        check_partial(beginning)
    assert refused.value.status == status


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Nothing else comes out, and what was read has no control characters in it."""
    for candidate in (raw, GET + HOST + raw, GET + HOST + b"A: " + raw + b"\r\n"):
        try:
            head = read_head(candidate)
        except HeadRefusedError:
            continue
        for name, value in head.headers:
            assert not set(name + value) & {0, 10, 13}
            assert name == name.lower().strip()

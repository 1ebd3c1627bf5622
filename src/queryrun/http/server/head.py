"""A request's head: its line and headers, read by RFC 9112 without any of its leniencies.

What two servers could read in two ways is refused, because a proxy in front may be one of them:
line ends that are not CRLF, folded lines, spaces around names, a second Content-Length, Host or
Authorization, a Content-Length beside a Transfer-Encoding, codings other than `chunked`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from queryrun.http.server.limits import (
    MAX_HEAD_BYTES,
    MAX_HEADER_LINES,
    MAX_METHOD_BYTES,
    MAX_TARGET_BYTES,
)

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE = re.compile(
    rb"(%b{1,%d}) ([!-\"$-~]+) HTTP/([0-9])\.([0-9])" % (_TOKEN, MAX_METHOD_BYTES)
)
_HEADER_LINES = re.compile(rb"(?:%b++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+" % _TOKEN)
_ABSOLUTE = re.compile(rb"https?://[^/?#@]+(?=[/?]|$)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_HOST = re.compile(rb"[!$%&'()*+,\-.0-9:;=A-Z\[\]_a-z~]*")
_MAX_LINE_BYTES = MAX_METHOD_BYTES + MAX_TARGET_BYTES + len(" " + " HTTP/1.1")


class HeadRefusedError(Exception):
    """The head is not one that we take. The connection closes after the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        """One sentence for the peer. It quotes nothing that was sent."""


@dataclass(slots=True)
class RequestHead:
    """One request as its head announces it."""

    method: str
    raw_path: bytes
    query: bytes
    is_http_1_1: bool
    headers: list[tuple[bytes, bytes]]
    """Names in lower case, in the order in which they were sent."""
    content_length: int
    """0 when there is no body, or a chunked one."""
    chunked: bool
    keep_alive: bool
    expects_continue: bool
    forwarded_for: list[bytes]
    """The values of X-Forwarded-For, believed from trusted proxies alone."""
    authorization: bytes | None
    """Not judged here."""


def check_partial(received: bytes | bytearray) -> None:
    """Raise as soon as a head that is not whole yet cannot become a good one."""
    line_end = received.find(b"\r\n")
    if (len(received) if line_end < 0 else line_end) > _MAX_LINE_BYTES:
        raise _long_line(bytes(received[: MAX_METHOD_BYTES + 2]))
    if len(received) > MAX_HEAD_BYTES:
        raise HeadRefusedError(431, f"the headers are longer than {MAX_HEAD_BYTES} bytes")
    lines = received.count(b"\n")
    if lines != received.count(b"\r\n"):
        raise HeadRefusedError(400, "lines must end with CRLF")
    if lines > MAX_HEADER_LINES + 1:
        raise HeadRefusedError(431, f"there are more than {MAX_HEADER_LINES} header lines")


def read_head(raw: bytes) -> RequestHead:
    """The head without its empty line: the last header keeps its CRLF. `HeadRefusedError`.

    One empty line before it is skipped: clients send one after a body (RFC 9112 section 2.2).
    """
    check_partial(raw)
    line, _, block = raw.removeprefix(b"\r\n").partition(b"\r\n")
    method, target, is_http_1_1 = _request_line(line)
    if _HEADER_LINES.fullmatch(block) is None:
        raise HeadRefusedError(400, "a header line is not `name: value`")
    head = RequestHead(method, b"", b"", is_http_1_1, [], 0, False, is_http_1_1, False, [], None)
    hosts = _read_headers(head, block)
    _check_host(hosts, is_http_1_1)
    head.raw_path, head.query = _path_and_query(target, method)
    return head


def _request_line(line: bytes) -> tuple[str, bytes, bool]:
    """HTTP/1.2 and later are read as 1.1 (RFC 9110 section 2.5)."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HeadRefusedError(400, "the request line is not `METHOD target HTTP/1.1`")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise HeadRefusedError(505, "this server speaks HTTP/1.1")
    if len(target) > MAX_TARGET_BYTES:
        raise HeadRefusedError(414, f"the URL is longer than {MAX_TARGET_BYTES} bytes")
    return method.decode("ascii"), target, minor != b"0"


def _long_line(beginning: bytes) -> HeadRefusedError:
    if b" " in beginning:
        return HeadRefusedError(414, f"the URL is longer than {MAX_TARGET_BYTES} bytes")
    return HeadRefusedError(400, f"the method is longer than {MAX_METHOD_BYTES} characters")


def _read_headers(head: RequestHead, block: bytes) -> int:
    """Fill in the headers and what they say about the message; returns how many Host there are."""
    headers = head.headers
    hosts = 0
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        headers.append((name, value))
        if name == b"host":
            hosts += 1
            if _HOST.fullmatch(value) is None:
                raise HeadRefusedError(400, "the Host header is not a host")
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection":
            if b"close" in [option.strip() for option in value.lower().split(b",")]:
                head.keep_alive = False
        elif name == b"expect":
            _expect(head, value)
        elif name == b"authorization":
            if head.authorization is not None:
                raise HeadRefusedError(400, "the Authorization header is given more than once")
            head.authorization = value
        elif name == b"x-forwarded-for":
            head.forwarded_for.append(value)
    if lengths or codings:
        _framing(head, lengths, codings)
    return hosts


def _expect(head: RequestHead, value: bytes) -> None:
    """Only one expectation exists (RFC 9110 section 10.1.1); HTTP/1.0 has none."""
    if value.lower() != b"100-continue":
        raise HeadRefusedError(417, "the only expectation is 100-continue")
    head.expects_continue = head.is_http_1_1


def _framing(head: RequestHead, lengths: list[bytes], codings: list[bytes]) -> None:
    """How long the body is (RFC 9112 section 6.3), where there is only one way to read it."""
    if codings and (lengths or not head.is_http_1_1):
        with_what = "Content-Length" if lengths else "HTTP/1.0"
        raise HeadRefusedError(400, f"Transfer-Encoding cannot be combined with {with_what}")
    if len(lengths) > 1 or len(codings) > 1:
        raise HeadRefusedError(400, "the length of the body is given more than once")
    if codings:
        if codings[0].lower() != b"chunked":
            raise HeadRefusedError(501, "the only transfer coding is chunked")
        head.chunked = True
    elif _LENGTH.fullmatch(lengths[0]) is None:
        raise HeadRefusedError(400, "Content-Length is not a number")
    else:
        head.content_length = int(lengths[0])


def _check_host(hosts: int, is_http_1_1: bool) -> None:
    """RFC 9112 section 3.2."""
    if hosts > 1 or (hosts == 0 and is_http_1_1):
        raise HeadRefusedError(400, "there must be exactly one Host header")


def _path_and_query(target: bytes, method: str) -> tuple[bytes, bytes]:
    """Of `/path?query`, or of a whole URL, which servers must take too (RFC 9112 section 3.2)."""
    if not target.startswith(b"/"):
        match = _ABSOLUTE.match(target)
        if match is not None:
            target = target[match.end() :]
            if not target.startswith(b"/"):
                target = b"/" + target
        elif target != b"*" or method != "OPTIONS":
            raise HeadRefusedError(400, "the target of the request is not a path")
    path, _, query = target.partition(b"?")
    return path, query

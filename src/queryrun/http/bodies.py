"""Request bodies: size limit, gzip (contract C13), JSON."""

from __future__ import annotations

import zlib

import msgspec
from starlette.requests import ClientDisconnect

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.errors import PayloadTooLarge, UnsupportedMediaType
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JSON

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31
"""zlib's window size for a gzip header and trailer."""


async def read_json_body(request: ApiRequest, max_bytes: int) -> bytes:
    """The body of a request that must be JSON, inflated when it was gzipped."""
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType("the body must be sent as Content-Type: application/json")
    return inflate(await read_body(request, max_bytes), content_encoding(request), max_bytes)


async def read_body(request: ApiRequest, max_bytes: int) -> bytes:
    """The body as sent. `PayloadTooLarge` as soon as it is known to be over the limit, so that
    memory is bounded by the limit plus one chunk."""
    announced = request.raw_header(b"content-length") or b""
    if announced.isdigit() and int(announced) > max_bytes:
        raise PayloadTooLarge(max_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise PayloadTooLarge(max_bytes)
            chunks.append(chunk)
    except ClientDisconnect as error:
        message = "the connection closed before the body was complete"
        raise InvalidRequest.of("body", message) from error
    return b"".join(chunks)


def content_encoding(request: ApiRequest) -> str:
    """`gzip` or `identity`; anything else is a 415 (contract C13)."""
    encoding = (request.header(b"content-encoding") or "identity").lower()
    if encoding in ("gzip", "x-gzip"):
        return "gzip"
    if encoding == "identity":
        return encoding
    raise UnsupportedMediaType("the only content-encoding read is gzip")


def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body without its gzip. One SDK announces gzip and sends plain JSON, so the bytes decide
    (contract C13)."""
    if encoding != "gzip" or not body.startswith(GZIP_MAGIC):
        return body
    inflater = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = inflater.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise InvalidRequest.of("body", "the body is not valid gzip") from error
    if len(plain) > max_bytes:
        raise PayloadTooLarge(max_bytes)
    if not inflater.eof or inflater.unused_data:
        raise InvalidRequest.of("body", "the body is not one whole gzip member")
    return plain


def decode_object(raw: bytes, problems: list[Problem]) -> dict[str, object] | None:
    """The JSON object in `raw`, or None and a problem."""
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        problems.append(Problem("invalid_parameter", "body", "the body is not valid JSON"))
        return None
    if isinstance(content, dict):
        return content
    problems.append(Problem("invalid_parameter", "body", "the body must be a JSON object"))
    return None

"""Bodies: size limits, gzip requests (contract C13), gzip responses (contract C12)."""

from __future__ import annotations

import re
import zlib

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from queryrun.errors import InvalidRequest
from queryrun.http.errors import PayloadTooLarge, UnsupportedMediaType
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JSON

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31
"""zlib's window size for a gzip header and trailer."""

COMPRESS_ABOVE_BYTES = 1000
COMPRESSIBLE = (JSON, "application/xml", "text/html", "text/csv", "text/plain")
"""Contract C12: only bodies of more than this, and only these types."""

GZIP_LEVEL = 5


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


GZIP_ITEM = re.compile(r"\s*(gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?", re.IGNORECASE)


def accepts_gzip(request: ApiRequest) -> bool:
    """Whether the caller takes gzip; `q=0` means it does not, and `gzip` outranks `*`."""
    text = request.header(b"accept-encoding")
    if text is None:
        return False
    found = {
        match[1].lower(): _weight(match[2])
        for match in map(GZIP_ITEM.fullmatch, text.split(","))
        if match
    }
    weights = [found[name] for name in ("gzip", "x-gzip", "*") if name in found]
    return bool(weights) and weights[0] > 0


def _weight(text: str | None) -> float:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return 0.0


def compress(request: ApiRequest, response: Response) -> None:
    """Gzip the response when contract C12 says so. Streams (result files) have no body here."""
    body: bytes = getattr(response, "body", b"")
    if len(body) <= COMPRESS_ABOVE_BYTES:
        return
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if media_type not in COMPRESSIBLE or "content-encoding" in response.headers:
        return
    response.headers["vary"] = "accept-encoding"
    if not accepts_gzip(request):
        return
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    response.body = compressor.compress(body) + compressor.flush()
    response.headers["content-encoding"] = "gzip"
    response.headers["content-length"] = str(len(response.body))

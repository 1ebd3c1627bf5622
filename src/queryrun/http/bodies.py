"""Request and response bodies: size limits, and gzip in both directions (contract C12, C13)."""

from __future__ import annotations

import re
import zlib

from queryrun.errors import InvalidRequest
from queryrun.http.refusals import PayloadTooLarge, UnsupportedMediaType
from queryrun.http.request import JSON, ApiRequest, Response

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31
"""zlib's window size for a gzip header and trailer."""

COMPRESS_ABOVE_BYTES = 1000
COMPRESSIBLE = (JSON, "application/xml", "text/html", "text/csv", "text/plain")
"""Only larger bodies, and only of these types, are compressed (contract C12)."""

GZIP_LEVEL = 5


async def read_json_body(request: ApiRequest, limit_bytes: int) -> bytes:
    """The body of a request that must be JSON, inflated when it was gzipped."""
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType("the body must be sent as Content-Type: application/json")
    return inflated(await read_body(request, limit_bytes), content_encoding(request), limit_bytes)


async def read_body(request: ApiRequest, limit_bytes: int) -> bytes:
    """The body as sent. `PayloadTooLarge` as soon as it is known to be over the limit, so that
    memory is bounded by the limit plus one piece."""
    announced = request.headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit_bytes:
        raise PayloadTooLarge(limit_bytes)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest.of("body", "the connection closed before the body was complete")
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit_bytes:
            raise PayloadTooLarge(limit_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def content_encoding(request: ApiRequest) -> str:
    """`gzip` or `identity`; anything else is a 415 (contract C13)."""
    encoding = (request.header(b"content-encoding") or "identity").lower()
    if encoding in ("gzip", "x-gzip"):
        return "gzip"
    if encoding == "identity":
        return encoding
    raise UnsupportedMediaType("the only content-encoding read is gzip")


def inflated(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """The body without its gzip. One SDK announces gzip and sends plain JSON, so the bytes decide
    (contract C13)."""
    if encoding != "gzip" or not body.startswith(GZIP_MAGIC):
        return body
    inflater = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = inflater.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise InvalidRequest.of("body", "the body is not valid gzip") from error
    if len(plain) > limit_bytes:
        raise PayloadTooLarge(limit_bytes)
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
    """Gzip a large JSON or text body (contract C12). Streams (result files) have no body here."""
    if len(response.body) <= COMPRESS_ABOVE_BYTES:
        return
    media_type = (response.content_type or "").partition(";")[0]
    if media_type not in COMPRESSIBLE or any(k == "content-encoding" for k, _ in response.headers):
        return
    response.headers.append(("vary", "accept-encoding"))
    if not accepts_gzip(request):
        return
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    response.body = packer.compress(response.body) + packer.flush()
    response.headers.append(("content-encoding", "gzip"))

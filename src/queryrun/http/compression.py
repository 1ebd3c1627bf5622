"""Gzip for responses (contract C12)."""

from __future__ import annotations

import re
import zlib

from starlette.responses import Response

from queryrun.http.bodies import GZIP_WINDOW
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JSON

COMPRESS_ABOVE_BYTES = 1000
COMPRESSIBLE = (JSON, "application/xml", "text/html", "text/csv", "text/plain")
"""Only larger bodies, and only of these types, are compressed (contract C12)."""

GZIP_LEVEL = 5

GZIP_ITEM = re.compile(r"\s*(gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?", re.IGNORECASE)


def accepts_gzip(request: ApiRequest) -> bool:
    """Whether the caller accepts gzip; `q=0` means it does not, and `gzip` outranks `*`."""
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

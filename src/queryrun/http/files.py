"""`GET /files/{key}`: signed downloads. The signature is the permission; no token is looked at.

No redirect and never a `Content-Encoding`: the known clients refuse both (contract A11).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

from queryrun.errors import RunFailed, Unavailable
from queryrun.http.context import AppContext
from queryrun.http.refusals import FileGone, LinkRefused, RangeNotSatisfiable
from queryrun.http.request import ApiRequest, Response
from queryrun.results.names import disposition, media_type
from queryrun.results.sign import verify
from queryrun.results.store import ResultStore, StoredFile

HEADER_NAMES = ("etag", "accept-ranges", "content-disposition")
"""As documented."""

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
"""One range. Other units and several ranges are ignored, as RFC 9110 allows: the whole file."""

EXPIRES = re.compile(r"[0-9]{1,12}")


async def download(app: AppContext, request: ApiRequest) -> Response:
    """The file, or the part of it that `Range` asks for."""
    key = request.path_parameters["key"]
    _check_link(app, request, key)
    file = await _stat(app.results, key)
    if file is None:
        raise FileGone("file", f"File {PurePosixPath(key).name[:100]!r} could not be found")
    etag = f'"{file.etag.strip(chr(34))}"'
    headers = _headers(key, etag)
    if _has_it(request.header(b"if-none-match"), etag):
        return Response(304, content_type=None, headers=headers)
    span = _span(request, file, etag)
    if span is None:
        return _part(app, file, (0, file.size_bytes), 200, headers)
    start, end = span
    headers.append(("content-range", f"bytes {start}-{end - 1}/{file.size_bytes}"))
    return _part(app, file, span, 206, headers)


def _check_link(app: AppContext, request: ApiRequest, key: str) -> None:
    """Whether the link was made by us and has not expired; one answer for every kind of no."""
    expires = (request.values("expires") or [""])[-1]
    signature = (request.values("signature") or [""])[-1]
    genuine = EXPIRES.fullmatch(expires) is not None and verify(
        key, int(expires), signature, app.link_secret
    )
    if not genuine or int(expires) < app.now().timestamp():
        raise LinkRefused("the link is not valid, or no longer; read the run again for a new one")


async def _stat(store: ResultStore, key: str) -> StoredFile | None:
    try:
        return await asyncio.to_thread(store.stat, key)
    except RunFailed as error:
        raise Unavailable("the store of result files cannot be reached") from error


def _headers(key: str, etag: str) -> list[tuple[str, str]]:
    return [
        ("etag", etag),
        ("accept-ranges", "bytes"),
        ("content-disposition", disposition(key)),
        ("cache-control", "private, no-transform"),
        ("x-content-type-options", "nosniff"),
    ]


def _has_it(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag in known


def _span(request: ApiRequest, file: StoredFile, etag: str) -> tuple[int, int] | None:
    """Start and end (exclusive) of the part asked for; None for the whole file."""
    asked = RANGE.fullmatch((request.header(b"range") or "").replace(" ", ""))
    if_range = request.header(b"if-range")
    if asked is None or asked[0] == "bytes=-" or if_range not in (None, etag):
        return None
    start, end = _bounds(asked[1], asked[2], file.size_bytes)
    if asked[1] and asked[2] and int(asked[1]) > int(asked[2]):
        return None
    if start >= end:
        raise RangeNotSatisfiable(file.size_bytes)
    return start, end


def _bounds(first: str, last: str, size_bytes: int) -> tuple[int, int]:
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    return int(first), min(size_bytes, int(last) + 1) if last else size_bytes


def _part(
    app: AppContext,
    file: StoredFile,
    span: tuple[int, int],
    status: int,
    headers: list[tuple[str, str]],
) -> Response:
    return Response(
        status,
        content_type=media_type(file.key),
        headers=headers,
        stream=_pieces(app.results, file.key, span),
        stream_bytes=span[1] - span[0],
    )


async def _pieces(store: ResultStore, key: str, span: tuple[int, int]) -> AsyncIterator[bytes]:
    """The bytes, piece by piece, each read in a thread; a slow client holds no thread."""
    pieces = store.read(key, *span)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece

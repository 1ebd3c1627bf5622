"""`GET /files/{key}`: signed downloads. The signature is the permission; no token is read.

No redirect and never a `Content-Encoding`: the known clients refuse both (contract A11).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import PurePosixPath

import structlog
from starlette.responses import Response, StreamingResponse

from queryrun.audit.model import AuditEvent
from queryrun.errors import RunFailed, Unavailable
from queryrun.http.audit import record
from queryrun.http.context import AppContext, KnownFile
from queryrun.http.errors import FileGone, LinkRefused, RangeNotSatisfiable
from queryrun.http.request import ApiRequest
from queryrun.results.names import disposition, media_type, run_id_of
from queryrun.results.sign import verify
from queryrun.results.store import StoredFile

log = structlog.get_logger()

HEADER_NAMES = ("etag", "accept-ranges", "content-disposition")
"""As documented."""

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
"""One range. Other units and several ranges are ignored, as RFC 9110 allows: the whole file."""

EXPIRES = re.compile(r"[0-9]{1,12}")


async def download(app: AppContext, request: ApiRequest) -> Response:
    """The file, or the range of it that the caller requests."""
    key = request.path_params["key"]
    _check_link(app, request, key)
    known = await _known(app, key)
    entity_id = known.entity_id
    file = await _stat(app, key, entity_id)
    if file is None:
        raise FileGone("file", f"File {PurePosixPath(key).name[:100]!r} could not be found")
    _check_size(file, known)
    etag = f'"{file.etag.strip(chr(34))}"'
    headers = _headers(key, etag)
    if _matches(request.header(b"if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    span = _span(request, file, etag)
    start, end = span or (0, file.size_bytes)
    headers |= {"content-type": media_type(file.key), "content-length": str(end - start)}
    if span is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    if request.method != "HEAD":
        await record(
            app, request, AuditEvent.RESULT_READ, run_id_of(key), way="link", start=start, end=end
        )
    chunks = _chunks(app, entity_id, file.key, start, end)
    return StreamingResponse(chunks, 200 if span is None else 206, headers)


def _check_link(app: AppContext, request: ApiRequest, key: str) -> None:
    """Raise unless the signature is ours and still valid. The message is always the same, so that
    a caller learns nothing from attempts."""
    expires = (request.query_values("expires") or [""])[-1]
    signature = (request.query_values("signature") or [""])[-1]
    genuine = EXPIRES.fullmatch(expires) is not None and verify(
        key, int(expires), signature, app.link_secret
    )
    if not genuine or int(expires) < app.now().timestamp():
        raise LinkRefused("the link is not valid, or no longer; read the run again for a new one")


async def _known(app: AppContext, key: str) -> KnownFile:
    """Whose turn a download is, and how large the file has to be. While the store of runs is away,
    or the run is gone, the run itself has a turn: a file can be downloaded all the same."""
    known = app.threads.known_files.get(key)
    if known is not None:
        return known
    run_id = run_id_of(key)
    with suppress(Unavailable):
        run = await app.runs.store.get(run_id)
        if run is not None:
            size_bytes = run.file.size_bytes if run.file and run.file.key == key else None
            known = KnownFile(run.request.entity_id, size_bytes)
            app.threads.known_files.put(key, known)
            return known
    return KnownFile(run_id)


def _check_size(file: StoredFile, known: KnownFile) -> None:
    """Raise unless the file is as large as it was committed: who reads a part of a result for all
    of it has a wrong one."""
    if known.size_bytes in (None, file.size_bytes):
        return
    log.error(
        "result_file_damaged",
        key=file.key,
        size_bytes=file.size_bytes,
        committed_bytes=known.size_bytes,
    )
    raise FileGone(
        "file",
        f"the file is damaged: it has {file.size_bytes} bytes, and {known.size_bytes} were "
        "stored; run the statement again",
    )


async def _stat(app: AppContext, key: str, entity_id: str) -> StoredFile | None:
    try:
        async with app.threads.download_turns.slot(entity_id):
            return await app.threads.downloads.run(lambda: app.results.stat(key))
    except RunFailed as error:
        raise Unavailable("the store of result files cannot be reached") from error


def _headers(key: str, etag: str) -> dict[str, str]:
    """`no-transform`: a proxy that compressed the file would break ranges and clients."""
    return {
        "etag": etag,
        "accept-ranges": "bytes",
        "content-disposition": disposition(key),
        "cache-control": "private, no-transform",
        "x-content-type-options": "nosniff",
    }


def _matches(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag in known


def _span(request: ApiRequest, file: StoredFile, etag: str) -> tuple[int, int] | None:
    """Start and end (exclusive) of the requested range. None, the whole file, also for a range
    that is malformed or of another version of the file (RFC 9110, section 14.2)."""
    found = RANGE.fullmatch((request.header(b"range") or "").replace(" ", ""))
    if_range = request.header(b"if-range")
    if found is None or found[0] == "bytes=-" or if_range not in (None, etag):
        return None
    start, end = _bounds(found[1], found[2], file.size_bytes)
    if found[1] and found[2] and int(found[1]) > int(found[2]):
        return None
    if start >= end:
        raise RangeNotSatisfiable(file.size_bytes)
    return start, end


def _bounds(first: str, last: str, size_bytes: int) -> tuple[int, int]:
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    return int(first), min(size_bytes, int(last) + 1) if last else size_bytes


async def _chunks(
    app: AppContext, entity_id: str, key: str, start: int, end: int
) -> AsyncIterator[bytes]:
    """The bytes, each chunk read in a thread: a slow client holds no thread between chunks, and
    an entity with many downloads delays another's by a chunk."""
    chunks, sent_bytes = iter(app.results.read(key, start, end)), 0
    try:
        while (chunk := await _next_chunk(app, entity_id, chunks)) is not None:
            sent_bytes += len(chunk)
            yield chunk
    finally:
        await _count_download(app, key, sent_bytes)


async def _next_chunk(app: AppContext, entity_id: str, chunks: Iterator[bytes]) -> bytes | None:
    async with app.threads.download_turns.slot(entity_id):
        return await app.threads.downloads.run(lambda: next(chunks, None))


async def _count_download(app: AppContext, key: str, sent_bytes: int) -> None:
    """Also of a download that broke off. The file has been sent, so a fault is only logged."""
    if not sent_bytes:
        return
    try:
        await app.runs.usage.add_download(run_id_of(key), sent_bytes)
    except Unavailable:
        log.warning("download_not_counted", size_bytes=sent_bytes)

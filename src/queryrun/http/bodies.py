"""Request bodies: size limit, gzip (contract C13), JSON.

The cost of a body grows with its size and with nothing else. What is large is inflated and decoded
in a thread, and without building what no property can hold: a list of a million values under
`tags` is never made.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import TypeVar

import msgspec

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.body_limiter import BodyLimit, BodyLimiter
from queryrun.http.errors import PayloadTooLarge, UnsupportedMediaType
from queryrun.http.repeated_names import check_names
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JSON

T = TypeVar("T")

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW = 31
"""zlib's window size for a gzip header and trailer."""

LARGE_BYTES = 64 * 1024
"""Above this a body is large. Below it, everything takes less than a millisecond."""
MAX_VALUE_BYTES = LARGE_BYTES
"""The longest value of a large body that is not a text; the longest valid one is half of it."""

_NOT_JSON = Problem("invalid_parameter", "body", "the body is not valid JSON")
_NOT_AN_OBJECT = Problem("invalid_parameter", "body", "the body must be a JSON object")
_FAULTS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def body_limit_of(limiter: BodyLimiter, request: ApiRequest) -> BodyLimit:
    """The limit of this request, always the same one. The endpoint closes it."""
    if request.body_limit is None:
        principal = request.authorized
        key = f"from {request.client_address}" if principal is None else principal.entity_id
        request.body_limit = limiter.limit(key)
    return request.body_limit


async def read_json_body(request: ApiRequest, max_bytes: int, limit: BodyLimit) -> bytes:
    """The body of a request that must be JSON, inflated when it was gzipped."""
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType("the body must be sent as Content-Type: application/json")
    body = await read_body(request, max_bytes, limit)
    encoding = content_encoding(request)
    if encoding != "gzip" or not body.startswith(GZIP_MAGIC):
        return body
    plain = await limit.run(lambda: inflate(body, encoding, max_bytes))
    if len(plain) > LARGE_BYTES:
        limit.hold(len(plain))
    return plain


async def read_body(request: ApiRequest, max_bytes: int, limit: BodyLimit | None = None) -> bytes:
    """The body as sent. `PayloadTooLarge` as soon as it is known to be over the limit, so that
    memory is bounded by the limit plus one chunk. What is large counts in `limit`."""
    announced = request.raw_header(b"content-length") or b""
    if announced.isdigit() and (len(announced) > 18 or int(announced) > max_bytes):
        raise PayloadTooLarge(max_bytes)
    chunks: list[bytes] = []
    size = held = 0
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest.of("body", "the connection closed before the body was complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise PayloadTooLarge(max_bytes)
        if limit is not None and size > LARGE_BYTES:
            limit.hold(size - held)
            held = size
        chunks.append(chunk)
        more = message.get("more_body", False)
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


async def decode_object(
    raw: bytes, known: frozenset[str], problems: list[Problem], limit: BodyLimit
) -> dict[str, object] | None:
    """The JSON object in `raw`, or None and a problem. `known`: the properties it may have.

    Of a large body the first unknown property, and the first value that is too large for any, is
    the only problem: all of them could be a million.
    """
    if len(raw) <= LARGE_BYTES:
        found = _checked(raw, _decode_small(raw))
    else:
        found = await limit.run(lambda: _checked(raw, _decode_large(raw, known)))
    if isinstance(found, Problem):
        problems.append(found)
        return None
    return found


async def decode_body(raw: bytes, kind: type[T], limit: BodyLimit) -> T:
    """The JSON in `raw` as this kind. Raises msgspec's errors, and `InvalidRequest` that says which
    name is given twice."""
    decoded = msgspec.json.decode(raw, type=kind)
    if len(raw) <= LARGE_BYTES:
        check_names(raw)
    else:
        await limit.run(lambda: check_names(raw))
    return decoded


def _checked(raw: bytes, decoded: dict[str, object] | Problem) -> dict[str, object] | Problem:
    """Decoded, or the problem that a name is given twice."""
    if isinstance(decoded, Problem):
        return decoded
    try:
        check_names(raw)
    except InvalidRequest as error:
        return error.problems[0]
    return decoded


def _decode_small(raw: bytes) -> dict[str, object] | Problem:
    try:
        content = msgspec.json.decode(raw)
    except _FAULTS:
        return _NOT_JSON
    return content if isinstance(content, dict) else _NOT_AN_OBJECT


# --- large bodies ---------------------------------------------------------------------------


def _decode_large(raw: bytes, known: frozenset[str]) -> dict[str, object] | Problem:
    """Two passes: where the values are, then those that may be valid."""
    try:
        parts = msgspec.json.decode(raw, type=_parts(known))
    except msgspec.ValidationError as error:
        return _wrong_shape(raw, str(error))
    except _FAULTS:
        return _NOT_JSON
    given = ((name, getattr(parts, name)) for name in known)
    return _decoded({name: part for name, part in given if part is not msgspec.UNSET})


def _decoded(parts: dict[str, msgspec.Raw]) -> dict[str, object] | Problem:
    content: dict[str, object] = {}
    for name, part in parts.items():
        view = memoryview(part)
        if len(view) > MAX_VALUE_BYTES and bytes(view[:1]) != b'"':
            return Problem("invalid_parameter", name, f"'{name}' is larger than any valid value")
        try:
            content[name] = msgspec.json.decode(view)
        except _FAULTS:
            return _NOT_JSON
    return content


@cache
def _parts(known: frozenset[str]) -> type[msgspec.Struct]:
    """A structure that finds the properties without decoding their values."""
    optional = msgspec.Raw | msgspec.UnsetType
    fields = [(name, optional, msgspec.field(default=msgspec.UNSET)) for name in sorted(known)]
    return msgspec.defstruct("Parts", fields, forbid_unknown_fields=True)


def _wrong_shape(raw: bytes, message: str) -> Problem:
    """Valid JSON so far, but no object, or one with an unknown name: msgspec stops at the first."""
    _, found, name = message.partition("unknown field `")
    if not found or raw.lstrip()[:1] != b"{":
        return _NOT_AN_OBJECT
    parameter = name.rpartition("`")[0][:64]
    return Problem("invalid_parameter", parameter, f"'{parameter}' is not a known property")

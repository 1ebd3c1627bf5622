"""What a worker may ask of the store: the requests that write one object, signed by the node.

A worker has no key. It sends each request here before it makes it, with the digest of its body,
and gets the headers to send: they are good for that request and those bytes, and for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from queryrun.results.sigv4 import EMPTY_SHA256, SignRequest, UnsignedRequest

MAX_OFFSET_S = 86_400
"""A signature for a later time is good for longer, so clocks that differ by more are not met."""
MAX_BEGUN = 8
"""Uploads that may be begun: one, and again when its response was lost."""
MAX_PARTS = 10_000
_NONE = timedelta()
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UPLOAD_ID = re.compile(r"[\x21-\x7e]{1,1024}")
_PART = re.compile(r"[1-9][0-9]{0,4}")
_RANGE = re.compile(r"bytes=[0-9]{1,18}-[0-9]{1,18}")
_XML = {"content-type": "application/xml"}


class NotPermittedError(Exception):
    """No writer of ours makes this request: whoever asks is not our code any more."""


class UploadPermit:
    """The requests that write one object once, and read it back.

    The object is decided by the first request that would make it visible: the whole object, or the
    completion of one upload with these parts. After that only the same one is signed again, so
    that nobody can replace an object which the node has been told is finished.
    """

    def __init__(self, host: str, path: str, headers: Mapping[str, str], sign: SignRequest) -> None:
        self._host = host
        self._path = path
        self._headers = dict(headers)
        self._sign = sign
        self._decided: tuple[str, str] | None = None
        """What makes the object visible, and the digest of its body."""
        self._begun = 0

    def sign(self, request: UnsignedRequest, offset: timedelta = _NONE) -> Mapping[str, str]:
        """The headers of a request that is permitted. Raises `NotPermittedError` for others.

        `offset`: by how much the worker says that the store's clock is ahead, `MAX_OFFSET_S` at
        most.
        """
        is_ours = request.host == self._host and request.path == self._path
        if not is_ours or _SHA256.fullmatch(request.payload_sha256) is None:
            raise NotPermittedError
        if not self._permits(request, dict(request.query)):
            raise NotPermittedError
        return self._sign(request, offset)

    def _permits(self, request: UnsignedRequest, query: Mapping[str, str]) -> bool:
        if len(query) != len(request.query):
            return False
        upload = query.get("uploadId", "")
        if "uploadId" in query and _UPLOAD_ID.fullmatch(upload) is None:
            return False
        headers, digest = dict(request.headers), request.payload_sha256
        match request.method, sorted(query):
            case "HEAD" | "GET", []:
                return digest == EMPTY_SHA256 and _is_plain_read(headers)
            case "PUT", []:
                return headers == self._headers and self._decide("", digest)
            case "POST", ["uploads"]:
                is_plain = not query["uploads"] and digest == EMPTY_SHA256
                return is_plain and headers == self._headers and self._may_begin()
            case "PUT", ["partNumber", "uploadId"]:
                return not headers and self._decided is None and _is_part(query["partNumber"])
            case "POST", ["uploadId"]:
                return headers == _XML and self._decide(upload, digest)
            case "DELETE", ["uploadId"]:
                return not headers and digest == EMPTY_SHA256
        return False

    def _may_begin(self) -> bool:
        self._begun += 1
        return self._decided is None and self._begun <= MAX_BEGUN

    def _decide(self, upload: str, digest: str) -> bool:
        """Whether this is the one object, now or already."""
        self._decided = self._decided or (upload, digest)
        return self._decided == (upload, digest)


def _is_part(number: str) -> bool:
    return _PART.fullmatch(number) is not None and int(number) <= MAX_PARTS


def _is_plain_read(headers: Mapping[str, str]) -> bool:
    """Whole, or a range of it."""
    return not headers or (
        list(headers) == ["range"] and _RANGE.fullmatch(headers["range"]) is not None
    )


def _sign_nothing(_request: UnsignedRequest, _offset: timedelta) -> Mapping[str, str]:
    raise NotPermittedError


NO_UPLOAD = UploadPermit("", "", {}, _sign_nothing)
"""Signs nothing: for whoever has no file to write."""

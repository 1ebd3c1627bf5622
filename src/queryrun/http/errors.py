"""The HTTP layer's branch of `RequestError`: errors that exist only in HTTP.

RequestError
├── PathNotFound            no such path
├── MethodNotAllowed        the path has other methods; names them
├── PayloadTooLarge         the body, as sent or inflated, is over the limit
├── UnsupportedMediaType    not JSON, or an encoding that we do not read
├── LinkRefused             a download link that is forged or has expired
├── RangeNotSatisfiable     a range outside the file
├── FileGone                (a NotFound) the link is good, the file past its retention
├── TimedOut                no response within the request timeout
└── TokenRefused            an error of the token endpoint, with RFC 6749's code
"""

from __future__ import annotations

from queryrun.errors import NotFound, RequestError


class PathNotFound(RequestError):
    """Nothing is served at this path."""


class MethodNotAllowed(RequestError):
    """The path has other methods."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"allowed here: {allowed}")
        self.allowed = allowed


class PayloadTooLarge(RequestError):
    """The body is over `limit_bytes`, as sent or after inflating."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body must not be larger than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class UnsupportedMediaType(RequestError):
    """The body is not `application/json`, or its content-encoding is not one we read."""


class LinkRefused(RequestError):
    """The signature does not match or the link has expired. The response does not tell which."""


class RangeNotSatisfiable(RequestError):
    """The file has `size_bytes` bytes, and none of the requested ones."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes} bytes")
        self.size_bytes = size_bytes


class FileGone(NotFound):
    """The link is genuine, but the file was removed after its retention."""


class TimedOut(RequestError):
    """The request took longer than allowed. Its effect may have happened."""


class TokenRefused(RequestError):
    """An error of the token endpoint. `error` is RFC 6749's code (section 5.2)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error

"""The HTTP layer's branch of `RequestError`: errors that only exist because there is HTTP.

RequestError
├── PathNotFound            no such path
├── MethodNotAllowed        the path exists, the method does not; says which do
├── PayloadTooLarge         the body, as sent or inflated, is over the limit
├── UnsupportedMediaType    not JSON, or an encoding that we do not read
├── LinkRefused             a download link that is forged or has expired
├── RangeNotSatisfiable     a range outside the file
├── FileGone                (a NotFound) the link is good, the file past its retention
├── TimedOut                no answer within the request timeout
└── TokenRefused            the token endpoint says no, in the words of RFC 6749
"""

from __future__ import annotations

from queryrun.errors import NotFound, RequestError


class PathNotFound(RequestError):
    """Nothing lives at this path."""


class MethodNotAllowed(RequestError):
    """The path knows other methods."""

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
    """The signature does not fit, or the link has expired. Which of the two is not said."""


class RangeNotSatisfiable(RequestError):
    """The file has `size_bytes` bytes, and none of those asked for."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes} bytes")
        self.size_bytes = size_bytes


class FileGone(NotFound):
    """The link is genuine, but the file is gone: past its retention."""


class TimedOut(RequestError):
    """The request took longer than it may. What it asked for may have happened."""


class TokenRefused(RequestError):
    """The token endpoint's refusal. `error` is RFC 6749's word (section 5.2)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error

"""Everything the client raises on purpose.

    ClientError
    ├── Unreachable          no response from the server, retries included
    ├── UnexpectedResponse   a response that no compatible server sends
    ├── Refused              an error response: `status`, `code`, `message`, `parameter`
    │   ├── BadRequest         400, 405, 413, 415
    │   ├── Unauthorized       401, after the token was renewed once
    │   ├── Forbidden          403
    │   ├── NotFound           404: no such run, or another client's
    │   ├── Conflict           409, 422: the idempotency key is in use or has another request
    │   ├── TooManyRequests    429, after waiting as long as `Retry` allows: `retry_after_s`
    │   └── ServerError        5xx
    ├── RunFailed            the run failed: `run`, `code`, `message`
    ├── RunCanceled          the run was canceled, so it has no file
    ├── StillRunning         `wait` or `cancel` timed out: `run` as last read
    ├── DownloadFailed       the file could not be fetched
    │   └── ChecksumMismatch   it was fetched, and is not what the server wrote
    ├── NotConfigured        no server is configured, or its profile cannot be used
    ├── DecryptFailed        not encrypted by this service, not for this key, truncated or changed
    ├── Unsupported          this API version, format or server cannot do that
    └── MissingPackage       an optional package is not installed

No message repeats a statement, a secret, a token or a signed link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from queryrun_client.model import RunError, RunInfo


class ClientError(Exception):
    """Root of everything the client raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process of a pool can raise it: what it holds arrives with it."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[ClientError], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> ClientError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class Unreachable(ClientError):
    """No response: the server is not there, or the connection failed on every attempt."""


class UnexpectedResponse(ClientError):
    """A response that no compatible server sends: not JSON, an unknown state, a redirect."""


class Unsupported(ClientError):
    """The request does not exist in this API version, for this format or on this server."""


class MissingPackage(ClientError):
    """An optional package is not installed; the message names it."""


class NotConfigured(ClientError):
    """No server is configured, or a profile, a file of secrets or a variable cannot be used."""


class DownloadFailed(ClientError):
    """The result file could not be fetched."""


class ChecksumMismatch(DownloadFailed):
    """The fetched file has another SHA-256 or size than the server reported; it was removed."""


class DecryptFailed(ClientError):
    """The file is not encrypted in the published layout, not for this key, truncated or changed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The content of an error response. `parameter` names the wrong part of the request, if any."""

    status: int
    code: str
    message: str
    parameter: str | None = None
    request_id: str | None = None
    """The server's id of the request, for its operator's log."""
    retry_after_s: float | None = None
    line: int | None = None
    column: int | None = None


class Refused(ClientError):
    """The server responded with an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.message} ({refusal.status} {refusal.code})")
        self.refusal = refusal

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.refusal.status

    @property
    def code(self) -> str:
        """The server's code, or its name for the status where there is no code."""
        return self.refusal.code

    @property
    def message(self) -> str:
        """The server's message."""
        return self.refusal.message

    @property
    def parameter(self) -> str | None:
        """The wrong part of the request, where the server reports it."""
        return self.refusal.parameter

    @property
    def line(self) -> int | None:
        """The line of the statement that is wrong, from 1, where the server reports it."""
        return self.refusal.line

    @property
    def column(self) -> int | None:
        """The column in that line, from 1."""
        return self.refusal.column

    @property
    def retry_after_s(self) -> float | None:
        """The server's `Retry-After`, if it sent one."""
        return self.refusal.retry_after_s


class BadRequest(Refused):
    """The request itself is wrong (400, 405, 413, 415)."""


class Unauthorized(Refused):
    """The credentials or the token are not valid (401)."""


class Forbidden(Refused):
    """The client may not do this (403)."""


class NotFound(Refused):
    """No such run, or another client's (404)."""


class Conflict(Refused):
    """The idempotency key is in use, or was used for another request (409, 422)."""


class TooManyRequests(Refused):
    """A rate limit or a full queue (429)."""


class ServerError(Refused):
    """The server, or a proxy in front of it, failed (5xx)."""


KINDS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Conflict,
    429: TooManyRequests,
}


def refused(refusal: Refusal) -> Refused:
    """The error for a refusal, by its status."""
    kind = KINDS.get(refusal.status, ServerError if refusal.status >= 500 else BadRequest)
    return kind(refusal)


class RunFailed(ClientError):
    """The run failed, so there is no file. `run.error` has the reason.

    `line` and `column` count from 1 in the statement as submitted; None where the reason has no
    place in it.
    """

    def __init__(self, run: RunInfo) -> None:
        error = run.error or RunError("unknown", "the run failed")
        position = "" if error.line is None else f"line {error.line}, column {error.column}: "
        code = "" if run.error is None else f" ({error.code})"
        super().__init__(f"{position}{error.message}{code}")
        self.run = run
        self.code = error.code
        self.message = error.message
        self.line = error.line
        self.column = error.column


class RunCanceled(ClientError):
    """The run was canceled, so there is no file."""

    def __init__(self, run: RunInfo) -> None:
        super().__init__(f"run {run.id} was canceled")
        self.run = run


class StillRunning(ClientError):
    """The timeout has passed and the run has not finished. `run` is the run as last read."""

    def __init__(self, run: RunInfo) -> None:
        super().__init__(f"run {run.id} is still {run.state}")
        self.run = run

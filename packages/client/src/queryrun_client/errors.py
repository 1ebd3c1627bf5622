"""Everything the client raises on purpose.

    ClientError
    ├── Unreachable          no answer from the server, retries included
    ├── UnexpectedAnswer     an answer that no compatible server gives
    ├── Refused              an answer that says no: `status`, `code`, `message`, `parameter`
    │   ├── BadRequest         400, 405, 413, 415
    │   ├── Unauthorized       401, after the token was renewed once
    │   ├── Forbidden          403
    │   ├── NotFound           404: no such run, or somebody else's
    │   ├── Conflict           409, 422: the idempotency key is in use or belongs elsewhere
    │   ├── TooManyRequests    429, after waiting as long as `Retry` allows: `retry_after_s`
    │   └── ServerTrouble      5xx
    ├── RunFailed            the run ended `failed`: `run`, `code`, `message`
    ├── RunCanceled          the run ended `canceled`, so it has no file
    ├── StillRunning         the time given to `wait` or `cancel` is over: `run` as last seen
    ├── DownloadFailed       the file could not be fetched
    │   └── ChecksumMismatch   it arrived, and is not what the server wrote
    ├── DecryptFailed        not encrypted by this service, not for this key, cut off or changed
    ├── Unsupported          this face, format or server cannot do that
    └── MissingPackage       an optional package is not installed

None of their texts repeats a statement, a secret, a token or a signed link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryrun_client.model import RunInfo


class ClientError(Exception):
    """Root of everything the client raises on purpose."""


class Unreachable(ClientError):
    """No answer: the server is not there, or the connection broke and stayed broken."""


class UnexpectedAnswer(ClientError):
    """An answer that no compatible server gives: not JSON, an unknown state, a redirect."""


class Unsupported(ClientError):
    """What was asked for does not exist for this face, format or server."""


class MissingPackage(ClientError):
    """An optional package is needed for this; the text names it."""


class DownloadFailed(ClientError):
    """The result file could not be fetched."""


class ChecksumMismatch(DownloadFailed):
    """The file arrived and its SHA-256 or size is not what the server said; it was removed."""


class DecryptFailed(ClientError):
    """The file is not encrypted in the published layout, not for this key, cut off or changed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal says. `parameter` is the request's part that is wrong, where one is."""

    status: int
    code: str
    message: str
    parameter: str | None = None
    request_id: str | None = None
    """The server's id of the request, for its operator's log."""
    retry_after_s: float | None = None


class Refused(ClientError):
    """The server answered, and the answer is no."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.message} ({refusal.status} {refusal.code})")
        self.refusal = refusal

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.refusal.status

    @property
    def code(self) -> str:
        """The server's code, or its word for the status where there is no code."""
        return self.refusal.code

    @property
    def message(self) -> str:
        """The server's text."""
        return self.refusal.message

    @property
    def parameter(self) -> str | None:
        """What of the request is wrong, where the server says it."""
        return self.refusal.parameter

    @property
    def retry_after_s(self) -> float | None:
        """When to come back, where the server says it."""
        return self.refusal.retry_after_s


class BadRequest(Refused):
    """The request itself is wrong (400, 405, 413, 415)."""


class Unauthorized(Refused):
    """The credentials or the token do not count (401)."""


class Forbidden(Refused):
    """The client may not do this (403)."""


class NotFound(Refused):
    """No such run, or somebody else's (404)."""


class Conflict(Refused):
    """The idempotency key is in use, or belongs to another request (409, 422)."""


class TooManyRequests(Refused):
    """A rate limit or a full queue (429)."""


class ServerTrouble(Refused):
    """The server or something in front of it failed (5xx)."""


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
    kind = KINDS.get(refusal.status, ServerTrouble if refusal.status >= 500 else BadRequest)
    return kind(refusal)


class RunFailed(ClientError):
    """The run ended `failed`, so there is no file. `run.error` says why."""

    def __init__(self, run: RunInfo) -> None:
        error = run.error
        super().__init__("the run failed" if error is None else f"{error.message} ({error.code})")
        self.run = run
        self.code = "unknown" if error is None else error.code
        self.message = str(self) if error is None else error.message


class RunCanceled(ClientError):
    """The run ended `canceled`, so there is no file."""

    def __init__(self, run: RunInfo) -> None:
        super().__init__(f"run {run.id} was canceled")
        self.run = run


class StillRunning(ClientError):
    """The time given is over and the run has not ended. `run` is how it was last seen."""

    def __init__(self, run: RunInfo) -> None:
        super().__init__(f"run {run.id} is still {run.state}")
        self.run = run

"""Every error that is raised on purpose. Nothing here depends on HTTP, SQL or an engine.

There are two trees, for requests and for runs:

    QueryrunError
    ├── RequestError                 a refused request; only `http/problems.py` knows its status
    │   ├── InvalidRequest           one or more parameters are wrong; names each of them
    │   ├── Unauthenticated          no token, or one that is not valid any more
    │   ├── Forbidden                the principal may not do this
    │   ├── NotFound                 it does not exist, or belongs to another client
    │   ├── NotCancellable           the run has already ended; says how
    │   ├── IdempotencyInFlight      the first request with this key has no response yet
    │   ├── IdempotencyMismatch      this key belongs to a different request
    │   ├── TooManyRequests          a rate limit; says when to retry
    │   ├── QueueFull                the entity's queue on this source is full
    │   ├── QuotaFull                the entity keeps as many bytes of statements as it may
    │   └── Unavailable              the node drains, or the store is unavailable
    ├── RunFailed                    a failed run: carries a `Failure`, and is read with 200
    ├── LostRace                     a fenced write came too late; the first write wins
    └── ConfigurationError           invalid settings; the program refuses to start

A `Failure` crosses the worker's pipe and the database as plain data, never pickled. Its code alone
decides who is to blame and whether another attempt can help.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from queryrun.causes import Cause


class QueryrunError(Exception):
    """Root of every error that is raised on purpose."""


# --- bad requests ---------------------------------------------------------------------------

MAX_PROBLEMS = 20
"""Of one request that are reported: a body can have a million (contract D1)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error in a request (contract D1). `parameter` is what the caller sent."""

    code: str
    parameter: str
    message: str


class RequestError(QueryrunError):
    """A refused request. Nothing was changed."""


class InvalidRequest(RequestError):
    """One or more parameters are wrong. Each problem names its parameter (contract D1).

    The first `MAX_PROBLEMS` are kept.
    """

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems[:MAX_PROBLEMS]
        super().__init__("; ".join(problem.message for problem in self.problems))

    @classmethod
    def of(cls, parameter: str, message: str) -> InvalidRequest:
        """A single `invalid_parameter`, the usual case."""
        return cls(Problem("invalid_parameter", parameter, message))


class Unauthenticated(RequestError):
    """No token, a malformed one, or one that has expired or been revoked."""


class Forbidden(RequestError):
    """The principal is known but may not do this."""


class NotFound(RequestError):
    """It does not exist, or belongs to another client. The response is deliberately the same."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem("resource_not_found", parameter, message)


class NotCancellable(RequestError):
    """The run had ended before the cancel (contract B4). Nothing was changed.

    `state` is how it ended: `complete`, `failed` or `canceled`.
    """

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(f"Query run {run_id} is not in accepted or in_progress state")
        self.run_id = run_id
        self.state = state
        self.problem = Problem(f"run_already_{state}", "query_run_id", str(self))


class IdempotencyInFlight(RequestError):
    """The first request with this key is still in progress; retry in a second."""


class IdempotencyMismatch(RequestError):
    """This idempotency key was used with another method, path or body."""


class TooManyRequests(RequestError):
    """A rate limit of the tenant (on the token endpoint: of the address) is exceeded."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(TooManyRequests):
    """The entity, or its client, has as many runs waiting here as it may (contract F7)."""


class QuotaFull(TooManyRequests):
    """The entity, or its client, keeps as many bytes of statements as it may."""


class Unavailable(RequestError):
    """The node drains, or something that it needs does not respond. Nothing was accepted.

    `cause` says why, where that is known.
    """

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


# --- bad runs -------------------------------------------------------------------------------


class Blame(StrEnum):
    """Who is to blame for a failed run."""

    USER = "user"
    ENGINE = "engine"
    STORAGE = "storage"
    SERVICE = "service"


class FailureCode(StrEnum):
    """Why an attempt failed. The value is what clients read; blame and retry follow from it."""

    SYNTAX_ERROR = "syntax_error"
    NAME_NOT_FOUND = "name_not_found"
    AMBIGUOUS_NAME = "ambiguous_name"
    TYPE_MISMATCH = "type_mismatch"
    NOT_ALLOWED = "not_allowed"
    NOT_SUPPORTED = "not_supported"
    INVALID_VALUE = "invalid_value"
    STATEMENT_FAILED = "statement_failed"
    ROW_LIMIT_EXCEEDED = "row_limit_exceeded"
    MEMORY_LIMIT_EXCEEDED = "memory_limit_exceeded"
    TIME_LIMIT_EXCEEDED = "time_limit_exceeded"
    SIZE_LIMIT_EXCEEDED = "size_limit_exceeded"
    QUOTA_EXCEEDED = "quota_exceeded"
    WORKER_LOST = "worker_lost"
    NODE_LOST = "node_lost"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    DATA_UNREADABLE = "data_unreadable"
    DATA_INVALID = "data_invalid"
    DATA_CHANGED = "data_changed"
    STORAGE_FAILED = "storage_failed"
    STORAGE_FULL = "storage_full"
    INTERNAL_ERROR = "internal_error"

    @property
    def blame(self) -> Blame:
        """Who is to blame."""
        return _KINDS[self][0]

    @property
    def retryable(self) -> bool:
        """Whether another attempt can help. This alone decides retries."""
        return _KINDS[self][1]


_KINDS: dict[FailureCode, tuple[Blame, bool]] = {
    FailureCode.SYNTAX_ERROR: (Blame.USER, False),
    FailureCode.NAME_NOT_FOUND: (Blame.USER, False),
    FailureCode.AMBIGUOUS_NAME: (Blame.USER, False),
    FailureCode.TYPE_MISMATCH: (Blame.USER, False),
    FailureCode.NOT_ALLOWED: (Blame.USER, False),
    FailureCode.NOT_SUPPORTED: (Blame.USER, False),
    FailureCode.INVALID_VALUE: (Blame.USER, False),
    FailureCode.STATEMENT_FAILED: (Blame.USER, False),
    FailureCode.ROW_LIMIT_EXCEEDED: (Blame.USER, False),
    FailureCode.MEMORY_LIMIT_EXCEEDED: (Blame.USER, False),
    FailureCode.TIME_LIMIT_EXCEEDED: (Blame.USER, False),
    FailureCode.SIZE_LIMIT_EXCEEDED: (Blame.USER, False),
    FailureCode.QUOTA_EXCEEDED: (Blame.USER, False),
    FailureCode.WORKER_LOST: (Blame.ENGINE, True),
    FailureCode.NODE_LOST: (Blame.SERVICE, True),
    FailureCode.ENGINE_UNAVAILABLE: (Blame.ENGINE, True),
    FailureCode.DATA_UNREADABLE: (Blame.ENGINE, True),
    FailureCode.DATA_INVALID: (Blame.USER, False),
    FailureCode.DATA_CHANGED: (Blame.ENGINE, True),
    FailureCode.STORAGE_FAILED: (Blame.STORAGE, True),
    FailureCode.STORAGE_FULL: (Blame.STORAGE, True),
    FailureCode.INTERNAL_ERROR: (Blame.SERVICE, False),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, as it is stored and returned.

    `line` and `column` count from 1 in the statement as submitted; both or neither are set.
    `message` is for the caller: it may name columns and tables, never a path of the node.
    """

    code: FailureCode
    message: str
    line: int | None = None
    column: int | None = None


class RunFailed(QueryrunError):
    """An attempt failed. Raised in the worker and in the attempt, never by a request."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code.value)
        self.failure = failure

    @classmethod
    def of(cls, code: FailureCode, message: str) -> RunFailed:
        """A failure without a position in the statement."""
        return cls(Failure(code, message))


# --- races and settings ---------------------------------------------------------------------


class LostRace(QueryrunError):
    """A write was fenced off: the run has changed its state, or has a later attempt.

    Nothing was written. The caller must release what it holds for this attempt (worker, file) and
    must not retry.
    """


class ConfigurationError(QueryrunError):
    """Invalid settings. Raised at start, and names the setting."""

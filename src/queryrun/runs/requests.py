"""The AsyncRequestStore protocol: requests with `async: true` (contract C8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from queryrun.runs.model import StoredAnswer


class RequestState(StrEnum):
    """How far an asynchronous request has come; the contract's words."""

    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request that was answered with nothing but its id."""

    id: str
    tenant_id: str
    client_id: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """How it went: the answer a synchronous caller would have had, and the run, if there is one."""

    state: RequestState
    answer: StoredAnswer
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class AsyncRequest:
    """A request as last written. `outcome` and `completed_time` are empty while in progress."""

    request: NewRequest
    created_time: datetime
    completed_time: datetime | None = None
    outcome: RequestOutcome | None = None

    @property
    def state(self) -> RequestState:
        """`in_progress` until there is an outcome, then what that says."""
        return self.outcome.state if self.outcome else RequestState.IN_PROGRESS


class AsyncRequestStore(Protocol):
    """What became of asynchronous requests. Does not run them, nor know whether anyone does."""

    async def begin_request(self, request: NewRequest) -> AsyncRequest:
        """Write it, in progress; durable before this returns. The id must be new."""
        ...

    async def finish_request(self, request_id: str, outcome: RequestOutcome) -> bool:
        """Write its outcome, durably. False, and nothing written, when unknown or finished."""
        ...

    async def get_request(self, request_id: str) -> AsyncRequest | None:
        """The request as last written, or None. Knows nothing of who may see it."""
        ...

    async def remove_expired_requests(self, *, created_before: datetime) -> int:
        """Forget requests begun before that time, finished or not; how many."""
        ...

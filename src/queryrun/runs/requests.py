"""The AsyncRequestStore protocol: requests whose outcome is read later (contract C8).

The request (`operation`) and its response (`response`) are opaque here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class RequestState(StrEnum):
    """The state of an asynchronous request; the contract's words."""

    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request whose caller got only its id so far."""

    id: str
    tenant_id: str
    entity_id: str
    client_id: str
    operation: str
    run_id: str
    """The id of the run, as the caller sent it. There may be no such run."""
    track_id: str = ""
    """What the caller named the request."""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """The final state, and the response that a synchronous caller would have received."""

    state: RequestState
    response: bytes
    callout: str | None = None
    """What callouts are told of it, as JSON (contract C8). None: they have been told."""


@dataclass(frozen=True, slots=True)
class AsyncRequest:
    """A request as last written. `outcome` and `completed_time` are None while in progress."""

    request: NewRequest
    created_time: datetime
    completed_time: datetime | None = None
    outcome: RequestOutcome | None = None

    @property
    def state(self) -> RequestState:
        """`in_progress` until there is an outcome, then the state of that."""
        return self.outcome.state if self.outcome else RequestState.IN_PROGRESS


class AsyncRequestStore(Protocol):
    """Records asynchronous requests. It neither runs them nor knows whether anyone does."""

    async def begin_request(self, request: NewRequest) -> AsyncRequest:
        """Write it, in progress; durable before this returns. The id must be new."""
        ...

    async def finish_request(self, request_id: str, outcome: RequestOutcome) -> bool:
        """Write its outcome, durably, and in the same transaction what callouts are told of it.
        False, and nothing written, when unknown or finished."""
        ...

    async def finishable_requests(self, *, limit: int) -> list[AsyncRequest]:
        """Requests in progress whose run is terminal, the oldest first."""
        ...

    async def get_request(self, request_id: str) -> AsyncRequest | None:
        """The request as last written, or None. Does not check who may see it."""
        ...

    async def remove_expired_requests(self, *, created_before: datetime) -> int:
        """Delete requests created before that time, finished or not; returns how many."""
        ...

"""The AsyncRequestStore protocol: requests whose outcome is read later (contract C8).

What was requested (`operation`) and how it was responded to (`response`) are opaque here.
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
    client_id: str
    operation: str
    run_id: str
    """The run that it is about, as the caller named it. There may be no such run."""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What became of it, and the response that a synchronous caller would have had."""

    state: RequestState
    response: bytes


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
        """Write its outcome, durably. False, and nothing written, when unknown or finished."""
        ...

    async def get_request(self, request_id: str) -> AsyncRequest | None:
        """The request as last written, or None. Knows nothing of who may see it."""
        ...

    async def remove_expired_requests(self, *, created_before: datetime) -> int:
        """Delete requests created before that time, finished or not; returns how many."""
        ...

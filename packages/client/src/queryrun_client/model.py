"""What the client's calls take and give: plain, frozen data. No I/O and no wire names here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict

from queryrun_client.errors import UnexpectedAnswer


class State(StrEnum):
    """The states of a run, in the words of v2 (contract B1)."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self in (State.COMPLETE, State.FAILED, State.CANCELED)


OTHER_SPELLINGS = {"cancelled": "canceled", "completed": "complete", "submitted": "pending"}
"""The words of v1, which some v2 servers use too (contract B1)."""


def state_of(word: object) -> State:
    """The state, in either spelling. An unknown word is an error, never 'still running': a
    client that does not know how a run ended must not wait for ever."""
    text = str(word).strip().lower()
    try:
        return State(OTHER_SPELLINGS.get(text, text))
    except ValueError:
        raise UnexpectedAnswer(f"the server says a state that is none: {text[:40]!r}") from None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """The result file of a complete run. The link is signed and expires: treat it as a secret."""

    id: str
    url: str = field(repr=False)
    content_type: str
    size_bytes: int | None = None
    sha256: str | None = None
    """In hexadecimal; None when the server does not say."""


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed. `line` and `column` count from 1 in the statement as submitted."""

    code: str
    message: str
    retryable: bool = False
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as the server last showed it. What a server does not tell is None."""

    id: str
    state: State
    sql: str = field(default="", repr=False)
    source: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    column_separator: str | None = None
    number_of_rows: int | None = None
    """Rows of the file; while running, rows so far where the server tells."""
    percent: float | None = None
    processing_ms: int | None = None
    remaining_attempts: int | None = None
    queue_position: int | None = None
    waiting_for: str | None = None
    created_time: datetime | None = None
    started_time: datetime | None = None
    updated_time: datetime | None = None
    file: FileInfo | None = None
    error: RunError | None = None
    cancellation: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The server's own object, unchanged."""


class SubmitOptions(TypedDict, total=False):
    """What `submit` takes besides the statement."""

    content_type: str
    """json (the default), csv, tsv, dsv; on our own server also parquet and arrow."""
    content_encoding: str
    """none (the default), gzip, zip; on our own server also zstd."""
    column_separator: str
    source: str
    tags: Mapping[str, str]
    timeout_s: float
    encryption_key: str
    """Public key, Base64 or PEM."""
    read_deleted: bool
    idempotency_key: str
    """Yours, when a retry must count across processes; else every submit makes its own."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One statement about to be submitted."""

    sql: str = field(repr=False)
    content_type: str = "json"
    content_encoding: str = "none"
    column_separator: str | None = None
    source: str | None = None
    tags: Mapping[str, str] | None = None
    timeout_s: float | None = None
    encryption_key: str | None = field(default=None, repr=False)
    read_deleted: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to list, newest first. `limit` bounds the whole listing; None lists all."""

    state: State | None = None
    source: str | None = None
    since: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How long the client tries by itself: after no answer, 429, 502, 503, 504 and a 409 that
    asks to come back. Waits double from `first_s` to `most_s`, or are what `Retry-After` says;
    a wait that would pass `budget_s` in sum is not begun."""

    attempts: int = 6
    first_s: float = 0.2
    most_s: float = 10.0
    budget_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """What few callers set. `timeout_s` bounds the wait for one answer (a long poll is allowed
    its wait on top); `token` replaces client id and secret and is never renewed."""

    token: str | None = field(default=None, repr=False)
    entity_id: str | None = None
    private_key: bytes | None = field(default=None, repr=False)
    """PEM; results encrypted to it are decrypted as they are read."""
    private_key_password: bytes | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    retry: Retry = Retry()

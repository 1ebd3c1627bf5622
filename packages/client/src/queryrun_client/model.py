"""Parameters and results of the client's calls: frozen data, without I/O or wire names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypedDict

from queryrun_client.markup import grid_html
from queryrun_client.parameters import Parameters


class State(StrEnum):
    """The states of a run, named as in v2 (contract B1)."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has finished."""
        return self in (State.COMPLETE, State.FAILED, State.CANCELED)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """The result file of a complete run. The URL is signed and expires; treat it as a secret."""

    id: str
    url: str = field(repr=False)
    content_type: str
    size_bytes: int | None = None
    sha256: str | None = None
    """In hexadecimal; None when the server does not report it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result file; `type` as Trino names it, `decimal(18,2)`."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table that statements can read. What the server does not know is None."""

    name: str
    columns: tuple[Column, ...] | None = None
    """None when they could not be read; `problem` says why."""
    problem: str | None = None
    format: str | None = None
    files: int | None = None
    size_bytes: int | None = None
    rows: int | None = None
    version: str | None = None
    """Of a table format with versions: the one that a statement reads now."""
    warnings: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The server's own object, unchanged."""

    def _repr_html_(self) -> str:
        """For notebooks: the columns and their types."""
        columns = [(one.name, one.type) for one in self.columns or ()]
        title = self.name if self.problem is None else f"{self.name}: {self.problem}"
        return grid_html(title, ("column", "type"), columns)


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
    """A run as last read from the server. What the server does not report is None."""

    id: str
    state: State
    sql: str = field(default="", repr=False)
    source: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    column_separator: str | None = None
    number_of_rows: int | None = None
    """Rows of the file; while running, rows so far if the server reports them."""
    percent: float | None = None
    processing_ms: int | None = None
    remaining_attempts: int | None = None
    queue_position: int | None = None
    waiting_for: str | None = None
    created_time: datetime | None = None
    started_time: datetime | None = None
    updated_time: datetime | None = None
    file: FileInfo | None = None
    columns: tuple[Column, ...] | None = None
    """The file's, in its order. None: not complete, or the server does not report them."""
    error: RunError | None = None
    cancellation: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The server's own object, unchanged."""


class SubmitOptions(TypedDict, total=False):
    """The options of `submit`."""

    content_type: str
    """json (the default), csv, tsv, dsv; on our own server also parquet and arrow."""
    content_encoding: str
    """none (the default), gzip, zip; on our own server also zstd."""
    column_separator: str
    source: str
    tags: Mapping[str, str]
    timeout_s: float
    parameters: Parameters
    """Values for `:name` (a mapping) or `?` (a list), bound by type and never put into the text."""
    encryption_key: str
    """Public key, Base64 or PEM."""
    read_deleted: bool
    notify_url: str
    """Where the server sends the run's events."""
    cancel_on_disconnect_s: float
    """The server cancels the run when nobody has waited for it or read it for so long."""
    keep: bool
    """The run goes on whoever leaves, also with `cancel_on_disconnect_s`."""
    idempotency_key: str
    """Set it to retry from another process; by default every submit makes its own."""


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
    notify_url: str | None = None
    cancel_on_disconnect_s: float | None = None
    keep: bool = False
    idempotency_key: str | None = None
    parameters: Parameters | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TableEstimate:
    """What a statement would read of a table. What nobody knows is None."""

    name: str
    columns: tuple[str, ...] | None = None
    files: int | None = None
    all_files: int | None = None
    partitions: int | None = None
    all_partitions: int | None = None
    bytes_read: int | None = None
    rows_read: int | None = None
    certainty: str = "unknown"


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would read, and whether it would be refused. No run was made.

    `error`: how it would fail at once. `refused_by`: the limit that would refuse it, as the server
    describes it. `certainty`: exact, upper_bound, estimated or unknown.
    """

    source: str
    error: RunError | None = None
    columns: tuple[Column, ...] | None = None
    bytes_read: int | None = None
    rows_read: int | None = None
    certainty: str = "unknown"
    refused_by: Mapping[str, Any] | None = None
    tables: tuple[TableEstimate, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The server's own object, unchanged."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to list, newest first. `limit` bounds the whole listing; None lists all.

    `ValueError` for a negative limit: -1 may be meant as all, and would list nothing.
    """

    state: State | str | None = None
    source: str | None = None
    since: datetime | None = None
    limit: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Runs that have all of them."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 0:
            raise ValueError(f"limit is {self.limit}: give 0 or more runs, or None for all")


class RunFilters(TypedDict, total=False):
    """The fields of `RunQuery`, as keywords of `runs`."""

    state: State | str | None
    source: str | None
    since: datetime | None
    limit: int | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Retry:
    """When the client retries: after no response, 429, 502, 503, 504, and 409 with `Retry-After`.

    Delays double from `first_delay_s` to `max_delay_s`, unless the server sends `Retry-After`.
    The client stops after `attempts` attempts, or before the delays add up to more than
    `budget_s` seconds.
    """

    attempts: int = 6
    first_delay_s: float = 0.2
    max_delay_s: float = 10.0
    budget_s: float = 60.0


class TokenStore(Protocol):
    """Keeps tokens between processes. `tokens.TokenFile` does, in a file of the user."""

    def find(self, key: str) -> KeptToken | None:
        """The token that is kept for this key, unless it is about to expire."""
        ...

    def keep(self, key: str, token: str, lifetime_s: float) -> None:
        """Keep a token for so many seconds."""
        ...

    def drop(self, key: str, token: str) -> None:
        """Forget a token that was refused."""
        ...


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token, and when to stop using it: seconds since 1970 by this machine's clock."""

    token: str = field(repr=False)
    renew_at_s: float


@dataclass(frozen=True, slots=True)
class Options:
    """Rarely needed options of a client.

    `timeout_s` bounds one response; a long poll adds its wait. `token` replaces client id and
    secret and is never renewed.
    """

    token: str | None = field(default=None, repr=False)
    entity_id: str | None = None
    private_key: bytes | None = field(default=None, repr=False)
    """PEM, or an age identity; results encrypted to it are decrypted as they are read."""
    private_key_password: bytes | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    retry: Retry = Retry()
    tokens: TokenStore | None = None
    """Where tokens are kept between processes; None asks for a new one."""
    on_wait: Callable[[str, float], object] | None = None
    """Called before a retry with the reason and the seconds until then; its result is ignored."""

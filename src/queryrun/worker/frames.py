"""The protocol between a node and a worker (`processes/frames.py` has the wire format).

The node sends:     WorkerConfig, (Execute, (ExtendLease | Signed | Copied | Interrupt)*)*
The worker sends:   Ready, (Stage* | Progress* | Sign* | NeedCopies*,
                            InternalError?, Done | Failed, Ready?)*

A configured worker serves one entity of one source for the rest of its life. After a clean
`Done` or `Failed` it opens a fresh engine session, sends `Ready` and may serve again.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from queryrun.engines.base import Count, TableRead
from queryrun.engines.source_spec import SourceSpec
from queryrun.processes.frames import Frame
from queryrun.sql.parameters import Parameter
from queryrun.tables.text.requests import CopiesMade, CopiesRequest

# --- node to worker -------------------------------------------------------------------------


class ResultsSpec(msgspec.Struct, frozen=True):
    """Where the worker writes result files.

    For `local` the option `directory` is the directory of results in a node; in a worker it is the
    worker's own outbox there. For `s3` it has no credentials: the node signs its requests (`Sign`).
    """

    kind: Literal["local", "s3"]
    options: dict[str, str]


class WorkerConfig(Frame, frozen=True, tag="config"):
    """What the worker may read, write and use for the rest of its life. Sent once, first."""

    entity_id: str
    source: SourceSpec
    results: ResultsSpec
    memory_bytes: int
    threads: int
    spill_dir: str
    spill_bytes: int
    time_zone: str = "UTC"


class Execute(Frame, frozen=True, tag="execute"):
    """Run this statement and commit its result under `file_key`."""

    run_id: str
    attempt: int
    sql: str
    file_key: str
    content_type: str
    content_encoding: str
    column_separator: str | None
    encryption_key: str | None
    row_limit: int
    """Rows a result may have; one more fails the run. 0: no limit."""
    size_limit_bytes: int
    """Bytes a result file may have; 0: no limit."""
    deleted_rows: str = "exclude"
    """`exclude`, `include` or `only` (contract F3)."""
    marks_deleted: bool = False
    """Whether a column `deleted` marks them in every table of the source."""
    org_column: str = ""
    org_ids: tuple[str, ...] = ()
    """Of tables with that column, only rows of these orgs; empty: no restriction."""
    parameters: tuple[Parameter, ...] = ()
    """The values of `?` and `:name` in the statement."""
    lease_deadline_s: float = 0.0
    """When the worker exits on its own unless an `ExtendLease` moves that; 0: never. On the
    monotonic clock, which all processes of a machine share."""
    traceparent: str = ""
    """The span of the engine's work, for an engine that can be told; empty: there is none."""


class ExtendLease(Frame, frozen=True, tag="extend_lease"):
    """The running statement may continue until then. Ignored when none runs."""

    deadline_s: float


class Signed(Frame, frozen=True, tag="signed"):
    """The response to the `Sign` of this number: the headers to send."""

    number: int
    headers: dict[str, str]


class Copied(Frame, frozen=True, tag="copied"):
    """The response to `NeedCopies`."""

    made: CopiesMade


class Interrupt(Frame, frozen=True, tag="interrupt"):
    """Stop the statement, repeating the interrupt until the engine reacts, then exit."""


class RelayConfig(Frame, frozen=True, tag="relay"):
    """What a worker may reach, for its relay: the source with its secret, and the store. Sent once,
    after the socket that the worker asks over."""

    source: SourceSpec
    results: ResultsSpec


# --- worker to node -------------------------------------------------------------------------
# A node reads them from a process that may have been taken over. What is beyond a bound ends it.

MAX_STEPS, MAX_STEP_CHARS = 100, 500
_Step = Annotated[str, msgspec.Meta(max_length=MAX_STEP_CHARS)]


class Ready(Frame, frozen=True, tag="ready"):
    """A session is open; the next `Execute` starts at once."""


class StageReached(Frame, frozen=True, tag="stage"):
    """The attempt has reached this stage (the values of `runs.model.Stage`)."""

    stage: str


MAX_TABLES = 100
"""Whose reads are told one by one; the sums are of all."""


class Used(msgspec.Struct, frozen=True):
    """What a statement has used: of this process, and what its engine counted (`EngineUsage`)."""

    cpu_ms: Count = 0
    peak_memory_bytes: Count = 0
    read_bytes: Count | None = None
    read_rows: Count | None = None
    spilled_bytes: Count | None = None
    tables: Annotated[tuple[TableRead, ...], msgspec.Meta(max_length=MAX_TABLES)] = ()
    """The first `MAX_TABLES` of what was read, by table."""


class Progress(Frame, frozen=True, tag="progress"):
    """Its progress; sent a few times a second while the statement runs."""

    percent: float | None
    rows: Count
    size_bytes: Count
    cpu_ms: Count = 0
    peak_memory_bytes: Count = 0
    read_bytes: Count = 0
    """At least so many; what the engine counts is known at the end."""
    spilled_bytes: Count = 0


class Sign(Frame, frozen=True, tag="sign"):
    """A request to the store of results that the node is asked to sign (`sigv4.UnsignedRequest`).

    Only those that write the running statement's own file are signed; for any other the node kills
    the worker.
    """

    number: int
    method: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    payload_sha256: str
    offset_s: float = 0.0
    """By how much the store's clock is ahead of the node's, as the store says."""


class NeedCopies(Frame, frozen=True, tag="need_copies"):
    """The running statement reads text files that are to be converted: a worker may not write where
    copies are kept. One request at a time; for any other the node kills the worker."""

    request: CopiesRequest


class Done(Frame, frozen=True, tag="done"):
    """The file is whole and durable. A local one is in the outbox: the node takes it from there."""

    rows: Count
    size_bytes: Count
    sha256: Annotated[str, msgspec.Meta(max_length=64)]
    columns: tuple[tuple[str, str], ...] = ()
    """Names and Trino types of the file's columns."""
    used: Used | None = None


class Failed(Frame, frozen=True, tag="failed"):
    """The attempt failed, and nothing is left under its key. `code` is a `FailureCode`.

    `interrupted`: an `Interrupt` stopped the statement; the worker exits after this frame.
    """

    code: str
    message: str
    line: Count | None = None
    column: Count | None = None
    interrupted: bool = False
    used: Used | None = None


class InternalError(Frame, frozen=True, tag="internal_error"):
    """An internal error, for the log only. Never contains a message, which may contain SQL."""

    exception: _Step
    """The type's name."""
    traceback: Annotated[tuple[_Step, ...], msgspec.Meta(max_length=MAX_STEPS)]
    """`module:line function` of our own code, innermost last."""


ToWorker = WorkerConfig | Execute | ExtendLease | Signed | Copied | Interrupt
FromWorker = Ready | StageReached | Progress | Sign | NeedCopies | Done | Failed | InternalError

_to_worker = msgspec.msgpack.Decoder(ToWorker)
_from_worker = msgspec.msgpack.Decoder(FromWorker)


def decode_to_worker(body: bytes) -> ToWorker:
    """A frame's body as a worker reads it. Raises `msgspec.DecodeError` for anything else."""
    frame: ToWorker = _to_worker.decode(body)
    return frame


def decode_from_worker(body: bytes) -> FromWorker:
    """A frame's body as a node reads it. Raises `msgspec.DecodeError` for anything else."""
    frame: FromWorker = _from_worker.decode(body)
    return frame

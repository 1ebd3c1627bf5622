"""Every field of a run: one entry, from which everything that lists fields is derived.

From this table come the column lists, inserts and the mapping between rows and records of both
stores, and the names that callers may request and filter by, with their kinds and descriptions.
A new field that is stored needs its attribute in `model.py`, its entry here, its column in the
first migration of each database, and the code that sets it.

The fields of a run are rendered in this order. It may differ from that of the tables' columns,
which are always named.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from queryrun.errors import FailureCode
from queryrun.results.formats import ContentEncoding, ContentType, format_names, names_of
from queryrun.runs.model import DeletedRows, EngineStop, Stage, StopReason
from queryrun.runs.state import RunEvent, RunState


class FieldKind(Enum):
    """The type of a field's value in the record."""

    TEXT = auto()
    """`str`, or the enumeration in `choices`."""
    INTEGER = auto()
    NUMBER = auto()
    TIME = auto()
    """`datetime` in UTC; a column keeps whole milliseconds since 1970."""
    WORDS = auto()
    """Tuple of `str`; a column keeps JSON."""
    PAIRS = auto()
    """Tuple of pairs of `str`; a column keeps JSON."""
    PARAMETERS = auto()
    """Tuple of `Parameter`; a column keeps JSON."""
    RECORD = auto()
    """A nested record, or a list of them. Its parts are fields too, if they are stored."""


class Visibility(Enum):
    """Who can read a field."""

    DEFAULT = auto()
    """Every caller that may read the run."""
    ON_REQUEST = auto()
    """The same callers, if they name it."""
    WITH_OTHERS = auto()
    """The same callers, if they name it together with a field that is `ON_REQUEST`. Its name alone
    does not say that the caller knows our extensions (contract H10)."""
    INTERNAL = auto()
    """No caller, under this name."""


class Table(StrEnum):
    """Where a field is stored."""

    RUNS = "runs"
    """Rewritten as a whole at every change of the run, so only short or changing fields."""
    RUN_REQUESTS = "run_requests"
    """Written once."""


@dataclass(frozen=True, slots=True)
class RunField:
    """One field. `name` is unique and appears in the API."""

    name: str
    kind: FieldKind
    attribute: str = ""
    """The attribute path of the value from a `Run`. Empty: it is computed when requested."""
    column: str = ""
    """The column that stores it; empty when it is not stored as such."""
    table: Table = Table.RUNS
    set_by: RunEvent | None = None
    """The event that sets the column together with the state. None: the creation, or a statement
    that names the column itself."""
    choices: type[StrEnum] | None = None
    visibility: Visibility = Visibility.INTERNAL
    filterable: bool = False
    description: str = ""
    """For callers, in one or two sentences."""


_TEXT, _INTEGER, _NUMBER = FieldKind.TEXT, FieldKind.INTEGER, FieldKind.NUMBER
_TIME, _RECORD = FieldKind.TIME, FieldKind.RECORD
_DEFAULT, _ON_REQUEST = Visibility.DEFAULT, Visibility.ON_REQUEST
_REQUESTS = Table.RUN_REQUESTS
_SEPARATED = names_of(format_names(lambda spec: spec.needs_separator))

_VISIBLE = (
    # --- the contract's, in its order (contract A5) -----------------------------------------
    RunField(
        "created_by_id", _TEXT, "request.client_id", "client_id",
        visibility=_DEFAULT, filterable=True,
        description="The client that created the run.",
    ),
    RunField(
        "id", _TEXT, "id", "id",
        visibility=_DEFAULT, filterable=True,
        description="The run's id.",
    ),
    RunField(
        "sql", _TEXT, "request.sql", "sql", _REQUESTS,
        visibility=_DEFAULT, filterable=True,
        description="The statement, as submitted.",
    ),
    RunField(
        "remaining_attempts", _INTEGER, "remaining_attempts", "remaining_attempts",
        visibility=_DEFAULT, filterable=True,
        description="Retries left before the run fails.",
    ),
    RunField(
        "updated_time", _TIME, "updated_time", "updated_ms",
        visibility=_DEFAULT, filterable=True,
        description="When the run changed last.",
    ),
    RunField(
        "file", _RECORD, "file",
        visibility=_DEFAULT,
        description="The result file. Complete runs only.",
    ),
    RunField(
        "number_of_rows", _INTEGER, "file.rows", "file_rows", set_by=RunEvent.COMPLETE,
        visibility=_DEFAULT, filterable=True,
        description="Rows in the file. Complete runs only.",
    ),
    RunField(
        "processing_duration", _INTEGER, "processing_ms", "processing_ms",
        set_by=RunEvent.COMPLETE, visibility=_DEFAULT, filterable=True,
        description="Milliseconds. Complete runs only.",
    ),
    RunField(
        "state", _TEXT, "state", "state", choices=RunState,
        visibility=_DEFAULT, filterable=True,
        description="`canceled` means that nothing of the run is running any more.",
    ),
    RunField(
        "column_separator", _TEXT, "request.output.column_separator", "column_separator",
        _REQUESTS, visibility=_DEFAULT, filterable=True,
        description=f"Of a file in {_SEPARATED}.",
    ),
    # --- ours (contract H10) ----------------------------------------------------------------
    RunField(
        "error", _RECORD, "failure",
        visibility=_ON_REQUEST,
        description="Why the run failed. Failed runs only.",
    ),
    RunField(
        "created_time", _TIME, "created_time", "created_ms",
        visibility=Visibility.WITH_OTHERS, filterable=True,
        description="When the run was accepted.",
    ),
    RunField(
        "started_time", _TIME, "started_time", "started_ms", set_by=RunEvent.CLAIM,
        visibility=_ON_REQUEST, filterable=True,
        description="When the newest attempt started.",
    ),
    RunField(
        "queue_position", _INTEGER,
        visibility=_ON_REQUEST,
        description="Runs of the entity that wait before this one.",
    ),
    RunField(
        "waiting_for", _TEXT,
        visibility=_ON_REQUEST,
        description="What a waiting run waits for: `source` (its engine is not available), `slot` "
        "(a free slot), `turn` (runs of its entity that are before it), `retry` (the pause before "
        "another attempt).",
    ),
    RunField(
        "progress", _RECORD,
        visibility=_ON_REQUEST,
        description="How far the run is.",
    ),
    RunField(
        "cancellation", _RECORD, "cancellation",
        visibility=_ON_REQUEST,
        description="The record of a cancel, or of a stop for a limit.",
    ),
    RunField(
        "attempts", _RECORD,
        visibility=_ON_REQUEST,
        description="The run's attempts, oldest first.",
    ),
    RunField(
        "usage", _RECORD,
        visibility=_ON_REQUEST,
        description="What the run's attempts that have ended have used, and its downloads.",
    ),
    RunField(
        "tags", FieldKind.PAIRS, "request.tags", "tags", _REQUESTS,
        visibility=_ON_REQUEST,
        description="Names and values that the submitter gave it.",
    ),
    RunField(
        "parameters", FieldKind.PARAMETERS, "request.parameters", "parameters", _REQUESTS,
        visibility=_ON_REQUEST,
        description="The values of `?` and `:name` in the statement, as submitted.",
    ),
    RunField(
        "source", _TEXT, "request.source", "source",
        visibility=_ON_REQUEST, filterable=True,
        description="Where it runs.",
    ),
    RunField(
        "columns", FieldKind.PAIRS, "file.columns", "file_columns", set_by=RunEvent.COMPLETE,
        visibility=_ON_REQUEST,
        description="The file's columns, in its order, with their types as Trino names them. "
        "Complete runs only; absent where they would take more than 64 KiB.",
    ),
    RunField(
        "timeout_seconds", _NUMBER, "request.timeout_s", "timeout_s", _REQUESTS,
        visibility=_ON_REQUEST,
        description="The run's own time limit.",
    ),
    RunField(
        "notify_url", _TEXT, "request.notify_url", "notify_url", _REQUESTS,
        visibility=_ON_REQUEST,
        description="Where events of the run are sent.",
    ),
    RunField(
        "cancel_on_disconnect", _NUMBER, "request.cancel_on_disconnect_s",
        "cancel_on_disconnect_s", _REQUESTS,
        visibility=_ON_REQUEST,
        description="Seconds without a listener after which the run is canceled.",
    ),
    RunField(
        "content_type", _TEXT, "request.output.content_type", "content_type", _REQUESTS,
        choices=ContentType, visibility=_ON_REQUEST,
        description="The format of the file.",
    ),
    RunField(
        "content_encoding", _TEXT, "request.output.content_encoding", "content_encoding",
        _REQUESTS, choices=ContentEncoding, visibility=_ON_REQUEST,
        description="The compression of the file.",
    ),
    RunField(
        "read_deleted", _TEXT, "request.deleted_rows", "deleted_rows", _REQUESTS,
        choices=DeletedRows, visibility=_ON_REQUEST,
        description="Whether deleted rows are read.",
    ),
)  # fmt: skip

_FILE_PARTS = (
    RunField(
        "file.size", _INTEGER, "file.size_bytes", "file_size_bytes", set_by=RunEvent.COMPLETE,
        visibility=_ON_REQUEST,
        description="Bytes of the file.",
    ),
    RunField(
        "file.sha256", _TEXT, "file.sha256", "file_sha256", set_by=RunEvent.COMPLETE,
        visibility=_ON_REQUEST,
        description="SHA-256 of the file, in hex.",
    ),
)  # fmt: skip
"""Keys of `file` that a caller names in full: its other keys are the contract's."""

_INTERNAL = (
    RunField("tenant_id", _TEXT, "request.tenant_id", "tenant_id"),
    RunField("entity_id", _TEXT, "request.entity_id", "entity_id"),
    RunField("attempt", _INTEGER, "attempt", "attempt"),
    RunField("ready_time", _TIME, "ready_time", "ready_ms"),
    RunField(
        "encryption_key", _TEXT, "request.output.encryption_key", "encryption_key", _REQUESTS
    ),
    RunField("max_retries", _INTEGER, "request.max_retries", "max_retries", _REQUESTS),
    RunField("org_ids", FieldKind.WORDS, "request.org_ids", "org_ids", _REQUESTS),
    RunField("extras", FieldKind.PAIRS, "request.extras", "extras", _REQUESTS),
    RunField("traceparent", _TEXT, "request.traceparent", "traceparent", _REQUESTS),
    RunField("file_key", _TEXT, "file.key", "file_key", set_by=RunEvent.COMPLETE),
    RunField(
        "failure_code", _TEXT, "failure.code", "failure_code",
        set_by=RunEvent.FAIL, choices=FailureCode,
    ),
    RunField("failure_message", _TEXT, "failure.message", "failure_message", set_by=RunEvent.FAIL),
    RunField("failure_line", _INTEGER, "failure.line", "failure_line", set_by=RunEvent.FAIL),
    RunField("failure_column", _INTEGER, "failure.column", "failure_column", set_by=RunEvent.FAIL),
    RunField(
        "cancel_requested_time", _TIME, "cancellation.requested_time", "cancel_requested_ms",
        set_by=RunEvent.FAIL,
    ),
    RunField(
        "cancel_reason", _TEXT, "cancellation.reason", "cancel_reason",
        set_by=RunEvent.FAIL, choices=StopReason,
    ),
    RunField(
        "canceled_by", _TEXT, "cancellation.canceled_by", "canceled_by", set_by=RunEvent.FAIL
    ),
    RunField(
        "cancel_stage", _TEXT, "cancellation.stage", "cancel_stage",
        set_by=RunEvent.FAIL, choices=Stage,
    ),
    RunField(
        "cancel_engine_stop", _TEXT, "cancellation.engine_stop", "cancel_engine_stop",
        set_by=RunEvent.FAIL, choices=EngineStop,
    ),
    RunField(
        "cancel_steps", FieldKind.PAIRS, "cancellation.steps", "cancel_steps",
        set_by=RunEvent.FAIL,
    ),
    RunField(
        "canceled_time", _TIME, "cancellation.canceled_time", "canceled_ms", set_by=RunEvent.FAIL
    ),
)  # fmt: skip

RUN_FIELDS: tuple[RunField, ...] = _VISIBLE + _FILE_PARTS + _INTERNAL
"""All of them."""

STORED_FIELDS: tuple[RunField, ...] = tuple(field for field in RUN_FIELDS if field.column)
"""Those with a column, in the order in which both stores read them."""


def visible_fields(*visibilities: Visibility) -> tuple[RunField, ...]:
    """The fields of these visibilities, in the order of rendering."""
    return tuple(field for field in RUN_FIELDS if field.visibility in visibilities)

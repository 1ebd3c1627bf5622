"""A run as v2 renders it: one table from field to value (contract A5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from queryrun.errors import Failure
from queryrun.http.links import Links
from queryrun.http.times import iso
from queryrun.http.v2.fields import DEFAULT_FIELDS
from queryrun.http.v2.view import View
from queryrun.runs.model import (
    AttemptProgress,
    Cancellation,
    DeletedRows,
    Run,
)
from queryrun.runs.state import RunState

ABSENT = object()
"""A field that this run does not have (yet): its key is left out."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Extras:
    """What extension fields need in addition to the run; read only when requested."""

    queue_position: int | None = None
    waiting_for: str | None = None
    progress: AttemptProgress | None = None
    attempts: tuple[dict[str, object], ...] = ()


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run and what rendering it needs."""

    run: Run
    links: Links
    extras: Extras = NO_EXTRAS
    with_file_size: bool = False
    """`fields[]` named `file`: its size and checksum are included."""


def encode_run(details: RunDetails, view: View) -> bytes:
    """The run's JSON body."""
    return _encode(run_object(details, view))


def run_object(details: RunDetails, view: View) -> dict[str, object]:
    """The fields that the view names, as plain data, always in the table's order."""
    named = view.fields
    names = DEFAULT_FIELDS if named is None else [name for name in FIELDS if name in named]
    content = {name: FIELDS[name](details) for name in names}
    return {name: value for name, value in content.items() if value is not ABSENT}


def _if_set(value: object) -> object:
    return ABSENT if value is None else value


def _time(time: datetime | None) -> object:
    return ABSENT if time is None else iso(time)


def _file(details: RunDetails) -> object:
    run = details.run
    if run.file is None:
        return ABSENT
    content: dict[str, object] = {
        "id": run.file.key.rpartition("/")[2],
        "url": details.links.to(run.file.key),
        "content_type": run.request.output.content_type.value,
        "type": "query_run",
    }
    if details.with_file_size:
        content |= {"size": run.file.size_bytes, "sha256": run.file.sha256}
    return content


def _rows(details: RunDetails) -> object:
    return ABSENT if details.run.file is None else details.run.file.rows


def _duration(details: RunDetails) -> object:
    return _if_set(details.run.processing_ms if details.run.state is RunState.COMPLETE else None)


def _error(details: RunDetails) -> object:
    failure = details.run.failure
    if failure is None or details.run.state is not RunState.FAILED:
        return ABSENT
    return failure_object(failure)


def failure_object(failure: Failure) -> dict[str, object]:
    """Why a run failed (contract H10); line and column count from 1 in the statement as sent."""
    content: dict[str, object] = {
        "code": failure.code.value,
        "message": failure.message,
        "retryable": failure.code.retryable,
    }
    if failure.line is not None:
        content |= {"line": failure.line, "column": failure.column}
    return content


def _progress(details: RunDetails) -> object:
    """How far the run is; of a complete one, all of it."""
    file = details.run.file
    if file is not None:
        return {"percent": 100.0, "rows": file.rows, "size_bytes": file.size_bytes}
    progress = details.extras.progress
    return ABSENT if progress is None else progress_object(progress)


def progress_object(progress: AttemptProgress) -> dict[str, object]:
    """An attempt's progress; `percent` is null while the engine has no estimate."""
    return {
        "percent": progress.percent,
        "rows": progress.rows,
        "size_bytes": progress.size_bytes,
        "stage": progress.stage.value,
    }


def _separator(details: RunDetails) -> object:
    output = details.run.request.output
    needs_separator = output.content_type.spec.needs_separator
    return _if_set(output.column_separator if needs_separator else None)


def _cancellation(details: RunDetails) -> object:
    record = details.run.cancellation
    return ABSENT if record is None else cancellation_object(record)


def cancellation_object(record: Cancellation) -> dict[str, object]:
    """The record of a stop (docs/cancel.md#the-record); what is not known yet is left out."""
    content = {
        "requested_time": _time(record.requested_time),
        "canceled_time": _time(record.canceled_time),
        "canceled_by": _if_set(record.canceled_by),
        "reason": record.reason.value,
        "stage": _if_set(record.stage and record.stage.value),
        "engine_stop": _if_set(record.engine_stop and record.engine_stop.value),
    }
    return {name: value for name, value in content.items() if value is not ABSENT}


FIELDS: dict[str, Callable[[RunDetails], object]] = {
    "created_by_id": lambda details: details.run.request.client_id,
    "id": lambda details: details.run.id,
    "sql": lambda details: details.run.request.sql,
    "remaining_attempts": lambda details: details.run.remaining_attempts,
    "updated_time": lambda details: iso(details.run.updated_time),
    "file": _file,
    "number_of_rows": _rows,
    "processing_duration": _duration,
    "state": lambda details: details.run.state.public.value,
    "column_separator": _separator,
    "error": _error,
    "created_time": lambda details: iso(details.run.created_time),
    "started_time": lambda details: _time(details.run.started_time),
    "queue_position": lambda details: _if_set(details.extras.queue_position),
    "waiting_for": lambda details: _if_set(details.extras.waiting_for),
    "progress": _progress,
    "cancellation": _cancellation,
    "attempts": lambda details: list(details.extras.attempts),
    "tags": lambda details: dict(details.run.request.tags),
    "source": lambda details: details.run.request.source,
    "timeout_seconds": lambda details: _if_set(details.run.request.timeout_s),
    "content_type": lambda details: details.run.request.output.content_type.value,
    "content_encoding": lambda details: details.run.request.output.content_encoding.value,
    "read_deleted": lambda details: details.run.request.deleted_rows is not DeletedRows.EXCLUDE,
}
"""Every field of a run."""

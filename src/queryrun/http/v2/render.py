"""A run as v2 shows it: one table from field to value (contract A5). Nothing else makes a body."""

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
    """What extension fields need beyond the run itself; read only when asked for."""

    queue_position: int | None = None
    waiting_for: str | None = None
    progress: AttemptProgress | None = None
    attempts: tuple[dict[str, object], ...] = ()


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class Shown:
    """One run about to be rendered."""

    run: Run
    links: Links
    extras: Extras = NO_EXTRAS
    full_file: bool = False
    """`fields[]` named `file`: its size and checksum come along."""


def render_run(shown: Shown, view: View) -> bytes:
    """The run's JSON body."""
    return _encode(run_object(shown, view))


def run_object(shown: Shown, view: View) -> dict[str, object]:
    """The run as the view wants it, as plain data, always in the table's order."""
    wanted = view.fields
    names = DEFAULT_FIELDS if wanted is None else [name for name in FIELDS if name in wanted]
    found = {name: FIELDS[name](shown) for name in names}
    return {name: value for name, value in found.items() if value is not ABSENT}


def _if_set(value: object) -> object:
    return ABSENT if value is None else value


def _time(time: datetime | None) -> object:
    return ABSENT if time is None else iso(time)


def _file(shown: Shown) -> object:
    run = shown.run
    if run.file is None:
        return ABSENT
    shape: dict[str, object] = {
        "id": run.file.key.rpartition("/")[2],
        "url": shown.links.to(run.file.key),
        "content_type": run.request.output.content_type.value,
        "type": "query_run",
    }
    if shown.full_file:
        shape |= {"size": run.file.size_bytes, "sha256": run.file.sha256}
    return shape


def _rows(shown: Shown) -> object:
    return ABSENT if shown.run.file is None else shown.run.file.rows


def _duration(shown: Shown) -> object:
    return _if_set(shown.run.processing_ms if shown.run.state is RunState.COMPLETE else None)


def _error(shown: Shown) -> object:
    failure = shown.run.failure
    if failure is None or shown.run.state is not RunState.FAILED:
        return ABSENT
    return failure_object(failure)


def failure_object(failure: Failure) -> dict[str, object]:
    """Why a run failed (contract H10); line and column count from 1 in the statement as sent."""
    shape: dict[str, object] = {
        "code": failure.code.value,
        "message": failure.message,
        "retryable": failure.code.retryable,
    }
    if failure.line is not None:
        shape |= {"line": failure.line, "column": failure.column}
    return shape


def _progress(shown: Shown) -> object:
    """How far the run is; of a complete one, all of it."""
    file = shown.run.file
    if file is not None:
        return {"percent": 100.0, "rows": file.rows, "size_bytes": file.size_bytes}
    progress = shown.extras.progress
    return ABSENT if progress is None else progress_object(progress)


def progress_object(progress: AttemptProgress) -> dict[str, object]:
    """An attempt's progress; `percent` is null while the engine has no estimate."""
    return {
        "percent": progress.percent,
        "rows": progress.rows,
        "size_bytes": progress.size_bytes,
        "stage": progress.stage.value,
    }


def _separator(shown: Shown) -> object:
    output = shown.run.request.output
    needs_separator = output.content_type.spec.needs_separator
    return _if_set(output.column_separator if needs_separator else None)


def _cancellation(shown: Shown) -> object:
    record = shown.run.cancellation
    return ABSENT if record is None else cancellation_object(record)


def cancellation_object(record: Cancellation) -> dict[str, object]:
    """The record of a stop (docs/cancel.md#the-record); what is not known yet is left out."""
    shape = {
        "requested_time": _time(record.requested_time),
        "canceled_time": _time(record.canceled_time),
        "canceled_by": _if_set(record.canceled_by),
        "reason": record.reason.value,
        "stage": _if_set(record.stage and record.stage.value),
        "engine_stop": _if_set(record.engine_stop and record.engine_stop.value),
    }
    return {name: value for name, value in shape.items() if value is not ABSENT}


FIELDS: dict[str, Callable[[Shown], object]] = {
    "created_by_id": lambda shown: shown.run.request.client_id,
    "id": lambda shown: shown.run.id,
    "sql": lambda shown: shown.run.request.sql,
    "remaining_attempts": lambda shown: shown.run.remaining_attempts,
    "updated_time": lambda shown: iso(shown.run.updated_time),
    "file": _file,
    "number_of_rows": _rows,
    "processing_duration": _duration,
    "state": lambda shown: shown.run.state.shown.value,
    "column_separator": _separator,
    "error": _error,
    "created_time": lambda shown: iso(shown.run.created_time),
    "started_time": lambda shown: _time(shown.run.started_time),
    "queue_position": lambda shown: _if_set(shown.extras.queue_position),
    "waiting_for": lambda shown: _if_set(shown.extras.waiting_for),
    "progress": _progress,
    "cancellation": _cancellation,
    "attempts": lambda shown: list(shown.extras.attempts),
    "tags": lambda shown: dict(shown.run.request.tags),
    "source": lambda shown: shown.run.request.source,
    "timeout_seconds": lambda shown: _if_set(shown.run.request.timeout_s),
    "content_type": lambda shown: shown.run.request.output.content_type.value,
    "content_encoding": lambda shown: shown.run.request.output.content_encoding.value,
    "read_deleted": lambda shown: shown.run.request.deleted_rows is not DeletedRows.EXCLUDE,
}
"""Every field a run can be shown with."""

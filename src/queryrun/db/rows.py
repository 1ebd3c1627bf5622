"""Rows of `runs`, `run_requests` and `attempts` turned into the records of `runs/model.py`.

Rows are plain tuples: the column lists and the functions that unpack them stand side by side.
Both databases have the same tables and columns, so both use these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from queryrun.db.times import from_ms, from_ms_or_none
from queryrun.errors import Failure, FailureCode
from queryrun.results.formats import ContentEncoding, ContentType
from queryrun.runs.model import (
    Attempt,
    AttemptProgress,
    AttemptRef,
    Cancellation,
    DeletedRows,
    EngineStop,
    Output,
    ResultFile,
    Run,
    RunEventRecord,
    RunRequest,
    Stage,
    StopReason,
)
from queryrun.runs.state import RunEvent, RunState

Row = tuple[Any, ...]

_RUN = (
    "r.seq, r.id, r.state, r.attempt, r.remaining_attempts, r.created_ms, r.updated_ms,"
    " r.ready_ms, r.started_ms, r.processing_ms"
)
_FILE = "r.file_key, r.file_size_bytes, r.file_sha256, r.file_rows"
_FAILURE = "r.failure_code, r.failure_message, r.failure_line, r.failure_column"
_CANCELLATION = (
    "r.cancel_requested_ms, r.cancel_reason, r.canceled_by, r.cancel_stage,"
    " r.cancel_engine_stop, r.canceled_ms"
)
_REQUEST = (
    "r.tenant_id, r.entity_id, r.client_id, r.source, q.sql, q.content_type, q.content_encoding,"
    " q.column_separator, q.encryption_key, q.deleted_rows, q.timeout_s, q.tags, q.org_ids,"
    " q.extras"
)
RUN_COLUMNS = f"{_RUN}, {_FILE}, {_FAILURE}, {_CANCELLATION}, {_REQUEST}"
"""What `stored_run` unpacks; `r` is `runs`, `q` is `run_requests`."""

_RUN_WIDTH = 38

ATTEMPT_COLUMNS = "a.number, a.node, a.lease_until_ms, a.handle, a.file_key"
"""What `attempt_of` unpacks after a run's columns; `a` is `attempts`."""

PROGRESS_COLUMNS = "a.progress_stage, a.progress_percent, a.progress_rows, a.progress_size_bytes"
"""What `progress_of` unpacks."""

_PAIRS = msgspec.json.Decoder(tuple[tuple[str, str], ...])
_WORDS = msgspec.json.Decoder(tuple[str, ...])
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run and what only the store knows of it."""

    seq: int
    updated_ms: int
    run: Run

    def next_ms(self, now_ms: int) -> int:
        """The time of the run's next change: now, yet always after its last change."""
        return max(now_ms, self.updated_ms + 1)


def stored_run(row: Row) -> StoredRun:
    """Unpack `RUN_COLUMNS`; what follows them in the row is ignored."""
    seq, run_id, state, attempt, remaining, created, updated, ready, started, processing = row[:10]
    run = Run(
        id=run_id,
        request=_request(row[24:_RUN_WIDTH]),
        state=RunState(state),
        attempt=attempt,
        remaining_attempts=remaining,
        created_time=from_ms(created),
        updated_time=from_ms(updated),
        ready_time=from_ms(ready),
        started_time=from_ms_or_none(started),
        file=ResultFile(*row[10:14]) if row[10] is not None else None,
        processing_ms=processing,
        failure=_failure(row[14:18]) if row[14] is not None else None,
        cancellation=_cancellation(row[18:24]) if row[18] is not None else None,
    )
    return StoredRun(seq, updated, run)


def attempt_of(row: Row) -> Attempt:
    """Unpack `RUN_COLUMNS` followed by `ATTEMPT_COLUMNS`."""
    run = stored_run(row).run
    number, node, lease_until_ms, handle, file_key = row[_RUN_WIDTH:]
    return Attempt(AttemptRef(run.id, number), run, node, from_ms(lease_until_ms), handle, file_key)


def progress_of(row: Row) -> AttemptProgress:
    """Unpack `PROGRESS_COLUMNS`, of an attempt whose stage is known."""
    stage, percent, rows, size_bytes = row
    return AttemptProgress(Stage(stage), percent, rows, size_bytes)


def progress_values(progress: AttemptProgress | None) -> tuple[object, ...]:
    """What `PROGRESS_COLUMNS` are to hold, in their order; all empty when nothing is known."""
    if progress is None:
        return None, None, None, None
    return progress.stage.value, progress.percent, progress.rows, progress.size_bytes


def event_record_of(run_id: str, row: Row) -> RunEventRecord:
    """Unpack `at_ms, attempt, event, state, detail` of `run_events`."""
    at_ms, attempt, event, state, detail = row
    return RunEventRecord(
        run_id,
        attempt,
        None if event is None else RunEvent(event),
        RunState(state),
        from_ms(at_ms),
        detail,
    )


def request_values(request: RunRequest) -> tuple[object, ...]:
    """A row of `run_requests` without its key, in the table's order."""
    return (
        request.sql,
        request.output.content_type,
        request.output.content_encoding,
        request.output.column_separator,
        request.output.encryption_key,
        request.deleted_rows,
        request.timeout_s,
        json_text(request.tags),
        json_text(request.org_ids),
        json_text(request.extras),
    )


def json_text(items: Sequence[object]) -> str:
    """Compact JSON, as text, for columns that hold short lists."""
    return _JSON.encode(items).decode()


def words(text: str) -> tuple[str, ...]:
    """A list of words kept as JSON."""
    return _WORDS.decode(text)


def _request(columns: Sequence[Any]) -> RunRequest:
    tenant_id, entity_id, client_id, source, sql, content_type, encoding = columns[:7]
    separator, encryption_key, deleted_rows, timeout_s, tags, org_ids, extras = columns[7:]
    return RunRequest(
        tenant_id=tenant_id,
        entity_id=entity_id,
        client_id=client_id,
        source=source,
        sql=sql,
        output=Output(
            ContentType(content_type), ContentEncoding(encoding), separator, encryption_key
        ),
        deleted_rows=DeletedRows(deleted_rows),
        timeout_s=timeout_s,
        tags=_PAIRS.decode(tags),
        org_ids=_WORDS.decode(org_ids),
        extras=_PAIRS.decode(extras),
    )


def _failure(columns: Sequence[Any]) -> Failure:
    code, message, line, column = columns
    return Failure(FailureCode(code), message, line, column)


def _cancellation(columns: Sequence[Any]) -> Cancellation:
    requested_ms, reason, canceled_by, stage, engine_stop, canceled_ms = columns
    return Cancellation(
        requested_time=from_ms(requested_ms),
        reason=StopReason(reason),
        canceled_by=canceled_by,
        stage=None if stage is None else Stage(stage),
        engine_stop=None if engine_stop is None else EngineStop(engine_stop),
        canceled_time=from_ms_or_none(canceled_ms),
    )

"""The records that belong to a run, as plain data (contract A5, H10)."""

from __future__ import annotations

from queryrun.errors import Failure
from queryrun.http.links import Links
from queryrun.http.times import iso
from queryrun.runs.model import AttemptProgress, Cancellation, ResultFile, Run
from queryrun.runs.usage import UsageTotals


def file_object(file: ResultFile, run: Run, links: Links) -> dict[str, object]:
    """A result file and where to download it: the contract's keys."""
    return {
        "id": file.key.rpartition("/")[2],
        "url": links.to(file.key),
        "content_type": run.request.output.content_type.value,
        "type": "query_run",
    }


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


def progress_object(progress: AttemptProgress) -> dict[str, object]:
    """An attempt's progress; `percent` is null while the engine has no estimate."""
    return {
        "percent": progress.percent,
        "rows": progress.rows,
        "size_bytes": progress.size_bytes,
        "stage": progress.stage.value,
    }


def complete_progress(file: ResultFile) -> dict[str, object]:
    """The progress of a complete run: 100 percent."""
    return {"percent": 100.0, "rows": file.rows, "size_bytes": file.size_bytes}


def cancellation_object(record: Cancellation) -> dict[str, object]:
    """The record of a stop (docs/cancel.md#the-record); what is not known yet is left out."""
    content = {
        "requested_time": iso(record.requested_time),
        "canceled_time": record.canceled_time and iso(record.canceled_time),
        "canceled_by": record.canceled_by,
        "reason": record.reason.value,
        "stage": record.stage and record.stage.value,
        "engine_stop": record.engine_stop and record.engine_stop.value,
        "steps": record.steps and [_step_object(*step) for step in record.steps],
    }
    return {name: value for name, value in content.items() if value is not None}


def _step_object(step: str, after_ms: str) -> dict[str, object]:
    return {"step": step, "after_ms": int(after_ms)}


def usage_object(used: UsageTotals) -> dict[str, object]:
    """What attempts have used. Figures are sums, but for the largest peak of memory."""
    return {
        "attempts": sum(one.count for one in used.attempts),
        "attempts_by_cause": [
            {"outcome": one.outcome.value, "cause": one.cause, "count": one.count}
            for one in used.attempts
        ],
        "attempts_not_counted": used.attempts_not_counted,
        **{name: getattr(used, name) for name in USAGE_FIGURES},
    }


def run_usage_object(used: UsageTotals) -> dict[str, object]:
    """What the attempts of one run have used, also by table."""
    tables = [
        {"name": one.name, "read_bytes": one.read_bytes, "read_rows": one.read_rows}
        for one in used.tables
    ]
    return {**usage_object(used), "tables": tables}


USAGE_FIGURES = (
    *("cpu_ms", "wall_ms", "peak_memory_bytes", "read_bytes", "read_rows", "spilled_bytes"),
    *("written_bytes", "result_rows", "downloads", "downloaded_bytes"),
)

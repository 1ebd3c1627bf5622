"""What the stores bind for each change of a run's state."""

from __future__ import annotations

from queryrun.db.rows import Values, event_values, json_text
from queryrun.db.usage_rows import attempt_usage_values
from queryrun.runs.state import RunEvent
from queryrun.runs.store import CancelRequested, Completed, Failed, Freed, Requeued


def complete_values(detail: Completed) -> Values:
    """For `complete`."""
    return {
        **event_values(RunEvent.COMPLETE, detail),
        **attempt_usage_values(detail.usage),
        "detail": None,
    }


def fail_values(detail: Failed) -> Values:
    """For `fail`: the failure and the stop, which the run and its attempt keep alike."""
    return {
        **event_values(RunEvent.FAIL, detail),
        **attempt_usage_values(detail.usage),
        "detail": detail.failure.code,
    }


def requeue_values(detail: Requeued) -> Values:
    """For `requeue`: the attempt keeps the failure and the stop, the run does not."""
    return {
        **event_values(RunEvent.FAIL, detail),
        **attempt_usage_values(detail.usage),
        "delay_ms": round(detail.delay_s * 1000),
        "charge": 1 if detail.charge else 0,
        "detail": detail.failure.code,
    }


def freed_values(detail: Freed) -> Values:
    """For `freed`: the attempt's stop is that of the run, which was recorded before."""
    return {
        **attempt_usage_values(detail.usage),
        "cancel_stage": detail.stage,
        "cancel_engine_stop": detail.engine_stop,
        "cancel_steps": None if detail.steps is None else json_text(detail.steps),
        "detail": detail.engine_stop,
    }


def cancel_values(detail: CancelRequested) -> Values:
    """For `cancel`."""
    return {
        "cancel_reason": detail.reason,
        "canceled_by": detail.canceled_by,
        "detail": detail.reason,
    }

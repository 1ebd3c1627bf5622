"""Who is tried again, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from queryrun.errors import Failure, FailureCode
from queryrun.results.formats import ContentType
from queryrun.runs.model import Output, Run, RunRequest
from queryrun.runs.retry import RetryPolicy, after_failure, on_shutdown
from queryrun.runs.state import RunState
from queryrun.runs.store import Failed, Requeued

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
POLICY = RetryPolicy(first_s=1, factor=4, max_s=10)


def a_run(*, attempt: int = 1, remaining: int = 3) -> Run:
    request = RunRequest("t", "e", "c", "live", "SELECT 1", Output(ContentType.JSON))
    return Run("r", request, RunState.IN_PROGRESS, attempt, remaining, NOW, NOW, NOW)


@pytest.mark.parametrize("code", [code for code in FailureCode if not code.retryable])
def test_a_failure_that_another_attempt_cannot_help_ends_the_run(code: FailureCode) -> None:
    assert isinstance(after_failure(a_run(), Failure(code, "no"), POLICY, NOW), Failed)


@pytest.mark.parametrize("code", [code for code in FailureCode if code.retryable])
def test_a_failure_that_another_attempt_may_help_queues_the_run_and_charges_it(
    code: FailureCode,
) -> None:
    detail = after_failure(a_run(), Failure(code, "lost"), POLICY, NOW)
    assert isinstance(detail, Requeued)
    assert detail.charge


def test_without_retries_left_the_run_fails_and_says_that_every_attempt_failed() -> None:
    run = a_run(attempt=4, remaining=0)
    detail = after_failure(run, Failure(FailureCode.WORKER_LOST, "died"), POLICY, NOW)
    assert isinstance(detail, Failed)
    assert detail.failure.message == "died (all 4 attempts failed; no retries left)"


@pytest.mark.parametrize(("attempt", "delay_s"), [(1, 1), (2, 4), (3, 10), (9, 10)])
def test_the_back_off_grows_up_to_its_bound(attempt: int, delay_s: float) -> None:
    run = a_run(attempt=attempt)
    detail = after_failure(run, Failure(FailureCode.WORKER_LOST, "died"), POLICY, NOW)
    assert isinstance(detail, Requeued)
    assert detail.ready_time == NOW + timedelta(seconds=delay_s)


def test_a_node_that_leaves_queues_the_run_at_once_and_does_not_charge_it() -> None:
    detail = on_shutdown(Failure(FailureCode.NODE_LOST, "bye"), NOW, None)
    assert (detail.ready_time, detail.charge) == (NOW, False)


def test_every_failure_code_says_who_is_to_blame() -> None:
    """A code without an entry would raise here rather than in an attempt at night."""
    assert {code.blame for code in FailureCode}


def test_only_failures_that_are_not_the_users_are_retried() -> None:
    for code in FailureCode:
        assert not (code.retryable and code.blame == "user")


def test_the_record_of_a_failed_run_is_untouched_by_the_decision() -> None:
    run = a_run()
    before = replace(run)
    after_failure(run, Failure(FailureCode.SYNTAX_ERROR, "x"), POLICY, NOW)
    assert run == before

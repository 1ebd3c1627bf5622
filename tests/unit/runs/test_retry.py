"""Which failures are retried, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

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
def test_a_failure_that_is_not_retryable_ends_the_run(code: FailureCode) -> None:
    assert isinstance(after_failure(a_run(), Failure(code, "no"), POLICY), Failed)


@pytest.mark.parametrize("code", [code for code in FailureCode if code.retryable])
def test_a_retryable_failure_requeues_the_run_and_takes_a_retry(
    code: FailureCode,
) -> None:
    detail = after_failure(a_run(), Failure(code, "lost"), POLICY)
    assert isinstance(detail, Requeued)
    assert detail.charge


def test_without_retries_left_the_run_fails_and_reports_that_every_attempt_failed() -> None:
    run = a_run(attempt=4, remaining=0)
    detail = after_failure(run, Failure(FailureCode.WORKER_LOST, "died"), POLICY)
    assert isinstance(detail, Failed)
    assert detail.failure.message == "died (all 4 attempts failed; no retries left)"


@pytest.mark.parametrize(("attempt", "delay_s"), [(1, 1), (2, 4), (3, 10), (9, 10)])
def test_the_back_off_grows_up_to_its_maximum(attempt: int, delay_s: float) -> None:
    run = a_run(attempt=attempt)
    detail = after_failure(run, Failure(FailureCode.WORKER_LOST, "died"), POLICY)
    assert isinstance(detail, Requeued)
    assert detail.delay_s == delay_s


def test_a_shutdown_requeues_the_run_immediately_and_uses_no_retry() -> None:
    detail = on_shutdown(Failure(FailureCode.NODE_LOST, "bye"), None)
    assert (detail.delay_s, detail.charge) == (0, False)


def test_every_failure_code_has_a_blame() -> None:
    """A code without an entry raises here, not in an attempt."""
    assert {code.blame for code in FailureCode}


def test_only_failures_that_are_not_the_users_are_retried() -> None:
    for code in FailureCode:
        assert not (code.retryable and code.blame == "user")


def test_the_retry_decision_does_not_modify_the_run() -> None:
    run = a_run()
    before = replace(run)
    after_failure(run, Failure(FailureCode.SYNTAX_ERROR, "x"), POLICY)
    assert run == before

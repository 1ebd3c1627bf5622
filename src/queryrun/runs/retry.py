"""Decides whether a failed attempt is retried, and when. No other module retries an attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from queryrun.errors import Failure
from queryrun.runs.model import Cancellation, Run
from queryrun.runs.store import Failed, Requeued

_SHORTAGE_STEPS = 2
"""After a shortage the pause grows this many times."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Back-off before the next attempt: `first_s`, then `factor` times that, at most `max_s`."""

    first_s: float = 1.0
    factor: float = 4.0
    max_s: float = 60.0

    def delay_s(self, attempt: int) -> float:
        """The delay after attempt number `attempt` (from 1)."""
        return float(min(self.max_s, self.first_s * self.factor ** (attempt - 1)))


def after_failure(
    run: Run, failure: Failure, policy: RetryPolicy, stop: Cancellation | None = None
) -> Failed | Requeued:
    """What to write for a failed attempt: a requeue, or the failure.

    The failure's code decides whether another attempt can help (contract F8), and the run's
    remaining attempts decide whether there is one.
    """
    if not failure.code.retryable:
        return Failed(failure, stop)
    if run.remaining_attempts <= 0:
        return Failed(_after_last_attempt(failure, run.attempt), stop)
    return Requeued(failure, policy.delay_s(run.attempt), charge=True, cancellation=stop)


def on_shutdown(failure: Failure, stop: Cancellation | None) -> Requeued:
    """What to write when the node shuts down: requeued at once, without losing a retry."""
    return Requeued(failure, charge=False, cancellation=stop)


def on_shortage(
    run: Run, failure: Failure, policy: RetryPolicy, stop: Cancellation | None
) -> Requeued:
    """What to write when the node was short of something: the run waits, without losing a retry.

    The pauses grow to a few seconds: the next attempt shows whether the shortage has passed.
    """
    delay_s = policy.delay_s(min(run.attempt, _SHORTAGE_STEPS))
    return Requeued(failure, delay_s, charge=False, cancellation=stop)


def while_down(failure: Failure, policy: RetryPolicy, stop: Cancellation | None) -> Requeued:
    """What to write while the source, the store or the bucket is down: the run waits, without
    losing a retry. No run is charged for what it did not cause."""
    return Requeued(failure, policy.delay_s(1), charge=False, cancellation=stop)


def _after_last_attempt(failure: Failure, attempts: int) -> Failure:
    """The failure, with the number of failed attempts in its message."""
    summary = f"all {attempts} attempts failed" if attempts > 1 else "the only attempt failed"
    return replace(failure, message=f"{failure.message} ({summary}; no retries left)")

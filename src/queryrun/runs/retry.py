"""Whether a failed attempt is tried again, and when. The only owner of retries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from queryrun.errors import Failure
from queryrun.runs.model import Cancellation, Run
from queryrun.runs.store import Failed, Requeued


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Back-off before the next attempt: `first_s`, then `factor` times that, at most `max_s`."""

    first_s: float = 1.0
    factor: float = 4.0
    max_s: float = 60.0

    def delay_s(self, attempt: int) -> float:
        """How long to wait after attempt number `attempt` (from 1)."""
        return float(min(self.max_s, self.first_s * self.factor ** (attempt - 1)))


def after_failure(
    run: Run, failure: Failure, policy: RetryPolicy, now: datetime, stop: Cancellation | None = None
) -> Failed | Requeued:
    """What to write for a failed attempt: another try, or the end.

    The failure's code alone decides whether another attempt can help (contract F8); how many
    are left decides whether there is one.
    """
    if not failure.code.retryable:
        return Failed(failure, stop)
    if run.remaining_attempts <= 0:
        return Failed(_every_time(failure, run.attempt), stop)
    ready = now + timedelta(seconds=policy.delay_s(run.attempt))
    return Requeued(failure, ready, charge=True, stop=stop)


def on_shutdown(failure: Failure, now: datetime, stop: Cancellation | None) -> Requeued:
    """What to write when the node leaves: queued again at once, and the run is not charged."""
    return Requeued(failure, now, charge=False, stop=stop)


def while_source_down(
    failure: Failure, policy: RetryPolicy, now: datetime, stop: Cancellation | None
) -> Requeued:
    """What to write when the source is down: the run waits for it, and is not charged."""
    ready = now + timedelta(seconds=policy.delay_s(1))
    return Requeued(failure, ready, charge=False, stop=stop)


def _every_time(failure: Failure, attempts: int) -> Failure:
    """The last failure, saying that it was the last of several."""
    tries = f"all {attempts} attempts failed" if attempts > 1 else "the only attempt failed"
    return replace(failure, message=f"{failure.message} ({tries}; no retries left)")

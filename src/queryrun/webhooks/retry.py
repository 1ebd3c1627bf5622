"""When a delivery that was not taken is tried again, and when it is given up. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from queryrun.webhooks.model import WebhookKind

FIRST_S = 5.0
FACTOR = 1.5
"""Each pause is this many times what has passed since the event."""
MAX_S = 6 * 3600.0
MAX_RETRY_AFTER_S = 3600.0
CALLOUT_PAUSE_S = 30 * 60.0
CALLOUT_RETRIES = 3
GONE = 410
CALLOUT_CODES = frozenset({403, 408, 429})
"""Beside 1xx and 5xx: statuses after which a callout is tried again (contract C8)."""


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How long deliveries of runs are tried, in seconds from their event."""

    max_age_s: float

    def delay_s(
        self, kind: WebhookKind, code: int | None, age_s: float, retry_after_s: float
    ) -> float | None:
        """The pause before the next attempt; None to give up. `code` None: there was no response.

        `age_s` is counted from the event, or from its replay.
        """
        if kind is WebhookKind.CALLOUT:
            return _callout_delay_s(code, age_s)
        if code == GONE or age_s >= self.max_age_s:
            return None
        pause_s = min(max(FIRST_S, FACTOR * age_s), MAX_S)
        pause_s = max(pause_s, min(retry_after_s, MAX_RETRY_AFTER_S))
        return min(pause_s, max(FIRST_S, self.max_age_s - age_s))


def _callout_delay_s(code: int | None, age_s: float) -> float | None:
    is_retried = code is None or code < 200 or code >= 500 or code in CALLOUT_CODES
    is_last = age_s >= (CALLOUT_RETRIES - 0.5) * CALLOUT_PAUSE_S
    return CALLOUT_PAUSE_S if is_retried and not is_last else None


def is_receivers_fault(code: int | None) -> bool:
    """Whether the receiver as a whole seems unable to take messages, and not this one alone."""
    return code is None or code == 429 or code >= 500

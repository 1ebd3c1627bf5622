"""When days and months of limits begin anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from queryrun.runs.limits import (
    Level,
    LimitReached,
    LimitState,
    LimitValue,
    Period,
    period_of,
)


@pytest.mark.parametrize(
    ("now", "day", "next_day", "month", "next_month"),
    [
        ("2026-11-30T23:59:59.999999", "2026-11-30", "2026-12-01", "2026-11-01", "2026-12-01"),
        ("2026-12-01T00:00:00", "2026-12-01", "2026-12-02", "2026-12-01", "2027-01-01"),
        ("2026-12-31T23:59:59.999999", "2026-12-31", "2027-01-01", "2026-12-01", "2027-01-01"),
        ("2027-02-28T12:00:00", "2027-02-28", "2027-03-01", "2027-02-01", "2027-03-01"),
        ("2028-02-28T12:00:00", "2028-02-28", "2028-02-29", "2028-02-01", "2028-03-01"),
        ("2028-02-29T23:00:00", "2028-02-29", "2028-03-01", "2028-02-01", "2028-03-01"),
        ("2027-01-31T00:00:00", "2027-01-31", "2027-02-01", "2027-01-01", "2027-02-01"),
    ],
)
def test_days_and_months_are_those_of_the_calendar_in_utc(
    now: str, day: str, next_day: str, month: str, next_month: str
) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert period_of(Period.DAY, at) == (_midnight(day), _midnight(next_day))
    assert period_of(Period.MONTH, at) == (_midnight(month), _midnight(next_month))


def test_a_refusal_just_before_midnight_says_to_come_again_after_it() -> None:
    resets = _midnight("2026-12-01")
    limit = LimitValue(Level.CLIENT, "c", "runs_per_month", 5)
    for early_s, after_s in ((0.001, 1), (1, 1), (1.2, 2)):
        now = resets - timedelta(seconds=early_s)
        refused = LimitReached(LimitState(limit, 5, resets), now)
        assert refused.retry_after_s == after_s
    assert "again from 2026-12-01T00:00:00+00:00 on" in str(refused)


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)

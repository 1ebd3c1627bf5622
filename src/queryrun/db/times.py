"""Times as SQLite stores them: whole milliseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

DAY_MS = 24 * 3600 * 1000
"""A day in milliseconds: days are counted from 1970, in UTC."""


def to_ms(time: datetime) -> int:
    """Milliseconds since 1970, truncated."""
    return (time - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """The aware UTC time."""
    return _EPOCH + timedelta(milliseconds=ms)


def from_ms_or_none(ms: int | None) -> datetime | None:
    """Like `from_ms`, for columns that may be empty."""
    return None if ms is None else from_ms(ms)


def to_ms_or_none(time: datetime | None) -> int | None:
    """Like `to_ms`, for times that may be missing."""
    return None if time is None else to_ms(time)

"""How times are written in responses, on both APIs, and read from bodies."""

from __future__ import annotations

from datetime import UTC, datetime

from queryrun.errors import InvalidRequest

FAR_PAST = datetime(1970, 1, 1, tzinfo=UTC)
FAR_FUTURE = datetime(9000, 1, 1, tzinfo=UTC)
"""No time that we store is outside this span; inside it, adding to a time cannot overflow."""


def utc(time: datetime, name: str) -> datetime:
    """The property's time in UTC. `InvalidRequest` without an offset, or outside the span: neither
    a response nor a database can have what no calendar has."""
    if time.tzinfo is None:
        raise InvalidRequest.of(name, f"'{name}' must have an offset, such as Z")
    if not FAR_PAST <= time < FAR_FUTURE:
        years = f"{FAR_PAST.year} to {FAR_FUTURE.year - 1}"
        raise InvalidRequest.of(name, f"'{name}' must be in one of the years {years}")
    return time.astimezone(UTC)


def iso(time: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, as the contract's samples have it."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")

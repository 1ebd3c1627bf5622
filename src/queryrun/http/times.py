"""How times are written in responses, on both APIs."""

from __future__ import annotations

from datetime import datetime


def iso(time: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, as the contract's samples have it."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")

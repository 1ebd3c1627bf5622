"""Where a request came from, for entries of the audit log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The address of the caller and the id of its request."""

    remote_address: str = ""
    request_id: str = ""


UNKNOWN_ORIGIN = Origin()

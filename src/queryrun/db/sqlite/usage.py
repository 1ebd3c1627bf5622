"""What clients keep and have written, counted in the units that change it."""

from __future__ import annotations

import sqlite3

from queryrun.db.sqlite.pending import pending_of
from queryrun.db.times import DAY_MS
from queryrun.runs.model import RunRequest


def add_usage(
    connection: sqlite3.Connection,
    request: RunRequest,
    now_ms: int,
    *,
    statement_bytes: int = 0,
    result_bytes: int = 0,
    written_bytes: int = 0,
) -> None:
    """Add to what the run's client uses."""
    key = request.tenant_id, request.entity_id, request.client_id, now_ms // DAY_MS
    pending_of(connection).add_usage(key, (statement_bytes, result_bytes, written_bytes))

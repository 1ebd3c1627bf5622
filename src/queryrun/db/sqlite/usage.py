"""What clients keep and have written, counted in the units that change it."""

from __future__ import annotations

import sqlite3

from queryrun.db.sqlite.statements import SQL
from queryrun.db.times import DAY_MS


def add_usage(
    connection: sqlite3.Connection,
    seq: int,
    now_ms: int,
    *,
    statement_bytes: int = 0,
    result_bytes: int = 0,
    written_bytes: int = 0,
) -> None:
    """Add to what the run's client uses."""
    values = {
        "seq": seq,
        "day": now_ms // DAY_MS,
        "statement_bytes": statement_bytes,
        "result_bytes": result_bytes,
        "written_bytes": written_bytes,
    }
    connection.execute(SQL["add_usage"], values)

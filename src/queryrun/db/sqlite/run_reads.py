"""Reads of one run: by its id, and by its position."""

from __future__ import annotations

import sqlite3

from queryrun.db.rows import StoredRun, stored_run
from queryrun.db.sqlite.statements import SQL


def read_run(connection: sqlite3.Connection, run_id: str) -> StoredRun | None:
    """The run with this id, or None."""
    row = connection.execute(SQL["run_by_id"], {"run_id": run_id}).fetchone()
    return None if row is None else stored_run(row)


def read_run_at(connection: sqlite3.Connection, seq: int) -> StoredRun:
    """The run at this position, which must exist."""
    return stored_run(connection.execute(SQL["run_by_seq"], {"seq": seq}).fetchone())

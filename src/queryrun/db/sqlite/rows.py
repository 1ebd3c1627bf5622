"""Point reads of runs: by id, and by position."""

from __future__ import annotations

import sqlite3

from queryrun.db.rows import RUN_COLUMNS, StoredRun, stored_run

RUN_BY_ID = (
    f"SELECT {RUN_COLUMNS} FROM runs r JOIN run_requests q ON q.run_seq = r.seq WHERE r.id = ?"
)
RUN_BY_SEQ = (
    f"SELECT {RUN_COLUMNS} FROM runs r JOIN run_requests q ON q.run_seq = r.seq WHERE r.seq = ?"
)


def read_run(connection: sqlite3.Connection, run_id: str) -> StoredRun | None:
    """The run with this id, or None."""
    row = connection.execute(RUN_BY_ID, (run_id,)).fetchone()
    return None if row is None else stored_run(row)


def read_run_at(connection: sqlite3.Connection, seq: int) -> StoredRun:
    """The run at this position, which must exist."""
    return stored_run(connection.execute(RUN_BY_SEQ, (seq,)).fetchone())

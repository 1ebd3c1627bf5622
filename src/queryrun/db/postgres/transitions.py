"""How a run changes state, on PostgreSQL: see `sql/transitions.sql`."""

from __future__ import annotations

from queryrun.db.postgres.connect import Connection
from queryrun.db.rows import Values, stored_run
from queryrun.errors import LostRace
from queryrun.runs.model import AttemptRef, Run


def change_state(connection: Connection, statement: str, values: Values) -> Run | None:
    """Run one of these statements; None when the event does not apply to the run's state."""
    row = connection.execute(statement, values).fetchone()
    return None if row is None else stored_run(row).run


def end_attempt(connection: Connection, statement: str, ref: AttemptRef, values: Values) -> Run:
    """A change that finishes an attempt; `LostRace` when it comes too late."""
    fence = {"run_id": ref.run_id, "number": ref.number}
    run = change_state(connection, statement, {**values, **fence})
    if run is None:
        raise LostRace(f"attempt {ref.number} of run {ref.run_id} comes too late")
    return run

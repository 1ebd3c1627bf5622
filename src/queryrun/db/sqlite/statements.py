"""The statements of the stores on SQLite, by their names in `sql/*.sql`."""

from __future__ import annotations

from queryrun.db.statements import column_lists, load
from queryrun.runs.fields import RunField


def _bound(field: RunField) -> str:
    return f":{field.column}"


SQL = load("sqlite", column_lists(_bound, _bound))

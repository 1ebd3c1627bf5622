"""The statements of the stores on PostgreSQL, by their names in `sql/*.sql`."""

from __future__ import annotations

from functools import cache

from queryrun.db.rows import LISTENER_GRACE_MS
from queryrun.db.statements import column_lists, load
from queryrun.db.webhook_rows import LIMIT_CODES
from queryrun.runs.fields import FieldKind, RunField

DATABASE_CLOCK = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
"""The database's time in milliseconds since 1970."""

_LOCKS = {
    "queue_lock": "7101",
    "claim_lock": "7102",
    "leader_lock": "7103",
    "submit_lock": "7104",
    "addition_lock": "7105",
}
"""Salts that keep our advisory locks apart. Migrations take 7100."""

_LAST_ID = "chr(1114111)"
"""A text behind every id: the last code point."""

_LIMIT_CODES = ", ".join(f"'{code}'" for code in sorted(LIMIT_CODES))

_NUMBERS = {"limit_codes": _LIMIT_CODES, "listener_grace_ms": str(LISTENER_GRACE_MS)}
_TEXTS = {"last_id": _LAST_ID}

_TYPES = {
    FieldKind.INTEGER: "bigint",
    FieldKind.TIME: "bigint",
    FieldKind.NUMBER: "double precision",
}


@cache
def statements(now: str) -> dict[str, str]:
    """All of them. `now` is the SQL expression for the time in milliseconds since 1970."""
    return load(
        "postgres",
        {**column_lists(_bound, _bound_new), **_LOCKS, **_NUMBERS, **_TEXTS, "now": now},
    )


def _bound(field: RunField) -> str:
    return f"%({field.column})s::{_TYPES.get(field.kind, 'text')}"


def _bound_new(field: RunField) -> str:
    """A new run gets its times from the statement."""
    return "clock.ms" if field.kind is FieldKind.TIME else _bound(field)

"""Lists of runs: a `RunQuery` turned into one SELECT. Fragments are constants, values bound."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from queryrun.db.rows import RUN_COLUMNS, json_text, stored_run
from queryrun.db.times import to_ms
from queryrun.runs.store import RunPage, RunQuery

_SELECT = f"SELECT {RUN_COLUMNS} FROM runs r JOIN run_requests q ON q.run_seq = r.seq WHERE "
_IS_ONE_OF = " IN (SELECT value FROM json_each(?))"
_HAS_TAG = (
    "EXISTS (SELECT 1 FROM json_each(q.tags) tag"
    " WHERE json_extract(tag.value, '$[0]') = ? AND json_extract(tag.value, '$[1]') = ?)"
)


def find(connection: sqlite3.Connection, query: RunQuery) -> RunPage:
    """One page. Stable under inserts: a page starts after a position, not after a count."""
    restrictions = list(_restrictions(query))
    clauses = [clause for clause, _ in restrictions]
    values = [value for _, bound in restrictions for value in bound]
    order = "ASC" if query.oldest_first else "DESC"
    statement = _SELECT + " AND ".join(clauses) + f" ORDER BY r.seq {order} LIMIT ?"
    rows = connection.execute(statement, (*values, query.limit + 1)).fetchall()
    found = [stored_run(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit and bool(found)
    return RunPage(tuple(stored.run for stored in found), found[-1].seq if more else None)


def _restrictions(query: RunQuery) -> Iterator[tuple[str, tuple[object, ...]]]:
    """A clause and what is bound to it, for each field that restricts."""
    if query.client_id is not None:
        # The unary plus keeps the planner on the index of the client, the narrower one.
        yield "r.client_id = ?", (query.client_id,)
        yield "+r.tenant_id = ?", (query.tenant_id,)
    else:
        yield "r.tenant_id = ?", (query.tenant_id,)
    if query.entity_id is not None:
        yield "r.entity_id = ?", (query.entity_id,)
    if query.states:
        yield "r.state" + _IS_ONE_OF, (json_text(sorted(query.states)),)
    if query.sources:
        yield "r.source" + _IS_ONE_OF, (json_text(sorted(query.sources)),)
    if query.created_from is not None:
        yield "r.created_ms >= ?", (to_ms(query.created_from),)
    if query.created_before is not None:
        yield "r.created_ms < ?", (to_ms(query.created_before),)
    for name, value in query.tags:
        yield _HAS_TAG, (name, value)
    if query.after is not None:
        yield "r.seq > ?" if query.oldest_first else "r.seq < ?", (query.after,)

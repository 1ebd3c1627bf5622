"""Lists of runs: a `RunQuery` turned into one SELECT.

This is the only module on SQLite that composes SQL at run time. The parts are constants of this
module and of `sql/runs.sql`; every value is bound.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from queryrun.db.rows import json_text, stored_run
from queryrun.db.sqlite.statements import SQL
from queryrun.db.times import to_ms
from queryrun.runs.store import RunPage, RunQuery

_IS_ONE_OF = " IN (SELECT value FROM json_each(?))"
_HAS_TAG = (
    "EXISTS (SELECT 1 FROM run_tags h WHERE h.tenant_id = ? AND h.name = ? AND h.value = ?"
    " AND h.run_seq = r.seq)"
)
_IS_TAGGED = "g.tenant_id = ? AND g.name = ? AND g.value = ?"
_OLDEST_FIRST = " ORDER BY {seq} ASC LIMIT ?"
_NEWEST_FIRST = " ORDER BY {seq} DESC LIMIT ?"


def find(connection: sqlite3.Connection, query: RunQuery) -> RunPage:
    """One page. Stable under inserts: a page starts after a position, not after a count."""
    statement, values = find_sql(query)
    rows = connection.execute(statement, values).fetchall()
    found = [stored_run(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit and bool(found)
    return RunPage(tuple(stored.run for stored in found), found[-1].seq if more else None)


def find_sql(query: RunQuery) -> tuple[str, tuple[object, ...]]:
    """The statement and what is bound to it; it reads one row more than the page has."""
    conditions = list(_conditions(query))
    where = " WHERE " + " AND ".join(condition for condition, _ in conditions)
    values = [value for _, bound in conditions for value in bound]
    order = (_OLDEST_FIRST if query.oldest_first else _NEWEST_FIRST).format(seq=_position(query))
    statement = SQL["select_tagged_runs" if query.tags else "select_runs"] + where + order
    return statement, (*values, query.limit + 1)


def _conditions(query: RunQuery) -> Iterator[tuple[str, tuple[object, ...]]]:
    """A condition and what is bound to it, for each field of the query that restricts the list."""
    if query.client_id is not None and query.tags:
        yield "+r.client_id = ? AND +r.tenant_id = ?", (query.client_id, query.tenant_id)
    elif query.client_id is not None:
        # The unary plus keeps the planner on the index of the client, the narrower one.
        yield "r.client_id = ?", (query.client_id,)
        yield "+r.tenant_id = ?", (query.tenant_id,)
    else:
        yield "+r.tenant_id = ?" if query.tags else "r.tenant_id = ?", (query.tenant_id,)
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
    for number, (name, value) in enumerate(query.tags):
        yield _HAS_TAG if number else _IS_TAGGED, (query.tenant_id, name, value)
    if query.after is not None:
        comparison = " > ?" if query.oldest_first else " < ?"
        yield _position(query) + comparison, (query.after,)


def _position(query: RunQuery) -> str:
    """A list of runs with a tag is read in the order of the tag's runs."""
    return "g.run_seq" if query.tags else "r.seq"

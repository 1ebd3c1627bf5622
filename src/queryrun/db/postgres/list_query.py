"""Lists of runs: a `RunQuery` turned into one SELECT.

This is the only module on PostgreSQL that composes SQL at run time. The parts are constants of
this module and of `sql/runs.sql`, and the number of rows; every other value is bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from queryrun.db.postgres.connect import Connection
from queryrun.db.rows import stored_run
from queryrun.db.times import to_ms
from queryrun.runs.store import RunPage, RunQuery

_HAS_TAG = (
    "EXISTS (SELECT 1 FROM run_tags h WHERE h.tenant_id = %s AND h.name = %s AND h.value = %s"
    " AND h.run_seq = r.seq)"
)
_IS_TAGGED = "g.tenant_id = %s AND g.name = %s AND g.value = %s"
_OLDEST_FIRST = " ORDER BY {seq} ASC LIMIT "
_NEWEST_FIRST = " ORDER BY {seq} DESC LIMIT "


def find(connection: Connection, sql: Mapping[str, str], query: RunQuery) -> RunPage:
    """One page. Stable under inserts: a page starts after a position, not after a count.

    A position is assigned when a run is written and visible when it is committed: a run that is
    being accepted now may appear behind a position that was already passed.
    """
    statement, values = find_sql(sql, query)
    # Not prepared: there are more shapes of lists than statements worth keeping.
    rows = connection.execute(statement, values, prepare=False).fetchall()
    found = [stored_run(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit and bool(found)
    return RunPage(tuple(stored.run for stored in found), found[-1].seq if more else None)


def find_sql(sql: Mapping[str, str], query: RunQuery) -> tuple[str, tuple[object, ...]]:
    """The statement and what is bound to it; it reads one row more than the page has."""
    conditions = list(_conditions(query))
    where = " WHERE " + " AND ".join(condition for condition, _ in conditions)
    values = [value for _, bound in conditions for value in bound]
    order = (_OLDEST_FIRST if query.oldest_first else _NEWEST_FIRST).format(seq=_position(query))
    # The planner has to know the number to choose the right index, so it is part of the text.
    limit = str(int(query.limit) + 1)
    return sql[
        "select_tagged_runs" if query.tags else "select_runs"
    ] + where + order + limit, tuple(values)


def _conditions(query: RunQuery) -> Iterator[tuple[str, tuple[object, ...]]]:
    """A condition and what is bound to it, for each field of the query that restricts the list."""
    if query.client_id is not None:
        # The comparison keeps the planner on the index of the client, the narrower one.
        yield "r.client_id = %s", (query.client_id,)
        yield "(r.tenant_id = %s) IS TRUE", (query.tenant_id,)
    else:
        yield "r.tenant_id = %s", (query.tenant_id,)
    if query.entity_id is not None:
        yield "r.entity_id = %s", (query.entity_id,)
    if query.states:
        yield "r.state = ANY (%s::text[])", (sorted(query.states),)
    if query.sources:
        yield "r.source = ANY (%s::text[])", (sorted(query.sources),)
    if query.created_from is not None:
        yield "r.created_ms >= %s", (to_ms(query.created_from),)
    if query.created_before is not None:
        yield "r.created_ms < %s", (to_ms(query.created_before),)
    for number, (name, value) in enumerate(query.tags):
        yield _HAS_TAG if number else _IS_TAGGED, (query.tenant_id, name, value)
    if query.after is not None:
        comparison = " > %s" if query.oldest_first else " < %s"
        yield _position(query) + comparison, (query.after,)


def _position(query: RunQuery) -> str:
    """A list of runs with a tag is read in the order of the tag's runs."""
    return "g.run_seq" if query.tags else "r.seq"

"""Lists of runs: a `RunQuery` turned into one SELECT.

This is the only module on PostgreSQL that composes SQL at run time. The parts are those of
`db/list_parts.py` and `sql/runs.sql`, and the number of rows; every other value is bound.
"""

from __future__ import annotations

from collections.abc import Mapping

from queryrun.db.list_parts import TAGGED, list_parts
from queryrun.db.postgres.connect import Connection
from queryrun.db.rows import Row, stored_run
from queryrun.db.times import to_ms
from queryrun.runs.store import RunPage, RunQuery


def find(connection: Connection, sql: Mapping[str, str], query: RunQuery) -> RunPage:
    """One page. Stable under inserts: a page starts after a position, not after a count.

    A position is assigned when a run is written and visible when it is committed: a run that is
    being accepted now may appear behind a position that was already passed.
    """
    rows = _rows(connection, sql, query, by_tag=bool(query.tags))
    if query.tags and len(rows) <= query.limit and _has_more(connection, sql, query):
        rows = _rows(connection, sql, query, by_tag=False)
    found = [stored_run(row) for row in rows[: query.limit]]
    runs = tuple(stored.run for stored in found)
    if len(rows) <= query.limit or not found:
        return RunPage(runs, None)
    return RunPage(runs, (to_ms(runs[-1].created_time), found[-1].seq))


def find_sql(
    sql: Mapping[str, str], query: RunQuery, *, by_tag: bool
) -> tuple[str, dict[str, object]]:
    """The statement and what is bound to it; it reads one row more than the page has."""
    parts = list_parts(query, "%({})s".format, _is_one_of, by_tag=by_tag)
    statement = parts.put_into(sql["list_by_tag" if by_tag else "list_by_stretches"])
    # The planner has to know the number to choose the right index, so it is part of the text.
    numbered = statement.replace("<limit>", str(int(query.limit) + 1))
    return numbered.replace("<many>", str(TAGGED)), parts.values


def _is_one_of(column: str, name: str) -> str:
    return f"{column} = ANY (%({name})s::text[])"


def _rows(
    connection: Connection, sql: Mapping[str, str], query: RunQuery, *, by_tag: bool
) -> list[Row]:
    statement, values = find_sql(sql, query, by_tag=by_tag)
    # Not prepared: there are more shapes of lists than statements worth keeping.
    return connection.execute(statement, values, prepare=False).fetchall()


def _has_more(connection: Connection, sql: Mapping[str, str], query: RunQuery) -> bool:
    parts = list_parts(query, "%({})s".format, _is_one_of, by_tag=True)
    statement = parts.put_into(sql["tag_has_more"]).replace("<many>", str(TAGGED))
    return connection.execute(statement, parts.values, prepare=False).fetchone() is not None

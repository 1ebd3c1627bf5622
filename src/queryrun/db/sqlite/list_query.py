"""Lists of runs: a `RunQuery` turned into one SELECT.

This is the only module on SQLite that composes SQL at run time. The parts are those of
`db/list_parts.py` and `sql/runs.sql`; every value is bound.
"""

from __future__ import annotations

import sqlite3

from queryrun.db.list_parts import TAGGED, list_parts
from queryrun.db.rows import Row, json_text, stored_run
from queryrun.db.sqlite.statements import SQL
from queryrun.db.times import to_ms
from queryrun.runs.store import RunPage, RunQuery

_IS_ONE_OF = "{} IN (SELECT value FROM json_each(:{}))"


def find(connection: sqlite3.Connection, query: RunQuery) -> RunPage:
    """One page. Stable under inserts: a page starts after a position, not after a count."""
    rows = _rows(connection, query, by_tag=bool(query.tags))
    if query.tags and len(rows) <= query.limit and _has_more(connection, query):
        rows = _rows(connection, query, by_tag=False)
    found = [stored_run(row) for row in rows[: query.limit]]
    runs = tuple(stored.run for stored in found)
    if len(rows) <= query.limit or not found:
        return RunPage(runs, None)
    return RunPage(runs, (to_ms(runs[-1].created_time), found[-1].seq))


def find_sql(query: RunQuery, *, by_tag: bool) -> tuple[str, dict[str, object]]:
    """The statement and what is bound to it; it reads one row more than the page has."""
    parts = list_parts(query, ":{}".format, _is_one_of, by_tag=by_tag)
    statement = SQL["list_by_tag" if by_tag else "list_by_stretches"]
    lists = {name: json_text(sorted(getattr(query, name))) for name in ("states", "sources")}
    numbers = {"limit": query.limit + 1, "many": TAGGED}
    return parts.put_into(statement), {**parts.values, **lists, **numbers}


def _is_one_of(column: str, name: str) -> str:
    return _IS_ONE_OF.format(column, name)


def _rows(connection: sqlite3.Connection, query: RunQuery, *, by_tag: bool) -> list[Row]:
    statement, values = find_sql(query, by_tag=by_tag)
    return connection.execute(statement, values).fetchall()


def _has_more(connection: sqlite3.Connection, query: RunQuery) -> bool:
    parts = list_parts(query, ":{}".format, _is_one_of, by_tag=True)
    statement = parts.put_into(SQL["tag_has_more"])
    return connection.execute(statement, {**parts.values, "many": TAGGED}).fetchone() is not None

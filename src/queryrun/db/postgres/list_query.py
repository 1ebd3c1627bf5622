"""Lists of runs: a `RunQuery` turned into one SELECT.

This is the only module on PostgreSQL that composes SQL at run time. The parts are those of
`db/list_parts.py` and `sql/runs.sql`, and the number of rows; every other value is bound.
"""

from __future__ import annotations

from collections.abc import Mapping

from queryrun.db.list_parts import COMMON_TAG, list_parts
from queryrun.db.postgres.connect import Connection
from queryrun.db.rows import stored_run
from queryrun.db.times import to_ms
from queryrun.runs.store import RunPage, RunQuery


def find(connection: Connection, sql: Mapping[str, str], query: RunQuery) -> RunPage:
    """One page. Stable under inserts: a page starts after a position, not after a count.

    A position is assigned when a run is written and visible when it is committed: a run that is
    being accepted now may appear behind a position that was already passed.
    """
    by_tag = bool(query.tags) and not _is_common(connection, sql, query)
    statement, values = find_sql(sql, query, by_tag=by_tag)
    # Not prepared: there are more shapes of lists than statements worth keeping.
    rows = connection.execute(statement, values, prepare=False).fetchall()
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
    return statement.replace("<limit>", str(int(query.limit) + 1)), parts.values


def _is_one_of(column: str, name: str) -> str:
    return f"{column} = ANY (%({name})s::text[])"


def _is_common(connection: Connection, sql: Mapping[str, str], query: RunQuery) -> bool:
    name, value = query.tags[0]
    values = {"tenant_id": query.tenant_id, "name0": name, "value0": value, "many": COMMON_TAG}
    return connection.execute(sql["tag_is_common"], values).fetchone() is not None

"""Rows of which a client may have a bounded number: counted and added in one step."""

from __future__ import annotations

from collections.abc import Mapping

from queryrun.db.postgres.connect import Connection
from queryrun.db.rows import Values


def added_in_turn(
    connection: Connection, sql: Mapping[str, str], statement: str, values: Values
) -> bool:
    """Run a statement that adds a row unless its client has as many as it may. Requests of one
    client that come at once would not see each other's rows, so they wait for each other."""
    with connection.transaction():
        connection.execute(sql["take_turn_to_add"], values)
        return connection.execute(sql[statement], values).rowcount == 1

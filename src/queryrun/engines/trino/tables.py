"""What columns tables have, from one query to Trino that reads no rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trino.exceptions import TrinoQueryError

from queryrun.engines.trino.failures import ErrorContext, failure_of
from queryrun.sql.position import SourcePosition
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import name

_BORDER = "queryrun:table"
"""A column between two tables' columns. One of a table's own may be called so: see below."""
Describe = Callable[[str], Sequence[dict[str, Any]]]
"""A query in, its result's columns out."""


def columns_of_tables(
    tables: Sequence[ast.Table], statement: str, describe: Describe
) -> list[dict[str, str]]:
    """The columns of each table, by lower-case name, with their types in Trino's words.

    They are those of `SELECT *`, resolved as the statement itself will be. Raises `RunFailed`
    with the table's position when Trino does not know it.
    """
    try:
        columns = describe(_query(tables))
    except TrinoQueryError as error:
        context = ErrorContext(lambda line, _column: _position(tables, line, statement))
        raise failure_of(error, context) from error
    found: list[dict[str, str]] = []
    for column in columns:
        if column["name"] == _BORDER and column["type"] == "tinyint":
            found.append({})
        else:
            found[-1][column["name"].lower()] = column["type"]
    if len(found) != len(tables):
        raise ValueError("tables cannot be told apart")
    return found


def _query(tables: Sequence[ast.Table]) -> str:
    """Each table stands on a line of its own, so that an error tells which it is about."""
    items = ", ".join(
        f"TINYINT '1' AS {name(_BORDER)}, t{number}.*" for number in range(len(tables))
    )
    sources = "\nCROSS JOIN ".join(
        f"{'.'.join(name(part.text) for part in table.parts)} AS t{number}"
        for number, table in enumerate(tables)
    )
    return f"SELECT {items} FROM {sources} LIMIT 0"


def _position(tables: Sequence[ast.Table], line: int, statement: str) -> SourcePosition:
    at = tables[min(line, len(tables)) - 1].at
    before = statement[:at]
    return SourcePosition(before.count("\n") + 1, at - before.rfind("\n"))

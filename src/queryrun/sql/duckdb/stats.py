"""SHOW STATS: what the rows of a query are like, in Trino's columns, as DuckDB's SQL.

Trino takes such figures from what a connector has kept; here they are of the rows themselves, so
the statement reads them once. How many values differ is an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from queryrun.sql.compile import types as t
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.types import Type
from queryrun.sql.duckdb import types
from queryrun.sql.trino.spelling import name, text

_HEADINGS = (
    ("column_name", t.VARCHAR), ("data_size", t.DOUBLE), ("distinct_values_count", t.DOUBLE),
    ("nulls_fraction", t.DOUBLE), ("row_count", t.DOUBLE), ("low_value", t.VARCHAR),
    ("high_value", t.VARCHAR),
)  # fmt: skip
_NOTHING = "CAST(NULL AS VARCHAR)"


def relation(sql: str, outputs: Sequence[Output]) -> tuple[str, list[Output]]:
    """The statistics of a query: a row for each column, then one with the number of rows."""
    columns = ", ".join(f"c{number}" for number in range(1, len(outputs) + 1))
    figures = ", ".join(
        one for number, output in enumerate(outputs, 1) for one in _figures(number, output.type)
    )
    rows = [
        _row(index + 1, output.name_at(index), output.type) for index, output in enumerate(outputs)
    ]
    rows.append(f"({_NOTHING}, NULL, NULL, NULL, n, NULL, NULL)")
    listed = f"unnest([{', '.join('row' + row for row in rows)}]) AS v"
    items = ", ".join(
        f"v[{number}]::{types.duckdb_name(kind)} AS {name(heading)}"
        for number, (heading, kind) in enumerate(_HEADINGS, 1)
    )
    found = (
        f"SELECT {items} FROM (SELECT {listed} FROM (SELECT count(*)::DOUBLE AS n"
        f"{', ' + figures if figures else ''} FROM ({sql}) AS s({columns})) AS f) AS u"
    )
    return found, [Output(heading, kind) for heading, kind in _HEADINGS]


def _figures(number: int, kind: Type) -> Iterator[str]:
    column = f"c{number}"
    yield f"count({column}) AS k{number}"
    if _has_values(kind):
        yield f"approx_count_distinct({column})::DOUBLE AS d{number}"
    if kind.name in {"varchar", "char"}:
        yield f"sum(strlen({column}))::DOUBLE AS b{number}"
    if _has_order(kind):
        yield f"CAST(min({column}) AS VARCHAR) AS l{number}"
        yield f"CAST(max({column}) AS VARCHAR) AS h{number}"


def _row(number: int, heading: str, kind: Type) -> str:
    size = f"b{number}" if kind.name in {"varchar", "char"} else "NULL"
    distinct = f"d{number}" if _has_values(kind) else "NULL"
    nulls = f"CASE WHEN n = 0 THEN NULL ELSE 1 - k{number} / n END"
    low, high = (f"l{number}", f"h{number}") if _has_order(kind) else ("NULL", "NULL")
    return f"({text(heading)}, {size}, {distinct}, {nulls}, NULL::DOUBLE, {low}, {high})"


def _has_values(kind: Type) -> bool:
    return kind.name not in {"array", "map", "row", "json", "unknown"} and not t.is_fine(kind)


def _has_order(kind: Type) -> bool:
    return t.is_number(kind) or (kind.name in {"date", "timestamp"} and not t.is_fine(kind))

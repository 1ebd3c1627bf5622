"""SHOW and DESCRIBE: what there is to list, as constants in Spark's SQL."""

from __future__ import annotations

from queryrun.sql.compile.scope import Location, Output, Schema
from queryrun.sql.compile.show import rows_of
from queryrun.sql.spark.functions.table import SPARK
from queryrun.sql.spark.types import quoted, spark_name, text, trino_type
from queryrun.sql.trino.records import ast

__all__ = ["show", "trino_type"]


def show(
    node: ast.Show, schema: Schema, statement: str, location: Location | None = None
) -> tuple[str, list[Output]]:
    """The statement as rows of constants."""
    rows, outputs = rows_of(node, schema, statement, SPARK.names(), location)
    aliases = ", ".join(f"c{number}" for number in range(1, len(outputs) + 1))
    named = ", ".join(f"c{n} AS {quoted(o.heading)}" for n, o in enumerate(outputs, 1))
    if not rows:
        empty = ", ".join(f"CAST(NULL AS {spark_name(o.type)})" for o in outputs)
        return f"SELECT {named} FROM (SELECT {empty}) AS r({aliases}) WHERE false", outputs
    lines = ", ".join(f"({', '.join(_constant(cell) for cell in row)})" for row in rows)
    return f"SELECT {named} FROM (VALUES {lines}) AS r({aliases})", outputs


def _constant(cell: object) -> str:
    return str(cell).lower() if isinstance(cell, bool) else text(str(cell))

"""A statement in Trino's SQL in, one in Spark's out. Pure; some milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from queryrun.errors import FailureCode
from queryrun.sql.compile import types as t
from queryrun.sql.compile.reading import Needs, bounded, named, read
from queryrun.sql.compile.scope import Location, Output, Schema, Scope, TableColumn
from queryrun.sql.spark import metadata, printing
from queryrun.sql.spark.compiler import SparkCompiler
from queryrun.sql.spark.functions import aggregate as functions_aggregate
from queryrun.sql.spark.functions import format as functions_format
from queryrun.sql.spark.functions import json as functions_json
from queryrun.sql.spark.functions import nested as functions_nested
from queryrun.sql.spark.functions import numbers as functions_numbers
from queryrun.sql.spark.functions import patterns as functions_patterns
from queryrun.sql.spark.functions import special as functions_special
from queryrun.sql.spark.functions import text as functions_text
from queryrun.sql.spark.functions import time as functions_time
from queryrun.sql.trino.markers import Value
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.tokens import failure_at

REGISTERED = (
    functions_aggregate,
    functions_format,
    functions_json,
    functions_nested,
    functions_numbers,
    functions_patterns,
    functions_special,
    functions_text,
    functions_time,
)
"""Importing them is what makes their functions known."""
MAX_TRANSLATED_CHARS = 4_000_000
"""The maximum size of a translation: Spark parses on one thread, and slowly."""


@dataclass(frozen=True, slots=True)
class SparkTables:
    """The tables that exist: their columns by lower-case name, and what Spark calls each table.

    `table_names` has the quoted, qualified name of a table (`` `cat`.`db`.`t` ``); a table that is
    missing there is used by its own name. `location`: which catalog and schema a statement may put
    in front of a name; None: whatever it puts there is not checked.
    """

    columns: Schema
    table_names: Mapping[str, str] = field(default_factory=dict)
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Translated:
    """Spark's SQL, and the columns it returns, with Trino's names and types.

    The result's columns have the headings as names, which may come twice or differ by case only;
    JSON and UUIDs are text in them, rows without names have fields `field0`, `field1`, …
    """

    sql: str = field(repr=False)
    columns: Sequence[Output]


Lookup = Callable[[Needs], SparkTables]
"""Finds the tables that a statement names (or all, `Needs.every_table`), with their columns."""


def to_spark(
    statement: str, tables: Lookup, zone: str = "UTC", values: Sequence[Value] = ()
) -> Translated:
    """The statement for a Spark session that has the settings of `session.SETTINGS`.

    `zone` is the Trino session's time zone; `values` are those of `?` and `:name`. Raises
    `RunFailed` with line and column in the statement: for syntax, for names that mean nothing,
    types that do not go together, and for everything that would not mean in Spark what it means
    in Trino (`not_supported`).
    Which rows of a table may be seen is not decided here: restrict the statement before. Of
    EXPLAIN (TYPE IO) it is the query, for whoever asks Spark for its plan.
    """
    parsed = read(statement, values)
    if parsed.explain not in {"", "validate", "io"}:
        message = "EXPLAIN of a query that Spark runs is not supported"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, statement, 0)
    if parsed.is_stats:
        message = "SHOW STATS of what Spark keeps is not supported"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, statement, 0)
    if parsed.needs.every_column:
        message = "information_schema.columns is not supported"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, statement, 0)
    found = tables(parsed.needs)
    if isinstance(parsed.node, ast.Show):
        return Translated(*metadata.show(parsed.node, found.columns, statement, found.location))
    compiler = SparkCompiler(statement, zone, found.columns, found.table_names)
    compiler.location = found.location
    with bounded(statement):
        sql, outputs = compiler.query(parsed.node, Scope())
    sql, outputs = printing.with_text(sql, outputs, statement, zone)
    if len(sql) > MAX_TRANSLATED_CHARS:
        message = "The statement is too complex to be translated"
        raise failure_at(FailureCode.NOT_SUPPORTED, message, statement, 0)
    if parsed.explain == "validate":
        # Spark checks a query of which it needs no row, the rules of grouping too.
        checked = f"SELECT count(*) FROM ({sql}) AS q WHERE false"
        return Translated(f"SELECT true AS `Valid` FROM ({checked})", [Output("Valid", t.BOOLEAN)])
    settled_outputs = [replace(output, type=settled(output.type)) for output in outputs]
    return Translated(sql, named(settled_outputs))


def settled(kind: t.Type) -> t.Type:
    """The type of a result: what is nothing but NULL is an integer, as Spark is told."""
    if kind == t.UNKNOWN:
        return t.INTEGER
    return replace(kind, parts=tuple(settled(part) for part in kind.parts))


def table_column(name: str, spark_type: str) -> TableColumn:
    """A column of a table as `DESCRIBE` or `information_schema` shows it."""
    return TableColumn(name, metadata.trino_type(spark_type), engine_type=spark_type)


def names(tables: Iterable[str]) -> Schema:
    """Tables of which nothing but the names is known: enough for SHOW TABLES."""
    return {table.lower(): [] for table in tables}

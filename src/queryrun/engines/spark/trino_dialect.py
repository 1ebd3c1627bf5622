"""A statement in Trino's SQL as one of Spark's, over its tables: the plug to sql/spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from queryrun.engines.base import RowFilter
from queryrun.engines.spark.tables import Tables
from queryrun.engines.spark.types import spark_text
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.compile.reading import Needs, read
from queryrun.sql.compile.scope import TableColumn
from queryrun.sql.guard.restrict import Facts, RowRules, restricted
from queryrun.sql.guard.trino import check_trino
from queryrun.sql.guard.verdict import Refusal
from queryrun.sql.position import SourcePosition
from queryrun.sql.spark.translate import SparkTables, table_column, to_spark
from queryrun.sql.trino.markers import ParameterMismatchError, Value
from queryrun.sql.trino.records import ast


def translated(
    statement: str,
    tables: Tables,
    row_filter: RowFilter,
    zone: str,
    values: Sequence[Value] = (),
) -> str:
    """Spark's SQL for a query or a metadata statement in Trino's.

    Rows that may not be seen are kept out of it. Raises `RunFailed` with the position in the
    statement as submitted.
    """
    text, position = _restricted(statement, tables, row_filter, values)
    try:
        return to_spark(text, lambda needs: _found(needs, tables), zone, values).sql
    except RunFailed as error:
        raise _with_position_in(error.failure, position) from error


def _restricted(
    statement: str, tables: Tables, row_filter: RowFilter, values: Sequence[Value]
) -> tuple[str, Callable[[int, int], SourcePosition]]:
    node = _read(statement, values)
    if not isinstance(node, ast.Query):  # about tables, not about their rows
        return statement, SourcePosition
    rules = RowRules(
        row_filter.deleted_rows_of_source,
        row_filter.org_column,
        row_filter.org_ids,
        barrier=" AND random() >= 0E0",  # see `tables.BARRIER`
    )

    def describe(named: Sequence[ast.Table]) -> list[Facts]:
        if rules.restrict_nothing:
            return [Facts() for _ in named]
        return [_facts(table, tables) for table in named]

    rewritten = restricted(statement, node, rules, describe)
    return rewritten.text, rewritten.position


def _read(statement: str, values: Sequence[Value]) -> ast.Statement:
    """Parsed; for a statement that does more than ask, the guard's words say so."""
    try:
        return read(statement, values).node
    except ParameterMismatchError:
        raise
    except RunFailed:
        verdict = check_trino(statement)
        if verdict.accepted or verdict.refusal is Refusal.BAD_PARAMETERS:
            raise
        failure = Failure(FailureCode.NOT_ALLOWED, verdict.message, verdict.line, verdict.column)
        raise RunFailed(failure) from None


def _facts(table: ast.Table, tables: Tables) -> Facts:
    schema = tables.schema(table.parts[-1].key)
    fields = schema.struct.fields if schema else ()
    return Facts({field.name.lower(): spark_text(field) for field in fields})


def _found(needs: Needs, tables: Tables) -> SparkTables:
    columns: dict[str, list[TableColumn]] = {}
    for name in sorted(needs.tables):
        if (schema := tables.schema(name)) is not None:
            columns[name] = [
                table_column(one.name, spark_text(one)) for one in schema.struct.fields
            ]
    if needs.every_table or needs.tables - columns.keys():  # also for "did you mean"
        for name in tables.names():
            columns.setdefault(name, [])
    full = {name: tables.full(name) for name in columns}
    return SparkTables(columns, full, tables.location)


def _with_position_in(
    failure: Failure, position: Callable[[int, int], SourcePosition]
) -> RunFailed:
    if failure.line is None or failure.column is None:
        return RunFailed(failure)
    found = position(failure.line, failure.column)
    return RunFailed(replace(failure, line=found.line, column=found.column))

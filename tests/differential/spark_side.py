"""Spark's side of the comparison: the suite's tables on a server, and statements translated."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from queryrun.engines.base import result_columns
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.spark.session import SETTINGS
from queryrun.sql.spark.translate import SparkTables, table_column, to_spark
from queryrun.sql.spark.types import quoted
from queryrun.sql.trino.scope import TableColumn
from queryrun.sql.trino.translate import Needs
from queryrun.sql.trino.types import Type
from tests.differential.engine_harness import OurResult, write_tables
from tests.differential.suite import TPCDS
from tests.differential.tpcds_tables import FILES as TPCDS_FILES
from tests.spark_server import HOME

_SMALL = {"spark.sql.shuffle.partitions": "1"}
"""Spares Spark work that pays for large tables only."""


class SparkSide:
    """Runs statements over one schema of a Spark, through its own session."""

    def __init__(self, session: Any, schema: str, columns: Mapping[str, list[TableColumn]]) -> None:
        self._session = session
        schemas = {table: f"{quoted(schema)}.{quoted(table)}" for table in columns}
        self._tables = SparkTables(columns, schemas)

    def tables(self, needs: Needs | None = None) -> SparkTables:
        """What there is."""
        return self._tables

    def run(self, statement: str) -> OurResult:
        """Run one statement to its end."""
        from pyspark.errors import PySparkException

        try:
            translated = to_spark(statement, self.tables)
            found = self._session.sql(translated.sql).toArrow()
        except RunFailed as failed:
            return OurResult([], [], [], failed.failure)
        except PySparkException as error:
            return OurResult([], [], [], _failure(error))
        kinds = [output.type for output in translated.columns]
        cells = [
            [_native(value, kind) for value in column.to_pylist()]
            for column, kind in zip(found.columns, kinds, strict=True)
        ]
        rows = list(zip(*cells, strict=True))
        headings = [output.heading for output in translated.columns]
        names = [column.name for column in result_columns(headings, headings)]  # as the encoder
        return OurResult(names, kinds, rows)


def _failure(error: Any) -> Failure:
    """What Spark cannot do is refused; it reports that before it computes anything."""
    condition, message = str(error.getCondition() or ""), str(error)[:300]
    if condition.startswith("UNSUPPORTED_"):
        return Failure(FailureCode.NOT_SUPPORTED, f"Spark: {condition}")
    return Failure(FailureCode.INVALID_VALUE, f"{condition} {message}")


def _native(value: Any, kind: Type) -> Any:
    """Arrow's maps are lists of pairs in Python."""
    if value is None or not kind.parts:
        return value
    if kind.name == "map":
        return {k: _native(v, kind.parts[1]) for k, v in value}
    if kind.name == "array":
        return [_native(item, kind.parts[0]) for item in value]
    return [_native(v, part) for v, part in zip(value.values(), kind.parts, strict=True)]


@dataclass(frozen=True, slots=True)
class _Schema:
    schema: str
    files: Path


@contextmanager
def spark_sides(url: str, directory: Path) -> Iterator[dict[str, SparkSide]]:
    """The suite's tables on the server at `url`, written into `directory`; gone afterwards."""
    # The client package looks for a home beside the script, which a worker of xdist does not have.
    os.environ.setdefault("SPARK_HOME", str(HOME))
    logging.getLogger("SQLQueryContextLogger").disabled = True  # a screen of Java for an error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Spark's client about pandas 3
        from pyspark.sql import SparkSession

        session = SparkSession.builder.remote(url).create()
    write_tables(directory / "data")
    own = f"queryrun_{uuid4().hex[:12]}"
    schemas = {
        "default": _Schema(f"{own}_suite", directory / "data"),
        TPCDS: _Schema(f"{own}_tpcds", TPCDS_FILES),
    }
    try:
        _prepare(session)
        yield {name: _side(session, target) for name, target in schemas.items()}
    finally:
        for target in schemas.values():
            session.sql(f"DROP SCHEMA IF EXISTS {target.schema} CASCADE")
        session.stop()


def _prepare(session: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a setting that is deprecated
        for name, value in (SETTINGS | _SMALL).items():
            session.conf.set(name, value)


def _side(session: Any, target: _Schema) -> SparkSide:
    session.sql(f"CREATE SCHEMA {target.schema}")
    columns = {}
    for file in sorted(target.files.absolute().glob("*.parquet")):
        table = f"{target.schema}.{quoted(file.stem)}"
        session.sql(f"CREATE TABLE {table} USING parquet LOCATION '{file.as_uri()}'")
        columns[file.stem.lower()] = list(_columns(session.table(table).schema.fields))
    return SparkSide(session, target.schema, columns)


def _columns(fields: Iterable[Any]) -> Iterator[TableColumn]:
    for found in fields:
        yield table_column(found.name, found.dataType.simpleString())

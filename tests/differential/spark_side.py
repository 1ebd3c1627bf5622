"""Spark's side of the comparison: the suite's tables on a server, and statements translated."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy
import pyarrow as pa

from queryrun.engines.base import result_columns
from queryrun.engines.spark.error_details import SparkErrorDetails
from queryrun.engines.spark.failures import ErrorContext, failure_of
from queryrun.errors import Failure, FailureCode, RunFailed
from queryrun.sql.compile.reading import Needs
from queryrun.sql.compile.scope import Location, TableColumn
from queryrun.sql.compile.types import TSTZ, Type
from queryrun.sql.spark.session import SETTINGS
from queryrun.sql.spark.translate import SparkTables, Translated, table_column, to_spark
from queryrun.sql.spark.types import quoted
from tests.differential.engine_harness import OurResult, write_tables
from tests.differential.suite import TPCDS
from tests.differential.tpcds_tables import FILES as TPCDS_FILES
from tests.spark_server import HOME

_SMALL = {"spark.sql.shuffle.partitions": "1"}
"""Spares Spark work that pays for large tables only."""


_INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
"""Spares Spark the compiling of each statement to Java, which takes longer than to run it once."""


class SparkSide:
    """Runs statements over one schema of a Spark, through its own session."""

    def __init__(
        self,
        session: Any,
        schema: str,
        columns: Mapping[str, Sequence[TableColumn]],
        location: Location | None = None,
    ) -> None:
        self._session = session
        schemas = {table: f"{quoted(schema)}.{quoted(table)}" for table in columns}
        self._tables = SparkTables(columns, schemas, location)

    def tables(self, needs: Needs | None = None) -> SparkTables:
        """What there is."""
        return self._tables

    def run(self, statement: str) -> OurResult:
        """Run one statement to its end."""
        return self.run_together([statement])[0]

    def run_together(self, statements: Sequence[str]) -> list[OurResult]:
        """Run statements of one value each as columns of one; by halves where one of them fails."""
        made = [self._translated(statement) for statement in statements]
        sent = iter(self._sent([one for one in made if isinstance(one, Translated)]))
        return [next(sent) if isinstance(one, Translated) else one for one in made]

    def _translated(self, statement: str) -> Translated | OurResult:
        try:
            return to_spark(statement, self.tables)
        except RunFailed as failed:
            return OurResult([], [], [], failed.failure)

    def _sent(self, made: Sequence[Translated]) -> list[OurResult]:
        from pyspark.errors import PySparkException

        if len(made) <= 1:
            return [self._alone(one) for one in made]
        items = ", ".join(f"({one.sql}) AS c{n}" for n, one in enumerate(made))
        try:
            found = self._session.sql(f"SELECT {items}").toArrow()
            return [_result(one, [column]) for one, column in zip(made, found.columns, strict=True)]
        except (PySparkException, ArithmeticError, ValueError):
            half = len(made) // 2
            return [*self._sent(made[:half]), *self._sent(made[half:])]

    def _alone(self, made: Translated) -> OurResult:
        from pyspark.errors import PySparkException

        try:
            return _result(made, self._session.sql(made.sql).toArrow().columns)
        except PySparkException as error:
            return OurResult([], [], [], _failure(error))
        except (ArithmeticError, ValueError) as error:  # a year that Python does not have
            message = f"{type(error).__name__}: {error}"
            return OurResult([], [], [], Failure(FailureCode.INTERNAL_ERROR, message))


def _result(translated: Translated, columns: Sequence[Any]) -> OurResult:
    kinds = [output.type for output in translated.columns]
    cells = [
        [_native(value, kind) for value in _values(column, kind)]
        for column, kind in zip(columns, kinds, strict=True)
    ]
    rows = list(zip(*cells, strict=True))
    headings = [output.heading for output in translated.columns]
    names = [column.name for column in result_columns(headings, headings)]  # as the encoder
    return OurResult(names, kinds, rows)


def _values(column: Any, kind: Type) -> list[Any]:
    """A column's values; moments beyond Python's years as text, as DuckDB's client has them."""
    try:
        return list(column.to_pylist())
    except (ArithmeticError, ValueError):
        if kind.name not in {"timestamp", TSTZ}:
            raise
        return [_moment(micros, kind) for micros in column.cast(pa.int64()).to_pylist()]


def _moment(micros: int | None, kind: Type) -> datetime | str | None:
    if micros is None:
        return None
    try:
        near = datetime(1970, 1, 1) + timedelta(microseconds=micros)
    except OverflowError:
        return str(numpy.datetime64(micros, "us")).replace("T", " ")
    return near.replace(tzinfo=UTC) if kind.name == TSTZ else near


def _failure(error: Any) -> Failure:
    """As the engine has it: what Spark cannot do of a translated statement is refused."""
    details = SparkErrorDetails(
        status="INTERNAL",
        message=str(error),
        error_class=str(error.getCondition() or ""),
        sql_state=str(error.getSqlState() or ""),
        parameters=error.getMessageParameters() or {},
    )
    return failure_of(details, ErrorContext(is_translated=True)).failure


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
    write_tables(directory / "data")
    own = f"queryrun_{uuid4().hex[:12]}"
    schemas = {
        "default": _Schema(f"{own}_suite", directory / "data"),
        TPCDS: _Schema(f"{own}_tpcds", TPCDS_FILES),
    }
    with _session(url, [target.schema for target in schemas.values()], {}) as session:
        yield {name: _side(session, target) for name, target in schemas.items()}


@contextmanager
def spark_side(
    url: str, files: Path, location: Location, made: type[SparkSide] = SparkSide
) -> Iterator[SparkSide]:
    """The tables of one directory on the server at `url`, in a place that Trino knows."""
    own = f"queryrun_{uuid4().hex[:12]}"
    with _session(url, [own], _INTERPRETED) as session:
        found = _side(session, _Schema(own, files))
        yield made(session, own, found.tables().columns, location)


@contextmanager
def _session(url: str, schemas: Sequence[str], more: Mapping[str, str]) -> Iterator[Any]:
    """A session with our settings; these schemas are gone afterwards."""
    # The client package looks for a home beside the script, which a worker of xdist does not have.
    os.environ.setdefault("SPARK_HOME", str(HOME))
    logging.getLogger("SQLQueryContextLogger").disabled = True  # a screen of Java for an error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Spark's client about pandas 3
        from pyspark.sql import SparkSession

        session = SparkSession.builder.remote(url).create()
    try:
        _prepare(session, more)
        yield session
    finally:
        for schema in schemas:
            session.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        session.stop()


def _prepare(session: Any, more: Mapping[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a setting that is deprecated
        for name, value in {**SETTINGS, **_SMALL, **more}.items():
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

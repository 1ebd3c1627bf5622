"""The tables of a source on Spark: the same that its statements see."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import TypeVar

from queryrun.engines.base import ColumnInfo, RowFilter, TableFacts
from queryrun.engines.spark.client import SparkClient
from queryrun.engines.spark.endpoint import endpoint_from_options, session_id_of
from queryrun.engines.spark.error_details import SparkError
from queryrun.engines.spark.failures import ErrorContext, failure_of
from queryrun.engines.spark.tables import Tables
from queryrun.engines.spark.types import spark_text
from queryrun.sql.compile.information import described
from queryrun.sql.compile.types import signature
from queryrun.sql.spark.translate import table_column

_T = TypeVar("_T")


def open_catalog(options: Mapping[str, str], secret: str | None = None) -> SparkCatalog:
    """The tables of one schema, in a session of its own. `options`: see `endpoint_from_options`.

    Raises `RunFailed` when Spark cannot be reached.
    """
    endpoint = endpoint_from_options(options, secret)
    name = f"tables-{uuid.uuid4()}"  # no attempt's name: nobody ends it as work without an owner
    client = SparkClient(endpoint, session_id_of(name))
    _call(lambda: client.open({}))
    return SparkCatalog(client, Tables(client, endpoint, RowFilter(), name))


class SparkCatalog:
    """Asks Spark what it analyzes; no job is started (`base.Catalog`)."""

    def __init__(self, client: SparkClient, tables: Tables) -> None:
        self._client = client
        self._tables = tables

    def tables(self) -> list[str]:
        """Tables and views."""
        return _call(self._tables.names)

    def columns(self, name: str) -> list[ColumnInfo] | None:
        """With Trino's types; a type that Trino does not have is named in Spark's words."""
        schema = _call(lambda: self._tables.schema(name))
        if schema is None:
            return None
        columns = [table_column(one.name, spark_text(one)) for one in schema.struct.fields]
        return [ColumnInfo(*row) for row in described(columns, signature)]

    def facts(self, name: str) -> TableFacts:  # noqa: ARG002 - the engine's own affair
        """Nothing: the engine keeps its data itself."""
        return TableFacts()

    def close(self) -> None:
        """End the session on the server."""
        with closing(self._client), suppress(SparkError):
            self._client.release()


def _call(request: Callable[[], _T]) -> _T:
    try:
        return request()
    except SparkError as error:
        raise failure_of(error.details, ErrorContext()) from error

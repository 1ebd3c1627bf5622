"""A Trino elsewhere as a worker's engine: statements run there, files are written here.

The encoder is a DuckDB session without any data, locked like the embedded engine's: Trino's rows
come by as Arrow batches, so a file looks the same whichever engine made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from queryrun.engines.base import (
    EngineLimits,
    EngineProgress,
    EngineUsage,
    GiveSocket,
    RowFilter,
    Rows,
    result_columns,
)
from queryrun.engines.duckdb.session import DuckDBSession
from queryrun.engines.traced import Traced
from queryrun.engines.trino.endpoint import TrinoEndpoint
from queryrun.engines.trino.failures import ErrorContext, failure_of
from queryrun.engines.trino.name_scope import NameScope
from queryrun.engines.trino.query import ENCODINGS, Query, QueryRequest
from queryrun.engines.trino.statement import BARRIER, PreparedStatement, prepare
from queryrun.engines.trino.tables import columns_of_tables
from queryrun.engines.trino.types import ResultColumn, columns_of
from queryrun.engines.trino.values import batches, schema_of
from queryrun.errors import RunFailed
from queryrun.sql.guard.restrict import RowRules
from queryrun.sql.trino.markers import Value
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.spelling import name as quoted

_BATCHES = "rows_of_trino"
_NAMELESS = "queryrun"


def open_session(
    options: Mapping[str, str],
    limits: EngineLimits,
    time_zone: str = "UTC",
    secret: str | None = None,
    encodings: Sequence[str] = ENCODINGS,
    *,
    give: GiveSocket | None = None,
) -> TrinoSession:
    """A session for one entity of one source; `options` are those of `TrinoEndpoint.of`.

    Nothing is sent to Trino yet. `limits` are the encoder's.
    """
    endpoint = TrinoEndpoint.of(options, secret, give)
    encoder = DuckDBSession(None, limits)
    encoder.set_up(None, time_zone)
    return TrinoSession(endpoint, encoder, time_zone, encodings)


class TrinoSession(Traced):
    """One statement at a time at Trino. See `EngineSession`."""

    def __init__(
        self,
        endpoint: TrinoEndpoint,
        encoder: DuckDBSession,
        time_zone: str,
        encodings: Sequence[str] = ENCODINGS,
    ) -> None:
        self._endpoint = endpoint
        self._encoder = encoder
        self._time_zone = time_zone
        self._encodings = encodings
        self._name = _NAMELESS
        self._query: Query | None = None
        self._context = ErrorContext()
        self._stream_error: BaseException | None = None
        self._last_usage = EngineUsage()

    @property
    def output_path(self) -> str:
        """The encoder's pipe."""
        return self._encoder.output_path

    def plan(
        self,
        statement: str,
        row_filter: RowFilter | None = None,
        name: str = "",
        values: Sequence[Value] = (),
    ) -> Rows:
        """Start the statement at Trino under `name` and wait until its columns are known.

        It is running there then, and goes on as far as its rows are taken. Its rows can be read
        once.
        """
        self._release()
        self._last_usage = EngineUsage()
        self._name = name or _NAMELESS
        try:
            prepared = self._prepared(statement, row_filter or RowFilter(), values)
            self._context = ErrorContext(prepared.position, prepared.explained)
            query = self._started(prepared.text)
            return self._rows(query, columns_of(query.columns))
        except Exception as error:
            failure = self.failure_of(error)
            if failure is error:
                raise
            raise failure from error

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:
        """What went wrong at Trino, if something did; otherwise what the encoder says.

        A limit of ours that was passed is the failure itself: the rows ended because of it. In any
        case the statement's rows are no longer needed, so it is canceled at Trino.
        """
        cause = error if isinstance(error, RunFailed) else self._stream_error or error
        self._release()
        found = failure_of(cause, self._context)
        if found is not cause or isinstance(cause, RunFailed):
            return found
        return self._encoder.failure_of(cause, relation_at)

    def verify_rows(self) -> None:
        """The engine's own tables have versions of their own."""

    def interrupt(self) -> None:
        """Cancel at Trino, in the background, and interrupt the encoder."""
        query = self._query
        if query is not None:
            query.cancel()
        self._encoder.interrupt()

    def progress(self) -> EngineProgress:
        """Trino's own count of the statement's splits, and of what it has used: up to a second old,
        because Trino answers a request for more rows after a second when there are none."""
        query = self._query
        if query is None:
            return EngineProgress(None)
        return EngineProgress(query.percent(), query.usage())

    def usage(self) -> EngineUsage:
        """Trino's statistics of the statement; also of one that it refused while it ran."""
        query = self._query
        return query.usage() if query is not None else self._last_usage

    def renew(self) -> bool:
        """Cancel what has not ended, and go on with the encoder's next connection."""
        self._release()
        return self._encoder.renew()

    def close(self) -> None:
        """Cancel what has not ended, and close the encoder."""
        self._release()
        self._encoder.close()

    # --- planning ---------------------------------------------------------------------------

    def _prepared(
        self, statement: str, row_filter: RowFilter, values: Sequence[Value]
    ) -> PreparedStatement:
        """The columns of tables are looked up only if a rule restricts rows: it costs a query."""
        self._context = ErrorContext()
        rules = RowRules(
            row_filter.deleted_rows_of_source, row_filter.org_column, row_filter.org_ids, BARRIER
        )

        def columns(tables: Sequence[ast.Table]) -> list[dict[str, str]]:
            return columns_of_tables(tables, statement, self._described)

        return prepare(statement, rules, NameScope(self._endpoint), columns, values)

    def _described(self, text: str) -> list[dict[str, Any]]:
        """The columns of what a query of ours would return; it returns no rows."""
        query = self._started(text)
        for _ in query.pages():
            pass
        self._release()
        return query.columns

    def _started(self, text: str) -> Query:
        request = QueryRequest(text, self._name, self._time_zone, self._encodings, self.traceparent)
        self._query = query = Query(self._endpoint, request)
        query.start()
        return query

    def _rows(self, query: Query, columns: Sequence[ResultColumn]) -> Rows:
        """Described now, so that clients learn the types of columns before the first row."""
        connection = self._encoder.connection
        schema = schema_of(columns)
        reader = pa.RecordBatchReader.from_batches(schema, self._batches(query, columns, schema))
        connection.register(_BATCHES, reader)
        relation = _relation(columns)
        described = connection.execute(f"DESCRIBE FROM (\n{relation})").fetchall()
        names = [column.name for column in columns]
        kinds = [str(kind) for _, kind, *_ in described]
        return Rows(connection, relation, result_columns(names, kinds))

    def _batches(self, query: Query, columns: Sequence[ResultColumn], schema: Any) -> Iterator[Any]:
        """What DuckDB reads. DuckDB passes an error on as text only, so it is kept here."""
        try:
            yield from batches(columns, schema, query.pages())
        except GeneratorExit:
            raise
        except BaseException as error:
            self._stream_error = error
            raise

    def _release(self) -> None:
        """Release the last statement, here and at Trino."""
        query, self._query, self._stream_error = self._query, None, None
        if query is not None:
            self._last_usage = query.usage()
            query.end()


def _relation(columns: Sequence[ResultColumn]) -> str:
    """Some types have no equivalent in Arrow: they arrive as text and are cast here."""
    items = []
    for number, column in enumerate(columns):
        arrow_name = f"c{number}"
        cast = f"CAST({arrow_name} AS {column.kind.duckdb_type})"
        value = cast if column.kind.is_cast else arrow_name
        items.append(f"{value} AS {quoted(column.name)}")
    return f"SELECT {', '.join(items)} FROM {_BATCHES}\n"

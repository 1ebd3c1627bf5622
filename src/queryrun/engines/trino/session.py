"""A Trino elsewhere as a worker's engine: statements run there, files are written here.

The encoder is a DuckDB session without any data, locked like the embedded engine's: Trino's rows
come by as Arrow batches, so a file looks the same whichever engine made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from queryrun.engines.base import Column, EngineLimits, EngineProgress, Rows, Visible
from queryrun.engines.duckdb import DuckDBSession
from queryrun.engines.trino.failures import Scene, failure_of
from queryrun.engines.trino.place import TrinoPlace
from queryrun.engines.trino.query import ENCODINGS, Asked, Query
from queryrun.engines.trino.reach import Reach
from queryrun.engines.trino.statement import Prepared, prepare
from queryrun.engines.trino.tables import columns_of_tables
from queryrun.engines.trino.types import ResultColumn, columns_of
from queryrun.engines.trino.values import batches, schema_of
from queryrun.errors import RunFailed
from queryrun.sql.trino import ast
from queryrun.sql.trino.restrict import RowRules
from queryrun.sql.trino.typed import name as quoted

_BATCHES = "rows_of_trino"
_NAMELESS = "queryrun"


def open_session(
    options: Mapping[str, str],
    secret: str | None,
    limits: EngineLimits,
    time_zone: str = "UTC",
    encodings: Sequence[str] = ENCODINGS,
) -> TrinoSession:
    """A session for one entity of one source; `options` are those of `TrinoPlace.of`.

    Trino is not asked for anything yet. `limits` are the encoder's.
    """
    place = TrinoPlace.of(options, secret)
    encoder = DuckDBSession(None, limits)
    encoder.set_up(None, time_zone)
    return TrinoSession(place, encoder, time_zone, encodings)


class TrinoSession:
    """One statement at a time at Trino. See `EngineSession`."""

    def __init__(
        self,
        place: TrinoPlace,
        encoder: DuckDBSession,
        time_zone: str,
        encodings: Sequence[str] = ENCODINGS,
    ) -> None:
        self._place = place
        self._encoder = encoder
        self._time_zone = time_zone
        self._encodings = encodings
        self._name = _NAMELESS
        self._query: Query | None = None
        self._scene = Scene()
        self._trouble: BaseException | None = None

    @property
    def handle(self) -> str:
        """The name of the work (`base.work_name`): `TrinoRemote.stop` ends it by this."""
        return self._name

    @property
    def output_path(self) -> str:
        """The encoder's pipe."""
        return self._encoder.output_path

    def plan(self, statement: str, visible: Visible | None = None, name: str = "") -> Rows:
        """Start the statement at Trino under `name` and wait until its columns are known.

        It is running there then, and goes on as far as its rows are taken. Its rows can be read
        once.
        """
        self._release()
        self._name = name or _NAMELESS
        try:
            prepared = self._prepared(statement, visible or Visible())
            self._scene = Scene(prepared.place)
            query = self._started(prepared.text)
            return self._rows(query, columns_of(query.columns))
        except Exception as error:
            failure = self.failure_of(error)
            if failure is error:
                raise
            raise failure from error

    def failure_of(self, error: BaseException, relation_at: int = 0) -> BaseException:
        """What went wrong at Trino, if something did; otherwise what the encoder says.

        Whatever it was, the statement's rows are wanted no more: Trino is told so.
        """
        cause = self._trouble or error
        self._release()
        found = failure_of(cause, self._scene)
        if found is not cause or isinstance(cause, RunFailed):
            return found
        return self._encoder.failure_of(cause, relation_at)

    def interrupt(self) -> None:
        """Cancel at Trino, in the background, and interrupt the encoder."""
        query = self._query
        if query is not None:
            query.cancel()
        self._encoder.interrupt()

    def progress(self) -> EngineProgress:
        """Trino's own count of the statement's splits."""
        query = self._query
        return EngineProgress(query.percent() if query is not None else None)

    def renew(self) -> bool:
        """Cancel what has not ended, and go on with the encoder's next connection."""
        self._release()
        return self._encoder.renew()

    def close(self) -> None:
        """Cancel what has not ended, and close the encoder."""
        self._release()
        self._encoder.close()

    # --- planning ---------------------------------------------------------------------------

    def _prepared(self, statement: str, visible: Visible) -> Prepared:
        self._scene = Scene()
        rules = RowRules(visible.deleted_rows, visible.org_column, visible.org_ids)

        def columns(tables: Sequence[ast.Table]) -> list[dict[str, str]]:
            return columns_of_tables(tables, statement, self._described)

        return prepare(statement, rules, Reach(self._place), columns)

    def _described(self, text: str) -> list[dict[str, Any]]:
        """The columns of what a query of ours would return; it returns no rows."""
        query = self._started(text)
        for _ in query.pages():
            pass
        self._release()
        return query.columns

    def _started(self, text: str) -> Query:
        asked = Asked(text, self._name, self._time_zone, self._encodings)
        self._query = query = Query(self._place, asked)
        query.start()
        return query

    def _rows(self, query: Query, columns: Sequence[ResultColumn]) -> Rows:
        connection = self._encoder.connection
        schema = schema_of(columns)
        reader = pa.RecordBatchReader.from_batches(schema, self._batches(query, columns, schema))
        connection.register(_BATCHES, reader)
        relation = _relation(columns)
        described = connection.execute(f"DESCRIBE FROM (\n{relation})").fetchall()
        return Rows(connection, relation, [Column(str(n), str(kind)) for n, kind, *_ in described])

    def _batches(self, query: Query, columns: Sequence[ResultColumn], schema: Any) -> Iterator[Any]:
        """What DuckDB reads. An error comes back from there as text: it is kept here."""
        try:
            yield from batches(columns, schema, query.pages())
        except GeneratorExit:
            raise
        except BaseException as error:
            self._trouble = error
            raise

    def _release(self) -> None:
        """Let go of the last statement here and at Trino."""
        query, self._query, self._trouble = self._query, None, None
        if query is not None:
            query.end()


def _relation(columns: Sequence[ResultColumn]) -> str:
    items = []
    for number, column in enumerate(columns):
        place = f"c{number}"
        value = f"CAST({place} AS {column.kind.shown})" if column.kind.is_cast else place
        items.append(f"{value} AS {quoted(column.name)}")
    return f"SELECT {', '.join(items)} FROM {_BATCHES}\n"

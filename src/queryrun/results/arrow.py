"""Writes a result as an Arrow IPC stream. Imported on demand: pyarrow costs 300 ms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow

from queryrun.results.compress import Sink

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from queryrun.results.count import BatchCounter

_BATCH_ROWS = 20_480
"""Ten of DuckDB's vectors. Readers load a whole batch, previews too (`columnar.py`)."""


def _next(batches: Any) -> Any:
    """The next batch, or None at the end."""
    try:
        return next(batches, None)
    except (OSError, pyarrow.ArrowException) as error:
        raise duckdb.Error(str(error)) from error


def arrow_stream(
    connection: DuckDBPyConnection, query: str, counter: BatchCounter
) -> Iterator[bytes]:
    """The rows of `query`, batch by batch as they are computed; `counter` counts them.

    Errors of the engine are raised as `duckdb.Error`, however Arrow wraps them.
    """
    batches: Any = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
    sink = Sink()
    with pyarrow.ipc.new_stream(pyarrow.PythonFile(sink, mode="w"), batches.schema) as writer:
        while (batch := _next(batches)) is not None:
            writer.write_batch(batch)
            counter.rows += batch.num_rows
            yield sink.drain()
    yield sink.drain()

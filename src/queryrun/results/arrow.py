"""Writes a result from Arrow's batches. Imported on demand: pyarrow costs 300 ms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow

from queryrun.results.compress import Sink
from queryrun.results.formats import ContentType

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from queryrun.results.count import BatchCounter

_BATCH_ROWS = 20_480
"""Ten of DuckDB's vectors. Readers load a whole batch, previews too (`columnar.py`)."""
_ROW_GROUP_ROWS = 122_880
"""As DuckDB writes Parquet. So many rows are held in memory."""


@dataclass(frozen=True, slots=True)
class Batches:
    """The rows of a result as they are computed, in a schema that has the columns' own names."""

    schema: Any
    reader: Any

    def __iter__(self) -> Iterator[Any]:
        """Errors of the engine are raised as `duckdb.Error`, however Arrow wraps them."""
        while (batch := _next(self.reader)) is not None:
            yield pyarrow.RecordBatch.from_arrays(batch.columns, schema=self.schema)


def batches_of(
    connection: DuckDBPyConnection, query: str, names: Sequence[str] | None = None
) -> Batches:
    """The rows of `query`. Its columns get `names`, of which some may differ by case only."""
    reader: Any = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
    fields = [
        field.with_name(name)
        for field, name in zip(reader.schema, names or reader.schema.names, strict=True)
    ]
    return Batches(pyarrow.schema(fields, metadata=reader.schema.metadata), reader)


def _next(batches: Any) -> Any:
    """The next batch, or None at the end."""
    try:
        return next(batches, None)
    except (OSError, pyarrow.ArrowException) as error:
        raise duckdb.Error(str(error)) from error


def arrow_stream(batches: Batches, counter: BatchCounter) -> Iterator[bytes]:
    """An IPC stream, batch by batch; `counter` counts the rows."""
    sink = Sink()
    with pyarrow.ipc.new_stream(pyarrow.PythonFile(sink, mode="w"), batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            counter.rows += batch.num_rows
            yield sink.drain()
    yield sink.drain()


def parquet_file(batches: Batches, counter: BatchCounter) -> Iterator[bytes]:
    """A Parquet file, a row group at a time, for columns that `COPY` would call otherwise."""
    from pyarrow import parquet

    sink, waiting, rows = Sink(), [], 0
    writer: Any = parquet.ParquetWriter(pyarrow.PythonFile(sink, mode="w"), batches.schema)
    with writer:
        for batch in batches:
            waiting.append(batch)
            rows += batch.num_rows
            if rows >= _ROW_GROUP_ROWS:
                writer.write_table(pyarrow.Table.from_batches(waiting, batches.schema))
                counter.rows, rows = counter.rows + rows, 0
                waiting.clear()
                yield sink.drain()
        writer.write_table(pyarrow.Table.from_batches(waiting, batches.schema))
        counter.rows += rows
    yield sink.drain()


BATCH_WRITERS: Mapping[ContentType, Callable[[Batches, BatchCounter], Iterator[bytes]]] = {
    ContentType.ARROW: arrow_stream,
    ContentType.PARQUET: parquet_file,
}
"""How formats are written that `COPY` does not write, or not with such names."""

"""The rows of a running statement as Arrow batches, checked to be all of them, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow

from queryrun.engines.spark.counters import Counters
from queryrun.engines.spark.error_details import SparkError, SparkErrorDetails
from queryrun.engines.spark.execution import Execution
from queryrun.engines.spark.proto import DataType, ExecutePlanResponse
from queryrun.engines.spark.types import Field, cast_to_schema


class RowStream:
    """A statement's responses: first its columns, then its rows; progress comes along.

    Holds one batch of about 4 MB. `error` is what ended the stream, kept because Arrow and DuckDB
    make a text of it.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._responses = execution.responses()
        self._rows = 0
        self.error: Exception | None = None
        self.percent: float | None = None
        self.read_bytes = 0
        self.is_complete = False
        """Whether everything has been read."""
        self.counters = Counters()

    def schema(self) -> DataType:
        """Start the statement and return its columns, as soon as Spark has analyzed it."""
        for response in self._responses:
            self._note(response)
            if response.HasField("schema"):
                return response.schema
        raise SparkError(SparkErrorDetails("INTERNAL"))

    def reader(self, fields: Sequence[Field]) -> Any:
        """The rows, to be read once: a `pyarrow.RecordBatchReader`."""
        schema = pyarrow.schema([pyarrow.field(one.arrow_name, one.type) for one in fields])
        return pyarrow.RecordBatchReader.from_batches(schema, self._batches(schema))

    def interrupt(self) -> None:
        """Ask Spark to stop; whoever reads gets an error at once or very soon."""
        self._execution.interrupt()

    def close(self) -> None:
        """Stop reading. What still runs goes on until its session is released."""
        self._responses.close()

    def _batches(self, schema: Any) -> Iterator[Any]:
        """DuckDB passes an error on as text only, so the error itself is kept here."""
        try:
            for response in self._responses:
                self._note(response)
                if response.HasField("arrow_batch"):
                    yield from self._read(response.arrow_batch, schema)
        except Exception as error:
            self.error = error
            raise

    def _read(self, sent: ExecutePlanResponse.ArrowBatch, schema: Any) -> Iterator[Any]:
        """The batch in the schema's types. Fails when rows before it or in it are missing."""
        is_next = not sent.HasField("start_offset") or sent.start_offset == self._rows
        before = self._rows
        with pyarrow.ipc.open_stream(pyarrow.py_buffer(sent.data)) as batches:
            for batch in batches:
                self._rows += batch.num_rows
                columns = [
                    cast_to_schema(column, field.type)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                if batch.num_rows:
                    yield pyarrow.RecordBatch.from_arrays(columns, schema=schema)
        if not is_next or self._rows - before != sent.row_count:
            raise SparkError(SparkErrorDetails("DATA_LOSS"))

    def _note(self, response: ExecutePlanResponse) -> None:
        """Progress is the share of tasks that are done; Spark plans more of them as it goes."""
        self.is_complete = response.HasField("result_complete")
        self.counters.note(response)
        if not response.HasField("execution_progress"):
            return
        stages = response.execution_progress.stages
        tasks = sum(stage.num_tasks for stage in stages)
        if tasks:
            done = sum(stage.num_completed_tasks for stage in stages)
            self.percent = min(100.0, 100.0 * done / tasks)
        self.read_bytes = sum(stage.input_bytes_read for stage in stages)


def rows_of(execution: Execution) -> list[dict[str, Any]]:
    """All rows of a statement of ours that has few, under their columns' names in Spark."""
    found: list[dict[str, Any]] = []
    for response in execution.responses():
        if response.HasField("arrow_batch"):
            with pyarrow.ipc.open_stream(pyarrow.py_buffer(response.arrow_batch.data)) as batches:
                found += [row for batch in batches for row in batch.to_pylist()]
    return found

"""Typed rows into the Parquet file that later statements read."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

GROUP_ROWS = 122_880
"""Of a row group, as the engine likes them: it reads as many at a time in each thread."""
GROUP_BYTES = 64 * 1024**2
"""Of texts that wait for a row group: of many columns or long values fewer rows make one."""
_DELTAS = (pa.int64(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"))
"""Types whose values are mostly close together: their differences take less time and space."""

_WORTH_COMPRESSING = 0.75
PARQUET_OPTIONS = (
    "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION lz4_raw, ROW_GROUP_SIZE 122880, "
    "DICTIONARY_SIZE_LIMIT 5000"
)
"""Of copies that the engine writes. The second version's encodings of numbers take less time."""


def grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """The batches of one row group after another."""
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group


def read_ahead(groups: Iterator[list[pa.RecordBatch]]) -> Generator[list[pa.RecordBatch]]:
    """The same groups, the next of which a thread reads while the caller has one.

    Parsing text takes about as long as testing and writing it, and both leave the interpreter
    alone. At most two groups wait, besides the caller's. Close it before what `groups` reads from:
    the thread is gone then. What `groups` raises, it raises.
    """
    waiting: queue.Queue[list[pa.RecordBatch] | None] = queue.Queue(1)
    is_finished = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for group in groups:
                if is_finished.is_set():
                    break
                waiting.put(group)
        except BaseException as error:
            failures.append(error)
        waiting.put(None)

    reader = threading.Thread(target=read, name="read-ahead")
    reader.start()
    is_at_end = False
    try:
        while not (is_at_end := (group := waiting.get()) is None):
            yield group
        if failures:
            raise failures[0]
    finally:
        is_finished.set()
        while not is_at_end:  # the thread may have one more group to hand over
            is_at_end = waiting.get() is None
        reader.join()


class CopyWriter:
    """A Parquet file of these columns. Close it, or use it as a context."""

    def __init__(self, path: Path, schema: pa.Schema, first: Sequence[pa.RecordBatch]) -> None:
        """`first` are some rows as texts, which tell what columns repeat their values."""
        import pyarrow.parquet  # takes a while, and not every process converts

        self.rows = 0
        repeating = _repeating(schema, first)
        self._schema = schema
        self._writer = pyarrow.parquet.ParquetWriter(
            path,
            schema,
            compression=_compressions(schema, first),
            use_dictionary=repeating or False,
            column_encoding={
                name: "DELTA_BINARY_PACKED"
                for name, kind in zip(schema.names, schema.types, strict=True)
                if kind in _DELTAS and name not in repeating
            },
            data_page_version="2.0",
            store_schema=False,
        )

    def write(self, columns: Sequence[pa.ChunkedArray]) -> None:
        """A row group."""
        rows = pa.Table.from_arrays(list(columns), schema=self._schema)
        self.rows += rows.num_rows
        self._writer.write_table(rows, row_group_size=max(1, rows.num_rows))

    def __enter__(self) -> CopyWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def _repeating(schema: pa.Schema, first: Sequence[pa.RecordBatch]) -> list[str]:
    """Columns of texts half of whose values, or more, have been there before."""
    if not first:
        return []
    rows = pa.Table.from_batches(first)
    return [
        name
        for index, (name, kind) in enumerate(zip(schema.names, schema.types, strict=True))
        if kind == pa.string() and pc.count_distinct(rows.column(index)).as_py() * 2 < len(rows)
    ]


def _compressions(schema: pa.Schema, first: Sequence[pa.RecordBatch]) -> dict[str, str]:
    """By column: texts like hashes and keys take as much space compressed."""
    found = dict.fromkeys(schema.names, "lz4")
    for batch in first[:1]:
        for name, kind, text in zip(schema.names, schema.types, batch.columns, strict=True):
            data = text.buffers()[2]
            if kind != pa.string() or not data:
                continue
            size = len(pa.Codec("lz4_raw").compress(data))
            if size > len(data) * _WORTH_COMPRESSING:
                found[name] = "none"
    return found

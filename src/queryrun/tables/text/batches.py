"""Batches of rows: their beginning, their end, their columns one below the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pyarrow as pa

from queryrun.tables.text.sources import Batches

HEAD_ROWS = 20_000
"""From these the first guess at the types is made, and the columns of JSON are taken."""


def below(batches: Batches) -> Batches:
    """The values of all columns one below the other, with the number of their column."""
    for batch in batches:
        numbers = [
            pa.repeat(pa.scalar(index, pa.int32()), batch.num_rows)
            for index in range(batch.num_columns)
        ]
        values = [pa.concat_arrays(numbers), pa.concat_arrays(batch.columns)]
        yield pa.RecordBatch.from_arrays(values, ["c", "v"])


def split_head(batches: Batches) -> tuple[list[pa.RecordBatch], Batches]:
    """The first `HEAD_ROWS` rows or more, and the batches behind them."""
    head: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        head.append(batch)
        rows += batch.num_rows
        if rows >= HEAD_ROWS:
            break
    return head, batches


def is_at_end(batches: Batches) -> tuple[bool, Batches]:
    """Whether there are no more batches, and the batches."""
    first = next(batches, None)
    return first is None, batches if first is None else itertools.chain([first], batches)


def first_rows(batches: Sequence[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    """The batches up to so many rows."""
    found = []
    for batch in batches:
        found.append(batch.slice(0, rows))
        rows -= batch.num_rows
        if rows <= 0:
            break
    return found
